//! A request's hold on the frontend and the routes that were chosen for it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use tokio::sync::Notify;

use super::balancer::{self, Fitness};
use super::limits;
use super::slot::{Connections, FrontendId, Slot};
use super::spec::Settings;
use super::table::{Environment, Table};

/// What a frontend is chosen by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked<'a> {
    /// As the table spells it.
    pub(super) host: &'a str,
    pub(super) client: IpAddr,
    pub(super) cookie: Option<&'a HeaderValue>,
    /// Frontends where this request failed already.
    pub(super) tried: &'a [FrontendId],
    pub(super) entropy: u64,
    pub(super) now_ms: u64,
}

/// What the table says about a request.
#[derive(Debug)]
pub(super) enum Choice<C: Connections> {
    /// No environment has this host.
    Unknown,
    /// The client is not let in.
    Refused,
    /// The environment is closed for maintenance.
    Maintenance,
    /// The pool has nobody, or the request failed at everybody.
    Nobody(Settings),
    /// Counted in at a frontend.
    Pinned(Pin<C>),
}

/// Counts a request in at a frontend and at the version of the routes that chose it, until it is
/// dropped: after the last byte of the response, or when the request is given up.
#[derive(Debug)]
pub(super) struct Pin<C: Connections> {
    pub(super) slot: Arc<Slot<C>>,
    pub(super) environment: Arc<Environment<C>>,
    pool: usize,
    /// In the pool.
    index: usize,
    /// The client named this frontend by its cookie.
    by_cookie: bool,
    shard: usize,
    idle: Arc<Notify>,
}

impl<C: Connections> Choice<C> {
    /// Looks up, chooses, counts in. The caller checks afterwards that the table was not replaced
    /// meanwhile (see `routes`), and drops the pin if it was.
    pub(super) fn make(table: &Table<C>, asked: &Asked<'_>, idle: &Arc<Notify>) -> Self {
        let Some(target) = table.lookup(asked.host) else {
            return Self::Unknown;
        };
        let environment = &target.environment;
        if !environment.admits(target.pool, asked.client) {
            return Self::Refused;
        }
        if environment.spec.maintenance {
            return Self::Maintenance;
        }
        let slots = &environment.pools[target.pool];
        let candidate = |index: usize| slots[index].candidate(asked.tried, asked.now_ms);
        // A frontend that is kept is kept while it works: an answer from elsewhere is better than
        // none.
        let kept = environment.cookies[target.pool]
            .as_ref()
            .zip(asked.cookie)
            .and_then(|(cookies, header)| cookies.named(header))
            .filter(|index| candidate(*index).fitness == Fitness::Fit);
        let chosen = kept.or_else(|| balancer::choose(slots.len(), candidate, asked.entropy));
        match chosen {
            Some(index) => {
                let place = (target.pool, index);
                Self::Pinned(Pin::new(environment, place, kept.is_some(), idle))
            }
            None => Self::Nobody(environment.spec.settings),
        }
    }
}

impl<C: Connections> Pin<C> {
    fn new(
        environment: &Arc<Environment<C>>,
        (pool, index): (usize, usize),
        by_cookie: bool,
        idle: &Arc<Notify>,
    ) -> Self {
        let slot = &environment.pools[pool][index];
        slot.enter();
        let shard = environment.enter();
        Self {
            slot: Arc::clone(slot),
            environment: Arc::clone(environment),
            pool,
            index,
            by_cookie,
            shard,
            idle: Arc::clone(idle),
        }
    }

    /// Name of the service that was asked for.
    pub(super) fn service(&self) -> &str {
        &self.environment.spec.pools[self.pool].service
    }

    /// How long the head of a response may take.
    pub(super) fn response_timeout(&self) -> Duration {
        let spec = &self.environment.spec;
        let own = spec.pools[self.pool].response_timeout;
        own.unwrap_or(spec.settings.response_timeout)
    }

    /// How long what has no end of its own may last once routes lead elsewhere.
    pub(super) fn drain(&self) -> Duration {
        let own = self.environment.spec.pools[self.pool].drain;
        own.unwrap_or(limits::DRAIN)
    }

    /// The `Set-Cookie` header that brings the client back here, where clients keep their frontend
    /// and this one does not yet.
    pub(super) fn cookie(&self, secure: bool) -> Option<HeaderValue> {
        let cookies = self.environment.cookies[self.pool].as_ref()?;
        (!self.by_cookie).then(|| cookies.set(self.index, secure))?
    }
}

impl<C: Connections> Drop for Pin<C> {
    fn drop(&mut self) {
        let frontend_idle = self.slot.leave();
        let routes_idle = self.environment.leave(self.shard);
        if frontend_idle || routes_idle {
            self.idle.notify_one();
        }
    }
}
