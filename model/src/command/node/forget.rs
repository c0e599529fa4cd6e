//! Nodes are no members any more: what ran there, and what they held, is forgotten with them.

use std::collections::BTreeSet;

use imbl::OrdSet;

use crate::{
    State,
    ids::{EnvironmentKey, NodeId},
};

/// Takes nodes out of the state, whatever runs there.
pub(in crate::command) fn forget(state: &mut State, nodes: &BTreeSet<NodeId>) {
    let frontends: Vec<_> = state
        .frontends
        .values()
        .filter(|frontend| nodes.contains(&frontend.node))
        .map(|frontend| (frontend.id, frontend.loaded.environment.clone()))
        .collect();
    let touched: BTreeSet<EnvironmentKey> = frontends
        .iter()
        .map(|(_, environment)| environment.clone())
        .collect();
    for (id, _) in frontends {
        state.remove_frontend(id);
    }
    for environment in &touched {
        state.reroute(environment);
    }
    // A copy on a removed node is no copy.
    let index = state.index;
    let holding: Vec<_> = state
        .builds
        .values()
        .filter(|build| {
            build
                .kept()
                .any(|(.., held)| held.iter().any(|id| nodes.contains(id)))
        })
        .map(|build| build.id.clone())
        .collect();
    for id in holding {
        if let Some(build) = state.builds.get_mut(&id) {
            build.holders = without(&build.holders, nodes);
            if let Some(log) = &mut build.log {
                log.holders = without(&log.holders, nodes);
            }
            build.revision = index;
        }
    }
    for id in nodes {
        state.nodes.remove(id);
        state.trust.held.remove(id);
    }
}

fn without(holders: &OrdSet<NodeId>, gone: &BTreeSet<NodeId>) -> OrdSet<NodeId> {
    let left = holders.iter().filter(|id| !gone.contains(id));
    left.copied().collect()
}
