//! The route table, derived from the state.

use std::collections::BTreeMap;

use crate::{
    State,
    access::RequestLimits,
    environment::{Environment, Loaded, LoadedStatus},
    ids::{EnvironmentKey, FrontendId, LoadedKey, ReleaseId, ServiceName},
    manifest::Service,
    network::Network,
    time::Millis,
};

/// How the hosts of one environment lead to frontends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvironmentRoutes {
    pub environment: EnvironmentKey,
    pub maintenance: bool,
    /// Whose clients are let in; `None`: everybody's.
    pub admitted: Option<Vec<Network>>,
    pub requests: RequestLimits,
    /// The certificate that its hosts show.
    pub certificate: String,
    /// Plain HTTP is sent to HTTPS.
    pub redirect: bool,
    /// Host (exact, or `*.` and a suffix) to what answers there.
    pub hosts: BTreeMap<String, Target>,
    /// Frontends that may be sent to, by target.
    pub backends: BTreeMap<Target, BTreeMap<FrontendId, Backend>>,
    /// How requests are sent to them.
    pub manners: BTreeMap<Target, Manner>,
}

/// A frontend that may be sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    pub address: String,
    /// It speaks HTTP/2 from the first byte, as gRPC does.
    pub http2: bool,
}

/// What the manifest says about requests to a service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manner {
    /// How long an answer is waited for; `None`: as long as the ingress thinks right.
    pub timeout: Option<Millis>,
    /// A client keeps its frontend.
    pub sticky: bool,
    /// How long a connection without an end of its own lasts once the routes lead elsewhere.
    pub drain: Millis,
    /// Each of these must let a client in, beside what its environment says. Where two releases share
    /// the traffic, nobody is shown one that would not have him.
    pub admitted: Vec<Vec<Network>>,
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
/// release, active or not, at `<service>.<release>.<env>.<app>.<domain>`. Where the active release
/// answers, it does so at the domains of its manifest too. While a promotion is under way both its
/// releases answer where the active one does; what they say of requests differently, the incoming
/// one decides.
#[must_use]
pub fn environment(state: &State, key: &EnvironmentKey) -> Option<EnvironmentRoutes> {
    let environment = state.environments.get(key)?;
    let mut routes = EnvironmentRoutes {
        environment: key.clone(),
        maintenance: environment.settings.maintenance,
        admitted: state.admitted_to(environment),
        requests: environment.settings.requests,
        certificate: state.certificate_of(environment).to_owned(),
        redirect: state.redirects(environment),
        hosts: BTreeMap::new(),
        backends: BTreeMap::new(),
        manners: BTreeMap::new(),
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
        for (name, service) in public {
            let manner = Manner {
                timeout: service.timeout,
                sticky: service.sticky,
                drain: service.drain.unwrap_or(environment.settings.drain),
                admitted: admitted(service).into_iter().collect(),
            };
            let target = Target {
                release: release.cloned(),
                service: name.clone(),
            };
            routes
                .hosts
                .insert(own_endpoint(state, key, loaded, name), target.clone());
            let active = environment.active.as_ref() == release;
            // A service that only the incoming release has answers as soon as it can.
            let front = match (sharing, active || serves(state, loaded_key, name)) {
                (true, true) => Some(target.of_both()),
                (false, _) if active => Some(target.clone()),
                _ => None,
            };
            if let Some(front) = front {
                let host = endpoint(state, environment, name);
                let own = service.domains.iter().cloned();
                for host in own.chain([format!("*.{host}"), host]) {
                    routes.hosts.insert(host, front.clone());
                }
                let decides = shared.is_none_or(|r| r.incoming.as_ref() == release);
                let before = routes.manners.remove(&front);
                let manner = manner.clone().beside(before, decides);
                routes.manners.insert(front.clone(), manner);
                routes.backends.entry(front).or_default();
            }
            routes.manners.insert(target.clone(), manner);
            routes.backends.entry(target).or_default();
        }
        for frontend in state.frontends_of(loaded_key) {
            if let (true, Some(address)) = (frontend.routable(), &frontend.observed.address) {
                let service = loaded.manifest.services.get(&frontend.service);
                let backend = Backend {
                    address: address.clone(),
                    http2: service.is_some_and(Service::speaks_http2),
                };
                let target = Target {
                    release: release.cloned(),
                    service: frontend.service.clone(),
                };
                let both = sharing.then(|| target.of_both());
                for target in both.into_iter().chain([target]) {
                    if let Some(backends) = routes.backends.get_mut(&target) {
                        backends.insert(frontend.id, backend.clone());
                    }
                }
            }
        }
    }
    Some(routes)
}

/// The networks that a service's manifest lets in; `None`: it says nothing. Texts that are none are
/// refused long before this, and admit nobody.
fn admitted(service: &Service) -> Option<Vec<Network>> {
    let texts = &service.whitelist;
    let networks = texts.iter().filter_map(|text| text.parse().ok());
    (!texts.is_empty()).then(|| networks.collect())
}

impl Manner {
    /// This one, of a release that shares a target with another whose manner is known already; it
    /// decides, or the other does, but whom either keeps out is kept out.
    fn beside(self, other: Option<Self>, decides: bool) -> Self {
        let Some(other) = other else {
            return self;
        };
        let (mut manner, rest) = if decides {
            (self, other)
        } else {
            (other, self)
        };
        for networks in rest.admitted {
            if !manner.admitted.contains(&networks) {
                manner.admitted.push(networks);
            }
        }
        manner
    }
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
