//! The route table, derived from the state.

use std::collections::BTreeMap;

use crate::{
    State,
    environment::{Environment, Loaded, LoadedStatus},
    ids::{EnvironmentKey, FrontendId, LoadedKey, ReleaseId, ServiceName},
};

/// How the hosts of one environment lead to frontends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentRoutes {
    pub environment: EnvironmentKey,
    pub maintenance: bool,
    /// The certificate that its hosts show.
    pub certificate: String,
    /// Plain HTTP is sent to HTTPS.
    pub redirect: bool,
    /// Host (exact, or `*.` and a suffix) to what answers there.
    pub hosts: BTreeMap<String, Target>,
    /// Frontends that may be sent to, by target.
    pub backends: BTreeMap<Target, BTreeMap<FrontendId, String>>,
}

/// A service of a release.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// `None`: of both releases of a promotion, while they share the environment's traffic.
    pub release: Option<ReleaseId>,
    pub service: ServiceName,
}

/// The routes of one environment as of `state`; `None` when there is no such environment.
///
/// The active release answers at `<service>.<env>.<app>.<domain>` and below it; every loaded
/// release, active or not, at `<service>.<release>.<env>.<app>.<domain>`. While a promotion is under
/// way both its releases answer where the active one does.
#[must_use]
pub fn environment(state: &State, key: &EnvironmentKey) -> Option<EnvironmentRoutes> {
    let environment = state.environments.get(key)?;
    let mut routes = EnvironmentRoutes {
        environment: key.clone(),
        maintenance: environment.settings.maintenance,
        certificate: state.certificate_of(environment).to_owned(),
        redirect: state.redirects(environment),
        hosts: BTreeMap::new(),
        backends: BTreeMap::new(),
    };
    // The first release has nobody to share with: it answers when it is complete.
    let shared = state
        .rollouts
        .get(key)
        .filter(|rollout| rollout.phase.shared() && rollout.outgoing.is_some());
    for (loaded_key, loaded) in state.loaded_in(key) {
        let release = Some(&loaded_key.release);
        let sharing = shared.is_some_and(|rollout| rollout.concerns(&loaded_key.release));
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
                release: release.cloned(),
                service: service.clone(),
            };
            routes
                .hosts
                .insert(own_endpoint(state, key, loaded, service), target.clone());
            let active = environment.active.as_ref() == release;
            // A service that only the incoming release has answers as soon as it can.
            let front = match (sharing, active || serves(state, loaded_key, service)) {
                (true, true) => Some(target.of_both()),
                (false, _) if active => Some(target.clone()),
                _ => None,
            };
            if let Some(front) = front {
                let host = endpoint(state, environment, service);
                routes.hosts.insert(format!("*.{host}"), front.clone());
                routes.hosts.insert(host, front.clone());
                routes.backends.entry(front).or_default();
            }
            routes.backends.entry(target).or_default();
        }
        for frontend in state.frontends_of(loaded_key) {
            if let (true, Some(address)) = (frontend.routable(), &frontend.observed.address) {
                let target = Target {
                    release: release.cloned(),
                    service: frontend.service.clone(),
                };
                let both = sharing.then(|| target.of_both());
                for target in both.into_iter().chain([target]) {
                    if let Some(backends) = routes.backends.get_mut(&target) {
                        backends.insert(frontend.id, address.clone());
                    }
                }
            }
        }
    }
    Some(routes)
}

fn serves(state: &State, key: &LoadedKey, service: &ServiceName) -> bool {
    state
        .frontends_of(key)
        .any(|frontend| frontend.service == *service && frontend.routable())
}

impl Target {
    fn of_both(&self) -> Self {
        Self {
            release: None,
            service: self.service.clone(),
        }
    }
}

/// The host name of a service of the active release.
#[must_use]
pub fn endpoint(state: &State, environment: &Environment, service: &ServiceName) -> String {
    format!("{service}.{}", suffix(state, &environment.key))
}

/// The host name of a service of one loaded release, active or not.
#[must_use]
pub fn own_endpoint(
    state: &State,
    key: &EnvironmentKey,
    loaded: &Loaded,
    service: &ServiceName,
) -> String {
    format!("{service}.{}.{}", loaded.name, suffix(state, key))
}

fn suffix(state: &State, key: &EnvironmentKey) -> String {
    format!("{}.{}.{}", key.name, key.app, state.cluster.domain)
}
