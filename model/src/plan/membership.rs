//! Who votes: every control node that has caught up. (Targets by zone come with the nodes issue.)

use std::collections::{BTreeMap, BTreeSet};

use crate::{State, ids::NodeId, node::Role};

/// The raft membership as the leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    pub voters: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
    /// How many log entries each member is behind.
    pub behind: BTreeMap<NodeId, u64>,
    /// A change is half done and must be finished before another begins.
    pub joint: bool,
}

/// One change of the membership. One at a time: the next is planned when this one is done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    AddLearner {
        node: NodeId,
        address: String,
    },
    /// Also finishes a change that was left half done.
    SetVoters(BTreeSet<NodeId>),
    /// Of a node that left the cluster.
    Remove(NodeId),
}

/// A learner this close to the leader votes without slowing anybody down.
pub const CAUGHT_UP: u64 = 100;

/// The next change, if one is due.
#[must_use]
pub fn next(state: &State, membership: &Membership) -> Option<Change> {
    let control: BTreeMap<NodeId, &str> = state
        .nodes_with(Role::Control)
        .map(|node| (node.id, node.address.as_str()))
        .collect();
    let mut voters: BTreeSet<NodeId> = membership
        .voters
        .iter()
        .copied()
        .filter(|id| control.contains_key(id))
        .collect();
    if voters.is_empty() {
        // Nobody registered yet: the first node votes before it is in the state.
        return None;
    }
    if membership.joint {
        return Some(Change::SetVoters(voters));
    }
    let member = |id: &NodeId| membership.voters.contains(id) || membership.learners.contains(id);
    if let Some((id, address)) = control.iter().find(|(id, _)| !member(id)) {
        return Some(Change::AddLearner {
            node: *id,
            address: (*address).to_owned(),
        });
    }
    let caught_up = |id: &&NodeId| {
        control.contains_key(id) && membership.behind.get(id).is_some_and(|n| *n <= CAUGHT_UP)
    };
    let before = voters.len();
    voters.extend(membership.learners.iter().find(caught_up));
    if voters.len() > before || voters.len() < membership.voters.len() {
        return Some(Change::SetVoters(voters));
    }
    membership
        .learners
        .iter()
        .find(|id| !control.contains_key(id))
        .map(|id| Change::Remove(*id))
}
