//! A restart replaces frontends one at a time: of each service one slot has its turn.

use super::{Draft, Work, leave};
use crate::{Time, frontend::Frontend, ids::ServiceName, state::Group};

/// The slot of a service whose frontend is being replaced.
#[derive(Clone, Copy)]
pub(super) struct Turn {
    pub(super) slot: u32,
    /// Of this service there may never be two: the old one stops before the new one starts.
    pub(super) stop_first: bool,
    /// Frontends placed before are outdated.
    since: Time,
}

/// The lowest slot that still has a frontend from before the restart.
pub(super) fn turn(work: &Work<'_>, service: &ServiceName, group: &Group) -> Option<Turn> {
    let since = *work.loaded.restarts.get(service)?;
    let manifest = work.loaded.manifest.services.get(service)?;
    let outdated = |slot: &u32| {
        let mut held = work.held(group, *slot).into_iter();
        held.any(|f| f.placed < since && f.holds_slot())
    };
    let slot = group
        .slots()
        .take_while(|slot| *slot <= work.wanted(service))
        .find(outdated)?;
    Some(Turn {
        slot,
        stop_first: manifest.singleton || manifest.agent,
        since,
    })
}

impl Turn {
    pub(super) fn outdated(&self, frontend: &Frontend) -> bool {
        frontend.placed < self.since
    }

    pub(super) fn dismiss(&self, held: &[&Frontend], draft: &mut Draft) {
        for frontend in held.iter().filter(|frontend| self.outdated(frontend)) {
            leave(frontend, "it is restarted", draft);
        }
    }
}
