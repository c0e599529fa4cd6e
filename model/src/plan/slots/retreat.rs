//! A release gives way in a rolling update: fewer and fewer of its frontends are wanted, and which
//! slot they hold does not matter any more.
//!
//! The best stay: those that serve before those that do not, so that a count which shrinks never
//! takes a healthy one while a broken one is left.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{Draft, Work, forget, leave, rested};
use crate::{frontend::Frontend, ids::ServiceName};

/// Sends away what is too many; answers which slots to fill, where even the best are too few.
pub(super) fn plan(work: &Work<'_>, service: &ServiceName, draft: &mut Draft) -> Vec<u32> {
    let wanted = work.wanted(service) as usize;
    let mut held = Vec::new();
    for frontend in work.by_slot(service).into_values().flatten() {
        if frontend.observed.phase.over() {
            forget(frontend, draft);
        } else {
            held.push(frontend);
        }
    }
    let stays = |f: &Frontend| {
        let node = work.state.nodes.get(&f.node);
        node.is_some_and(|node| !node.draining)
    };
    held.sort_by_key(|f| {
        Reverse((
            f.healthy(),
            f.routable(),
            f.holds_slot(),
            stays(f),
            Reverse((f.slot, f.id)),
        ))
    });
    let leaving = held.split_off(wanted.min(held.len()));
    for frontend in leaving {
        leave(frontend, "another release takes its place", draft);
    }
    let taken: BTreeSet<u32> = held.iter().map(|frontend| frontend.slot).collect();
    (1..=work.wanted(service))
        .filter(|slot| !taken.contains(slot))
        .take(wanted - held.len())
        .filter(|slot| rested(work.key, work.loaded, service, *slot, draft))
        .collect()
}
