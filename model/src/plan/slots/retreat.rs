//! A release gives way in a rolling update: fewer and fewer of its frontends are wanted, and which
//! slot they hold does not matter any more.
//!
//! The best stay: those that serve before those that do not, so that a count which shrinks never
//! takes a healthy one while a broken one is left.

use std::{cmp::Reverse, collections::BTreeSet};

use super::{Draft, Work, forget, leave, rested};
use crate::{frontend::Frontend, ids::ServiceName, plan::placement, state::Group};

/// Sends away what is too many; answers which slots to fill, where even the best are too few.
pub(super) fn plan(work: &Work<'_>, service: &ServiceName, draft: &mut Draft) -> Vec<u32> {
    let Some(group) = work.state.group(work.key, service) else {
        return refill(work, service, &Group::default(), draft);
    };
    let wanted = work.wanted(service);
    let room = ailing(work, group, wanted.saturating_sub(group.healthy()), draft);
    for frontend in surplus(work, service, group, group.healthy().saturating_sub(wanted)) {
        give_way(frontend, draft);
    }
    if room == 0 {
        return Vec::new();
    }
    let mut missing = refill(work, service, group, draft);
    missing.truncate(room as usize);
    missing
}

fn give_way(frontend: &Frontend, draft: &mut Draft) {
    leave(frontend, "another release takes its place", draft);
}

/// Keeps the `room` best of those that are not healthy; answers how much room is left.
fn ailing(work: &Work<'_>, group: &Group, room: u32, draft: &mut Draft) -> u32 {
    let mut left = Vec::new();
    let ailing = group.ailing();
    for frontend in ailing.filter_map(|id| work.state.frontends.get(&id)) {
        if frontend.observed.phase.over() {
            forget(frontend, draft);
        } else {
            left.push(frontend);
        }
    }
    left.sort_by_key(|f| {
        let quality = (f.routable(), f.holds_slot(), stays(work, f));
        Reverse((quality, Reverse((f.slot, f.id))))
    });
    let leaving = left.split_off(left.len().min(room as usize));
    for frontend in leaving {
        give_way(frontend, draft);
    }
    room - left.len() as u32
}

/// The healthy ones to let go: on nodes that are drained first, then those of the highest slots.
fn surplus<'a>(
    work: &'a Work<'_>,
    service: &ServiceName,
    group: &Group,
    count: u32,
) -> Vec<&'a Frontend> {
    if count == 0 {
        return Vec::new();
    }
    let drained: BTreeSet<u32> = work.on_drained_nodes(service).collect();
    let others = group.slots().rev().filter(|slot| !drained.contains(slot));
    let mut leaving = Vec::new();
    for slot in drained.iter().copied().chain(others) {
        for frontend in work.state.frontends_in(group, slot) {
            if leaving.len() as u32 == count {
                return leaving;
            }
            if frontend.healthy() {
                leaving.push(frontend);
            }
        }
    }
    leaving
}

fn refill(work: &Work<'_>, service: &ServiceName, group: &Group, draft: &mut Draft) -> Vec<u32> {
    group
        .vacant(work.wanted(service))
        .into_iter()
        .filter(|slot| !placement::one_is_there(work.state, work.key, service, *slot))
        .filter(|slot| rested(work.key, work.loaded, service, *slot, draft))
        .collect()
}

fn stays(work: &Work<'_>, frontend: &Frontend) -> bool {
    let node = work.state.nodes.get(&frontend.node);
    node.is_some_and(|node| !node.draining)
}
