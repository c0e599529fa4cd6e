//! Carries out changes of the raft membership that the model asks for, on the leader.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use fleet_model::{
    ids::NodeId,
    plan::membership::{self, Change, Membership},
};
use fleet_proto::v1::RaftRole;
use tokio::sync::watch;

use super::Context;
use crate::consensus::MembershipError;

/// A learner's progress is no event: it is looked at this often while there is something to change.
const LOOK: Duration = Duration::from_millis(200);

pub(super) async fn run(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let mut leadership = context.consensus.leadership();
    let mut state = context.state.clone();
    loop {
        tokio::select! {
            _ = stopped.changed() => return,
            leads = leadership.wait_for(|leadership| leadership.is_self) => {
                if leads.is_err() { return }
            }
        }
        let pending = step(&context).await;
        tokio::select! {
            _ = stopped.changed() => return,
            _ = leadership.changed() => {}
            changed = state.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(LOOK), if pending => {}
        }
    }
}

/// Makes one change; answers whether another look is due soon.
async fn step(context: &Context) -> bool {
    let members = seen(context);
    let Some(change) = membership::next(&context.snapshot(), &members) else {
        return !members.learners.is_empty();
    };
    tracing::info!(?change, "changing the membership");
    let outcome = match &change {
        Change::AddLearner { node, address } => {
            context.consensus.add_learner(node.0, address).await
        }
        Change::SetVoters(voters) if !voters.contains(&context.id()) => {
            hand_over(context, voters).await
        }
        Change::SetVoters(voters) => {
            let voters = voters.iter().map(|id| id.0).collect();
            context.consensus.set_voters(voters).await
        }
        Change::Remove(node) => context.consensus.remove(node.0).await,
    };
    if let Err(error) = outcome {
        tracing::warn!(%error, ?change, "the membership could not be changed yet");
    }
    true
}

/// A leader that is to leave does not change the membership: its successor does.
async fn hand_over(context: &Context, voters: &BTreeSet<NodeId>) -> Result<(), MembershipError> {
    match voters.first() {
        Some(successor) => context.consensus.transfer_leader(successor.0).await,
        None => Ok(()),
    }
}

fn seen(context: &Context) -> Membership {
    let members = context.consensus.members();
    let last = members.last_index;
    let behind = members
        .matched
        .iter()
        .map(|(id, matched)| (NodeId(*id), last.saturating_sub(*matched)));
    Membership {
        behind: behind.collect(),
        voters: members.voters.keys().map(|id| NodeId(*id)).collect(),
        learners: members.learners.keys().map(|id| NodeId(*id)).collect(),
        joint: members.joint,
    }
}

/// How a node takes part, for `node list`.
pub(super) fn raft_role(context: &Context, node: NodeId) -> RaftRole {
    let members = context.consensus.members();
    let leadership = context.consensus.leadership();
    let leader = leadership.borrow().leader.as_ref().map(|peer| peer.id);
    if leader == Some(node.0) {
        RaftRole::Leader
    } else if members.voters.contains_key(&node.0) {
        RaftRole::Voter
    } else if members.learners.contains_key(&node.0) {
        RaftRole::Learner
    } else {
        RaftRole::None
    }
}
