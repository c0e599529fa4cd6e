//! Frontends move to nodes that joined or came back, one after the other: the replacement starts
//! first, as when a node is drained (`slots`), and only where that spreads strictly better, so that
//! moves come to an end.

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, placement};
use crate::{
    State,
    command::Command,
    frontend::{Desired, Frontend},
    ids::{LoadedKey, NodeId, ServiceName},
    manifest::Service,
    node::Node,
    time::Millis,
};

/// A move that has not come to an end after this long is given up.
const PATIENCE: Millis = Millis::seconds(300);

pub(super) fn plan(state: &State, draft: &mut Draft) {
    let balance = &state.balance;
    if balance.interval().is_none() || state.nodes.len() < 2 {
        return;
    }
    // Looking for a better place costs a walk over everything, and a rollout must not pay for it.
    if state.rollouts.values().any(|rollout| !rollout.phase.over()) {
        return;
    }
    let busy = !draft.commands.is_empty() || !draft.steps.is_empty();
    if busy || !draft.placements.is_empty() {
        return;
    }
    if balance.not_before > draft.now {
        draft.wake(balance.not_before);
        return;
    }
    let moving = balance.moving.and_then(|id| state.frontends.get(&id));
    if moving.is_some_and(|frontend| state.is_moving(frontend)) {
        let until = balance.not_before.plus(PATIENCE);
        if draft.now < until {
            draft.wake(until);
            return;
        }
    }
    if let Some(frontend) = next(state) {
        draft.commands.push(Command::Move {
            frontend: frontend.id,
            assumed: frontend.revision,
        });
    }
}

/// The frontend that should move next, whenever that may be.
#[must_use]
pub fn next(state: &State) -> Option<&Frontend> {
    let spread = Spread::of(state);
    state.loaded.iter().find_map(|(key, loaded)| {
        if !loaded.status.wants_frontends() || state.is_rolling(&key.environment) {
            return None;
        }
        let services = loaded.manifest.services.iter();
        let movable = services.filter(|(_, service)| !service.singleton && !service.agent);
        movable
            .filter(|(name, _)| settled(state, key, name))
            .find_map(|(name, service)| spread.better(key, name, service))
    })
}

/// Whether all frontends of a service are there and healthy: others have other worries.
fn settled(state: &State, key: &LoadedKey, service: &ServiceName) -> bool {
    let wanted = state
        .loaded
        .get(key)
        .and_then(|loaded| loaded.desired.get(service))
        .copied()
        .unwrap_or(0);
    state.group(key, service).is_some_and(|group| {
        (group.there(), group.kept(), group.healthy()) == (wanted, wanted, wanted)
    })
}

/// What every node carries.
struct Spread<'a> {
    state: &'a State,
    total: BTreeMap<NodeId, u32>,
}

/// How well a frontend sits somewhere, best first; the order is that of placing.
type Seat = (std::cmp::Reverse<u32>, u32, u32, u32);

impl<'a> Spread<'a> {
    fn of(state: &'a State) -> Self {
        let mut total: BTreeMap<NodeId, u32> = BTreeMap::new();
        let wanted = state.frontends.values();
        for frontend in wanted.filter(|f| f.desired != Desired::Stop) {
            *total.entry(frontend.node).or_default() += 1;
        }
        Self { state, total }
    }

    /// A frontend of a service that would sit strictly better elsewhere.
    fn better(
        &self,
        key: &LoadedKey,
        name: &ServiceName,
        service: &Service,
    ) -> Option<&'a Frontend> {
        let state = self.state;
        let here: Vec<&Frontend> = state
            .frontends_of(key)
            .filter(|f| f.service == *name && f.healthy())
            .collect();
        let mut on: BTreeMap<NodeId, u32> = BTreeMap::new();
        let mut zones: BTreeMap<&str, u32> = BTreeMap::new();
        for node in here.iter().filter_map(|f| state.nodes.get(&f.node)) {
            *on.entry(node.id).or_default() += 1;
            *zones.entry(node.zone().unwrap_or_default()).or_default() += 1;
        }
        // As if the frontend, which sits on `from`, were not there.
        let seat = |node: &Node, from: &Node| -> Seat {
            let same = u32::from(node.id == from.id);
            let at = on.get(&node.id).copied().unwrap_or(0) - same;
            let in_zone = match node.zone() {
                None => at,
                Some(zone) => {
                    let same = u32::from(from.zone() == Some(zone));
                    zones.get(zone).copied().unwrap_or(0) - same
                }
            };
            let total = self.total.get(&node.id).copied().unwrap_or(0) - same;
            (placement::affinity(Some(service), node), in_zone, at, total)
        };
        let sources: BTreeSet<NodeId> = on.keys().copied().collect();
        let takes = |node: &&Node| placement::admits(state, key, name, node.id);
        let targets: Vec<&Node> = state.nodes.values().filter(takes).collect();
        let source = sources.iter().find(|source| {
            let from = state.nodes.get(*source);
            from.is_some_and(|from| {
                let now = seat(from, from);
                let others = targets.iter().filter(|node| node.id != from.id);
                others.map(|node| seat(node, from)).any(|seat| seat < now)
            })
        })?;
        here.into_iter().rev().find(|f| f.node == *source)
    }
}
