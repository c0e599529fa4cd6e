//! A request's hold on the frontend and the routes that were chosen for it.

use std::sync::Arc;

use tokio::sync::Notify;

use super::balancer;
use super::slot::{Connections, FrontendId, Slot};
use super::spec::Settings;
use super::table::{Environment, Table};

/// What the table says about a request.
#[derive(Debug)]
pub(super) enum Choice<C: Connections> {
    /// No environment has this host.
    Unknown,
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
    shard: usize,
    idle: Arc<Notify>,
}

impl<C: Connections> Choice<C> {
    /// Looks up, chooses, counts in. The caller checks afterwards that the table was not replaced
    /// meanwhile (see `routes`), and drops the pin if it was.
    pub(super) fn make(
        table: &Table<C>,
        host: &str,
        tried: &[FrontendId],
        entropy: u64,
        now_ms: u64,
        idle: &Arc<Notify>,
    ) -> Self {
        let Some(target) = table.lookup(host) else {
            return Self::Unknown;
        };
        let environment = &target.environment;
        if environment.spec.maintenance {
            return Self::Maintenance;
        }
        let slots = &environment.pools[target.pool];
        let candidate = |index: usize| slots[index].candidate(tried, now_ms);
        match balancer::choose(slots.len(), candidate, entropy) {
            Some(index) => Self::Pinned(Pin::new(&slots[index], environment, idle)),
            None => Self::Nobody(environment.spec.settings),
        }
    }
}

impl<C: Connections> Pin<C> {
    fn new(slot: &Arc<Slot<C>>, environment: &Arc<Environment<C>>, idle: &Arc<Notify>) -> Self {
        slot.enter();
        let shard = environment.enter();
        Self {
            slot: Arc::clone(slot),
            environment: Arc::clone(environment),
            shard,
            idle: Arc::clone(idle),
        }
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
