//! Who votes: one, three or five of the control nodes, spread over the zones; the others learn and
//! wait.
//!
//! An even number of voters survives no more failures than the odd one below it, and more than five
//! make every commit slower. [`next`] names one change at a time and never one that is half of a
//! better one: it shrinks the number of voters only when nobody is catching up to take a place.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    State,
    command::{Command, NodeChange},
    ids::NodeId,
    node::{MUTE_AFTER, Node, Role, Vote},
    time::Millis,
};

/// The raft membership as the leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// Who looks at it: `None` where nobody leads.
    pub leader: Option<NodeId>,
    pub voters: BTreeSet<NodeId>,
    pub learners: BTreeSet<NodeId>,
    /// How many log entries each member is behind.
    pub behind: BTreeMap<NodeId, u64>,
    /// For how long each other member has not answered the leader; a new leader counts from its
    /// own beginning.
    pub silent: BTreeMap<NodeId, Millis>,
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
    /// The leader is to leave, or to be emptied: another leads first.
    HandOver(NodeId),
    /// Of a node that left the cluster.
    Remove(NodeId),
}

/// A learner this close to the leader votes without slowing anybody down.
pub const CAUGHT_UP: u64 = 100;

/// A member that did not answer for this long is not chosen for anything new.
pub const UNHEARD: Millis = Millis::seconds(5);

/// The next change, if one is due.
#[must_use]
pub fn next(state: &State, membership: &Membership) -> Option<Change> {
    let known = state
        .nodes_with(Role::Control)
        .any(|node| membership.voters.contains(&node.id));
    if !known {
        // Nobody registered yet: the first node votes before it is in the state.
        return None;
    }
    let wanted = voters(state, membership);
    if let Some(successor) = successor(state, membership, &wanted) {
        return Some(Change::HandOver(successor));
    }
    if membership.joint {
        return Some(Change::SetVoters(wanted));
    }
    let strangers = members(state).find(|node| !membership.has(node.id));
    if let Some(node) = strangers {
        return Some(Change::AddLearner {
            node: node.id,
            address: node.address.clone(),
        });
    }
    let leads_still = membership.leader.is_some_and(|leader| {
        // It could not hand over yet, and must not put itself out.
        membership.voters.contains(&leader) && !wanted.contains(&leader)
    });
    if wanted != membership.voters && !leads_still {
        return Some(Change::SetVoters(wanted));
    }
    let stays: BTreeSet<NodeId> = members(state).map(|node| node.id).collect();
    let gone = |id: &&NodeId| !stays.contains(id);
    membership
        .learners
        .iter()
        .find(gone)
        .map(|id| Change::Remove(*id))
}

/// Commands that commit what the leader has found out of the control processes: that one has been
/// silent for [`MUTE_AFTER`], or is heard again.
#[must_use]
pub fn news(state: &State, membership: &Membership) -> Vec<Command> {
    let verdict = |node: &Node| {
        let silence = membership.silent.get(&node.id)?;
        let mute = if node.mute.is_some() {
            *silence >= UNHEARD
        } else {
            *silence >= MUTE_AFTER
        };
        (mute != node.mute.is_some()).then_some(Command::ChangeNode {
            node: node.id,
            change: NodeChange::Mute(mute),
        })
    };
    let voting = |node: &&Node| membership.voters.contains(&node.id) || node.mute.is_some();
    members(state).filter(voting).filter_map(verdict).collect()
}

/// Control nodes that are to be members.
fn members(state: &State) -> impl Iterator<Item = &Node> {
    state.nodes_with(Role::Control).filter(|node| !node.leaving)
}

impl Membership {
    fn has(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.learners.contains(&id)
    }

    fn heard(&self, id: NodeId) -> bool {
        self.silent
            .get(&id)
            .is_none_or(|silence| *silence < UNHEARD)
    }

    fn caught_up(&self, id: NodeId) -> bool {
        self.heard(id) && self.behind.get(&id).is_some_and(|n| *n <= CAUGHT_UP)
    }
}

/// Who should vote now.
#[must_use]
pub fn voters(state: &State, membership: &Membership) -> BTreeSet<NodeId> {
    let votes = |node: &&Node| membership.voters.contains(&node.id);
    let able = |node: &&Node| votes(node) || membership.caught_up(node.id);
    let willing = || members(state).filter(|node| node.vote != Vote::Never);
    let candidates: Vec<&Node> = willing().filter(able).collect();
    let promoted = candidates.iter().filter(|n| n.vote == Vote::Always).count();
    let target = target(candidates.len()).max(promoted);
    let chosen = choose(&candidates, target, membership);
    // Somebody is about to take the place of whoever would go without a successor.
    let coming = willing().any(|node| {
        membership.learners.contains(&node.id)
            && membership.heard(node.id)
            && !membership.caught_up(node.id)
    });
    let empty = chosen.is_empty();
    if empty || coming && chosen.len() < membership.voters.len() {
        return membership.voters.clone();
    }
    chosen
}

/// How many of so many control nodes vote.
#[must_use]
pub fn target(control: usize) -> usize {
    match control {
        0..3 => control.min(1),
        3..5 => 3,
        _ => 5,
    }
}

/// The best so many: promoted ones first, then those that are heard, then one of each zone, then
/// those that vote already, so that nothing changes without a reason.
fn choose(candidates: &[&Node], count: usize, membership: &Membership) -> BTreeSet<NodeId> {
    let mut left: Vec<&Node> = candidates.to_vec();
    let mut chosen: Vec<&Node> = Vec::new();
    while chosen.len() < count {
        let rank = |node: &&Node| {
            let same = |other: &&&Node| node.zone().is_some() && other.zone() == node.zone();
            (
                node.vote != Vote::Always,
                node.mute.is_some(),
                chosen.iter().filter(same).count(),
                !membership.voters.contains(&node.id),
                node.id,
            )
        };
        let best = left.iter().copied().min_by_key(rank);
        let Some(best) = best else { break };
        left.retain(|node| node.id != best.id);
        chosen.push(best);
    }
    chosen.iter().map(|node| node.id).collect()
}

/// Who leads instead of a leader that is drained, leaves, or shall not vote any more.
fn successor(state: &State, membership: &Membership, wanted: &BTreeSet<NodeId>) -> Option<NodeId> {
    let leader = membership.leader?;
    let node = state.nodes.get(&leader);
    let goes = node.is_none_or(|node| node.draining || node.leaving) || !wanted.contains(&leader);
    if !goes {
        return None;
    }
    heir(state, membership, |id| wanted.contains(&id))
}

/// Who would lead best instead of the leader: a voter that has everything, is heard and stays.
#[must_use]
pub fn heir(
    state: &State,
    membership: &Membership,
    admits: impl Fn(NodeId) -> bool,
) -> Option<NodeId> {
    let stays = |node: &Node| !node.draining && !node.leaving && node.mute.is_none();
    let fit = |id: &NodeId| {
        Some(*id) != membership.leader
            && admits(*id)
            && membership.caught_up(*id)
            && state.nodes.get(id).is_some_and(stays)
    };
    let others = membership.voters.iter().copied().filter(fit);
    others.min_by_key(|id| (membership.behind.get(id).copied(), *id))
}

#[cfg(test)]
mod tests;
