//! The immutable table: host -> environment and pool.
//!
//! A table is built beside the one in use and never changed. What did not change is shared with
//! the table before: the version of an environment's routes, and the slot of a frontend.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio_util::sync::CancellationToken;

use super::admission::Admission;
use super::gate::Together;
use super::observe::{Ledger, Tally};
use super::retry::Budget;
use super::shards::{self, Sharded};
use super::slot::{Connections, Slot};
use super::spec::{EnvironmentKey, EnvironmentSpec, PoolSpec, Spec};
use super::sticky::Cookies;
use super::tls::spec::TlsSpec;

/// Everything requests are routed by.
#[derive(Debug)]
pub(super) struct Table<C> {
    /// Tables this process has had before. Unlike the generation it grows by construction.
    pub(super) epoch: u64,
    exact: HashMap<Box<str>, Target<C>>,
    /// By what follows the "*.".
    wildcard: HashMap<Box<str>, Target<C>>,
    pub(super) tls: Arc<TlsSpec>,
    /// Some environment sends plain HTTP to HTTPS.
    pub(super) redirects: bool,
    /// Some environment has limits.
    pub(super) limits: bool,
}

/// Where a host leads.
#[derive(Debug)]
pub(super) struct Target<C> {
    pub(super) environment: Arc<Environment<C>>,
    pub(super) pool: usize,
}

/// One version of an environment's routes.
#[derive(Debug)]
pub(super) struct Environment<C> {
    pub(super) key: EnvironmentKey,
    pub(super) spec: EnvironmentSpec,
    pub(super) pools: Vec<Vec<Arc<Slot<C>>>>,
    /// Of pools whose clients keep their frontend.
    pub(super) cookies: Vec<Option<Cookies>>,
    /// The generation that brought this version.
    pub(super) since: u64,
    pub(super) kept: Kept,
    /// By pool.
    admissions: Vec<Admission>,
    /// Per pool, for what no frontend is asked.
    tallies: Vec<Arc<Tally>>,
    superseded: AtomicBool,
    /// Cancelled after that, for who waits.
    replaced: CancellationToken,
    requests: Sharded<AtomicU64>,
}

/// What an environment keeps across versions of its routes.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) budget: Arc<Budget>,
    pub(super) together: Arc<Together>,
}

impl Kept {
    /// That of an environment which was not there before.
    pub(super) fn new() -> Self {
        Self {
            budget: Arc::new(Budget::new()),
            together: Arc::new(Together::new()),
        }
    }
}

impl<C> Table<C> {
    /// The one before any was received: it knows no host.
    pub(super) fn empty() -> Self {
        Self {
            epoch: 0,
            exact: HashMap::new(),
            wildcard: HashMap::new(),
            tls: Arc::default(),
            redirects: false,
            limits: false,
        }
    }

    /// Indexes the hosts of `environments`, given in order of precedence.
    pub(super) fn index<'a>(
        epoch: u64,
        environments: impl Iterator<Item = &'a Arc<Environment<C>>>,
        tls: Arc<TlsSpec>,
    ) -> Self
    where
        C: 'a,
    {
        let (mut exact, mut wildcard) = (HashMap::new(), HashMap::new());
        let (mut redirects, mut limits) = (false, false);
        for environment in environments {
            let spec = &environment.spec;
            redirects |= spec.redirect;
            limits |= !(spec.requests.is_none() && spec.address_requests.is_none());
            for host in &environment.spec.hosts {
                let (map, name) = match host.pattern.strip_prefix("*.") {
                    Some(suffix) => (&mut wildcard, suffix),
                    None => (&mut exact, host.pattern.as_str()),
                };
                map.entry(name.into()).or_insert_with(|| Target {
                    environment: Arc::clone(environment),
                    pool: host.pool,
                });
            }
        }
        Self {
            epoch,
            exact,
            wildcard,
            tls,
            redirects,
            limits,
        }
    }

    /// Where requests for a normalised host go: exact first, then the longest wildcard.
    pub(super) fn lookup(&self, host: &str) -> Option<&Target<C>> {
        if let Some(target) = self.exact.get(host) {
            return Some(target);
        }
        if self.wildcard.is_empty() {
            return None;
        }
        let mut rest = host;
        while let Some((_, suffix)) = rest.split_once('.') {
            if let Some(target) = self.wildcard.get(suffix) {
                return Some(target);
            }
            rest = suffix;
        }
        None
    }
}

impl<C> Target<C> {
    /// Where requests are counted that come here, and to none of the frontends.
    pub(super) fn tally(&self) -> &Arc<Tally> {
        &self.environment.tallies[self.pool]
    }
}

impl<C: Connections> Environment<C> {
    pub(super) fn new(
        key: EnvironmentKey,
        spec: EnvironmentSpec,
        pools: Vec<Vec<Arc<Slot<C>>>>,
        since: u64,
        kept: Kept,
        ledger: &mut Ledger,
    ) -> Self {
        let (superseded, requests) = (AtomicBool::new(false), Sharded::new());
        let replaced = CancellationToken::new();
        let cookies = spec.pools.iter().map(cookies).collect();
        let tallies = spec.pools.iter().map(|pool| {
            // Both releases of a promotion answer in one pool: what neither does is the active one's.
            let shared = pool.release.is_empty();
            let release = if shared {
                &spec.active_release
            } else {
                &pool.release
            };
            ledger.of(&key, release)
        });
        let tallies = tallies.collect();
        let admission = |pool: &PoolSpec| Admission::of(spec.admitted.iter().chain(&pool.admitted));
        let admissions = spec.pools.iter().map(admission).collect();
        Self {
            key,
            spec,
            pools,
            cookies,
            since,
            kept,
            admissions,
            tallies,
            superseded,
            replaced,
            requests,
        }
    }

    /// Whether a client at this address may reach a pool.
    pub(super) fn admits(&self, pool: usize, client: IpAddr) -> bool {
        self.admissions[pool].admits(client)
    }

    /// Counts a request in; the shard is to be given back to `leave`, so that no shard's count is
    /// ever below the number of its requests in flight, and `is_idle` may read them one by one.
    pub(super) fn enter(&self) -> usize {
        let shard = shards::mine();
        self.requests.at(shard).fetch_add(1, Ordering::SeqCst);
        shard
    }

    /// Counts it out. True when this version is superseded and its last request has ended.
    pub(super) fn leave(&self, shard: usize) -> bool {
        let last = self.requests.at(shard).fetch_sub(1, Ordering::SeqCst) == 1;
        last && self.superseded.load(Ordering::SeqCst) && self.is_idle()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.requests
            .iter()
            .all(|requests| requests.load(Ordering::SeqCst) == 0)
    }

    /// A newer version took its place.
    pub(super) fn supersede(&self) {
        self.superseded.store(true, Ordering::SeqCst);
        self.replaced.cancel();
    }

    /// Returns when that has happened.
    pub(super) async fn replaced(&self) {
        self.replaced.cancelled().await;
    }
}

fn cookies(pool: &PoolSpec) -> Option<Cookies> {
    let frontends = pool.backends.iter().map(|backend| backend.id);
    pool.sticky.as_ref().map(|key| Cookies::of(key, frontends))
}

/// Whether a spec has the same environment as this version.
pub(super) fn unchanged<C>(version: &Environment<C>, spec: &Spec) -> bool {
    spec.environments.get(&version.key) == Some(&version.spec)
}
