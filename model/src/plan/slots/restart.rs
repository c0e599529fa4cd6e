//! A restart replaces frontends one at a time: of each service one slot has its turn.

use std::collections::BTreeMap;

use super::{Draft, Work, leave};
use crate::{Time, frontend::Frontend, ids::ServiceName};

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
pub(super) fn turn(
    work: &Work<'_>,
    service: &ServiceName,
    by_slot: &BTreeMap<u32, Vec<&Frontend>>,
) -> Option<Turn> {
    let since = *work.loaded.restarts.get(service)?;
    let manifest = work.loaded.manifest.services.get(service)?;
    let outdated = |held: &Vec<&Frontend>| held.iter().any(|f| f.placed < since && f.holds_slot());
    let (slot, _) = by_slot
        .iter()
        .find(|(slot, held)| **slot <= work.wanted(service) && outdated(held))?;
    Some(Turn {
        slot: *slot,
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
