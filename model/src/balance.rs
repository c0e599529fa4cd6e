//! Moves that only spread better: how fast, and which one is under way.

use crate::{State, Time, frontend::Desired, frontend::Frontend, ids::FrontendId, time::Millis};

/// What the cluster remembers of moving frontends to nodes that joined or came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// At most so many moves a minute; 0: none at all.
    pub per_minute: u32,
    /// No move begins before.
    pub not_before: Time,
    /// The frontend that is being replaced elsewhere, if it is still there.
    pub moving: Option<FrontendId>,
}

/// Moves a minute where nothing else was set: slow enough that caches and connections of a service
/// are never all new at once, fast enough that a node that joined carries its share within minutes.
pub const MOVES_PER_MINUTE: u32 = 6;

/// After a node joined, came back, or takes frontends again, nothing moves for this long: it may go
/// again as fast as it came.
pub const SETTLE: Millis = Millis::seconds(60);

impl Default for Balance {
    fn default() -> Self {
        Self {
            per_minute: MOVES_PER_MINUTE,
            not_before: Time::default(),
            moving: None,
        }
    }
}

impl Balance {
    /// The time from one move to the next; `None` when there shall be none.
    #[must_use]
    pub fn interval(&self) -> Option<Millis> {
        60_000_u64.checked_div(self.per_minute.into()).map(Millis)
    }
}

impl State {
    /// Whether a frontend is to be replaced elsewhere only to spread better. A rollout goes first:
    /// while there is one in its environment, it stays where it is.
    #[must_use]
    pub fn is_moving(&self, frontend: &Frontend) -> bool {
        self.balance.moving == Some(frontend.id)
            && frontend.desired == Desired::Run
            && !self.is_rolling(&frontend.loaded.environment)
    }

    /// Whether a rollout is under way in an environment.
    #[must_use]
    pub fn is_rolling(&self, environment: &crate::ids::EnvironmentKey) -> bool {
        let rollout = self.rollouts.get(environment);
        rollout.is_some_and(|rollout| !rollout.phase.over())
    }

    /// A node came: what it changes about the spread is looked at when it has settled.
    pub(crate) fn settle_balance(&mut self) {
        let settled = self.now.plus(SETTLE);
        self.balance.not_before = self.balance.not_before.max(settled);
    }
}
