//! Copies of artefacts: which control nodes should hold one.

use std::collections::BTreeSet;

use super::Draft;
use crate::{
    State,
    build::{Build, BuildStatus, COPIES},
    ids::{Digest, NodeId},
    node::Role,
    report::{Reason, Waiting},
};

pub(super) fn plan(state: &State, draft: &mut Draft) {
    for build in state
        .builds
        .values()
        .filter(|b| b.status == BuildStatus::Running)
    {
        draft.waiting.push(Waiting {
            environment: None,
            release: None,
            since: build.created,
            reason: Reason::Copies {
                have: build.holders.len() as u32,
                want: wanted(state) as u32,
            },
        });
    }
}

/// How many control nodes must hold an artefact now.
#[must_use]
pub fn wanted(state: &State) -> usize {
    COPIES.min(state.nodes_with(Role::Control).count()).max(1)
}

/// The artefacts `node` should fetch: those of builds with too few copies for which it is among the
/// next in line. Every control node answers for itself and they agree, because the line is the
/// order of ids after the digest's own place in it.
#[must_use]
pub fn to_fetch(state: &State, node: NodeId) -> BTreeSet<Digest> {
    let wanted = wanted(state);
    let lacks = |build: &&Build| {
        !matches!(build.status, BuildStatus::Failed { .. }) && build.holders.len() < wanted
    };
    state
        .builds
        .values()
        .filter(lacks)
        .filter(|build| {
            next_in_line(state, build)
                .take(wanted - build.holders.len())
                .any(|n| n == node)
        })
        .map(|build| build.digest.clone())
        .collect()
}

fn next_in_line<'a>(state: &'a State, build: &'a Build) -> impl Iterator<Item = NodeId> + 'a {
    let nodes: Vec<NodeId> = state
        .nodes_with(Role::Control)
        .map(|node| node.id)
        .collect();
    let start = place_of(&build.digest) % nodes.len().max(1);
    let (before, after) = nodes.split_at(start);
    let line: Vec<NodeId> = after.iter().chain(before).copied().collect();
    line.into_iter()
        .filter(|node| !build.holders.contains(node))
}

/// Spreads artefacts over nodes: the first bytes of a sha256 are as good as random.
fn place_of(digest: &Digest) -> usize {
    usize::from_str_radix(&digest.as_str()[..7], 16).unwrap_or(0)
}
