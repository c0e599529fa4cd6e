//! Copies of artefacts: which control nodes should hold one.

use std::collections::BTreeSet;

use imbl::OrdSet;

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
        .filter(|b| b.status == BuildStatus::Running && b.step.is_none())
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

/// What `node` should fetch: archives and logs of builds with too few copies for which it is among
/// the next in line. Every control node answers for itself and they agree, because the line is the
/// order of ids after the digest's own place in it.
#[must_use]
pub fn to_fetch(state: &State, node: NodeId) -> BTreeSet<Digest> {
    let wanted = wanted(state);
    let of_use = |build: &Build, digest: &Digest| {
        !matches!(build.status, BuildStatus::Failed { .. }) || *digest != build.digest
    };
    let mut missing = BTreeSet::new();
    for build in state.builds.values() {
        for (digest, _, holders) in build.kept() {
            let lacks = wanted.saturating_sub(holders.len());
            let mut next = next_in_line(state, digest, holders).take(lacks);
            if of_use(build, digest) && next.any(|next| next == node) {
                missing.insert(digest.clone());
            }
        }
    }
    missing
}

/// How large a kept object is and who holds it, if any build keeps it.
#[must_use]
pub fn known<'a>(state: &'a State, digest: &Digest) -> Option<(u64, &'a OrdSet<NodeId>)> {
    let kept = state.builds.values().flat_map(Build::kept);
    kept.filter(|(kept, ..)| *kept == digest)
        .map(|(_, size, holders)| (size, holders))
        .next()
}

fn next_in_line<'a>(
    state: &'a State,
    digest: &Digest,
    holders: &'a OrdSet<NodeId>,
) -> impl Iterator<Item = NodeId> + use<'a> {
    let nodes: Vec<NodeId> = state
        .nodes_with(Role::Control)
        .map(|node| node.id)
        .collect();
    let start = place_of(digest) % nodes.len().max(1);
    let (before, after) = nodes.split_at(start);
    let line: Vec<NodeId> = after.iter().chain(before).copied().collect();
    line.into_iter().filter(|node| !holders.contains(node))
}

/// Spreads artefacts over nodes: the first bytes of a sha256 are as good as random.
fn place_of(digest: &Digest) -> usize {
    usize::from_str_radix(&digest.as_str()[..7], 16).unwrap_or(0)
}
