//! The route table, derived from the state.

use std::collections::BTreeMap;

use crate::{
    State,
    environment::{Environment, LoadedStatus},
    ids::{EnvironmentKey, FrontendId, ReleaseId, ServiceName},
};

/// How the hosts of one environment lead to frontends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentRoutes {
    pub environment: EnvironmentKey,
    pub maintenance: bool,
    /// Host (exact, or `*.` and a suffix) to what answers there.
    pub hosts: BTreeMap<String, Target>,
    /// Frontends that may be sent to, by target.
    pub backends: BTreeMap<Target, BTreeMap<FrontendId, String>>,
}

/// A service of a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    pub release: ReleaseId,
    pub service: ServiceName,
}

/// The routes of one environment as of `state`; `None` when there is no such environment.
///
/// The active release answers at `<service>.<env>.<app>.<domain>` and below it; every loaded
/// release, active or not, at `<service>.<release>.<env>.<app>.<domain>`.
#[must_use]
pub fn environment(state: &State, key: &EnvironmentKey) -> Option<EnvironmentRoutes> {
    let environment = state.environments.get(key)?;
    let mut routes = EnvironmentRoutes {
        environment: key.clone(),
        maintenance: environment.settings.maintenance,
        hosts: BTreeMap::new(),
        backends: BTreeMap::new(),
    };
    for (loaded_key, loaded) in state.loaded_in(key) {
        if loaded.status == LoadedStatus::Unloading {
            continue;
        }
        let public = loaded
            .manifest
            .services
            .iter()
            .filter(|(_, service)| service.public());
        for (service, _) in public {
            let target = Target {
                release: loaded_key.release.clone(),
                service: service.clone(),
            };
            routes.hosts.insert(
                format!("{service}.{}.{}", loaded.name, suffix(state, key)),
                target.clone(),
            );
            if environment.active.as_ref() == Some(&loaded_key.release) {
                let host = endpoint(state, environment, service);
                routes.hosts.insert(format!("*.{host}"), target.clone());
                routes.hosts.insert(host, target.clone());
            }
            routes.backends.insert(target, BTreeMap::new());
        }
        for frontend in state.frontends_of(loaded_key) {
            if let (true, Some(address)) = (frontend.routable(), &frontend.observed.address) {
                let target = Target {
                    release: loaded_key.release.clone(),
                    service: frontend.service.clone(),
                };
                if let Some(backends) = routes.backends.get_mut(&target) {
                    backends.insert(frontend.id, address.clone());
                }
            }
        }
    }
    Some(routes)
}

/// The host name of a service of the active release.
#[must_use]
pub fn endpoint(state: &State, environment: &Environment, service: &ServiceName) -> String {
    format!("{service}.{}", suffix(state, &environment.key))
}

fn suffix(state: &State, key: &EnvironmentKey) -> String {
    format!("{}.{}.{}", key.name, key.app, state.cluster.domain)
}
