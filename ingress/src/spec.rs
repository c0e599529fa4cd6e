//! What the table is built from: the routes of environments, as control wants them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::address::Address;
use super::pace::Limit;
use super::slot::FrontendId;
use super::sticky;
use super::tls::spec::{TlsDelta, TlsSpec};
use crate::config::Network;

/// Names an environment; orders as the table's digest and the precedence of hosts do.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct EnvironmentKey {
    pub(super) app: String,
    pub(super) environment: String,
}

impl std::fmt::Display for EnvironmentKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.app, self.environment)
    }
}

/// All routes at one generation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Spec {
    pub(super) generation: u64,
    pub(super) environments: BTreeMap<EnvironmentKey, EnvironmentSpec>,
    pub(super) tls: Arc<TlsSpec>,
}

/// Routes of one environment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct EnvironmentSpec {
    pub(super) active_release: String,
    pub(super) maintenance: bool,
    pub(super) hosts: Vec<HostSpec>,
    pub(super) pools: Vec<PoolSpec>,
    pub(super) settings: Settings,
    /// Name of the certificate that its hosts show.
    pub(super) certificate: String,
    /// Plain HTTP is sent to HTTPS.
    pub(super) redirect: bool,
    /// Whose clients are let in; `None`: everybody's.
    pub(super) admitted: Option<Vec<Network>>,
    /// Of all clients together.
    pub(super) requests: Limit,
    /// Of each client address.
    pub(super) address_requests: Limit,
}

/// A host pattern and the pool behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct HostSpec {
    pub(super) pattern: String,
    /// Index into `pools`.
    pub(super) pool: usize,
}

/// The frontends of one service of one release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PoolSpec {
    pub(super) release: String,
    pub(super) service: String,
    pub(super) backends: Vec<Backend>,
    /// Instead of that of the environment's settings.
    pub(super) response_timeout: Option<Duration>,
    /// How long a tunnel lasts once routes lead elsewhere, if not as long as is usual.
    pub(super) drain: Option<Duration>,
    /// Clients keep their frontend, by cookies that this signs.
    pub(super) sticky: Option<sticky::Key>,
    /// Each must let a client in, beside that of the environment.
    pub(super) admitted: Vec<Vec<Network>>,
}

/// A frontend as a table names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Backend {
    pub(super) id: FrontendId,
    pub(super) address: Address,
    pub(super) protocol: Protocol,
}

/// What a frontend speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Protocol {
    #[default]
    Http1,
    /// Without TLS and from the first byte, as gRPC does.
    Http2,
}

/// What an environment may set for itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Settings {
    /// From choosing a frontend to the head of its response.
    pub(super) response_timeout: Duration,
    /// How long a request waits when nothing can serve it.
    pub(super) hold: Duration,
}

impl EnvironmentSpec {
    /// The release that a frontend is of; empty when no pool says so. In a pool of both releases of a
    /// promotion it is together with the other's, and in one of its own release too.
    pub(super) fn release_of(&self, id: FrontendId) -> &str {
        let mut of_one = self.pools.iter().filter(|pool| !pool.release.is_empty());
        let pool = of_one.find(|pool| pool.backends.iter().any(|backend| backend.id == id));
        pool.map_or("", |pool| &pool.release)
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            response_timeout: Duration::from_secs(60),
            hold: Duration::from_secs(2),
        }
    }
}

/// A change from one generation to a later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    pub(super) base_generation: u64,
    pub(super) generation: u64,
    pub(super) upsert: BTreeMap<EnvironmentKey, EnvironmentSpec>,
    pub(super) remove: Vec<EnvironmentKey>,
    pub(super) tls: Option<TlsDelta>,
}

/// A delta that does not fit what is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the change is one of generation {base}, and generation {applied} is applied")]
pub(super) struct WrongBase {
    base: u64,
    applied: u64,
}

impl Spec {
    /// The spec after a change.
    pub(super) fn changed(&self, delta: Delta) -> Result<Self, WrongBase> {
        if delta.base_generation != self.generation {
            return Err(WrongBase {
                base: delta.base_generation,
                applied: self.generation,
            });
        }
        let mut environments = self.environments.clone();
        for key in &delta.remove {
            environments.remove(key);
        }
        environments.extend(delta.upsert);
        let tls = match delta.tls {
            None => Arc::clone(&self.tls),
            changed => Arc::new(self.tls.changed(changed)),
        };
        Ok(Self {
            generation: delta.generation,
            environments,
            tls,
        })
    }
}
