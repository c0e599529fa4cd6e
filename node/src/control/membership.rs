//! Carries out changes of the raft membership that the model asks for, on the leader.

use std::{sync::Arc, time::Duration};

use fleet_model::{
    State,
    ids::NodeId,
    plan::membership::{self, CAUGHT_UP, Change, Membership},
    time::Millis,
};
use fleet_proto::v1::RaftRole;
use tokio::{sync::watch, time::Instant};

use super::Context;

/// A learner's progress is no event: it is looked at this often while there is something to change.
const LOOK: Duration = Duration::from_millis(200);

/// And silence is none either: it is looked at this often when there is nothing to change.
const WATCH: Duration = Duration::from_secs(2);

/// How long a leader that is told to stop tries to let another lead first. Without it the others
/// elect one by themselves, which takes a few seconds.
const STEP_DOWN: Duration = Duration::from_secs(3);

pub(super) async fn run(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let mut leadership = context.consensus.leadership();
    let mut state = context.state.clone();
    let mut led: Option<(u64, Instant)> = None;
    loop {
        let term = tokio::select! {
            _ = stopped.changed() => return,
            leads = leadership.wait_for(|leadership| leadership.is_self) => match leads {
                Ok(leadership) => leadership.term,
                Err(_) => return,
            },
        };
        let since = match led {
            Some((before, since)) if before == term => since,
            _ => Instant::now(),
        };
        led = Some((term, since));
        let pending = step(&context, since).await;
        let rest = if pending { LOOK } else { WATCH };
        tokio::select! {
            _ = stopped.changed() => return,
            _ = leadership.changed() => {}
            changed = state.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(rest) => {}
        }
    }
}

/// Makes one change; answers whether another look is due soon.
async fn step(context: &Context, since: Instant) -> bool {
    let members = seen(context, since);
    let state = context.snapshot();
    for command in membership::news(&state, &members) {
        if let Err(error) = context.act(&command).await {
            tracing::warn!(%error, ?command, "what was found of a control node was not committed");
        }
    }
    let Some(change) = membership::next(&state, &members) else {
        let catching_up = |id: &NodeId| members.behind.get(id).is_none_or(|n| *n > CAUGHT_UP);
        return members.learners.iter().any(catching_up);
    };
    tracing::info!(?change, "changing the membership");
    let outcome = match &change {
        Change::AddLearner { node, address } => {
            context.consensus.add_learner(node.0, address).await
        }
        Change::SetVoters(voters) => {
            let voters = voters.iter().map(|id| id.0).collect();
            context.consensus.set_voters(voters).await
        }
        // Its successor makes the change that it stands in the way of.
        Change::HandOver(successor) => context.consensus.transfer_leader(successor.0).await,
        Change::Remove(node) => context.consensus.remove(node.0).await,
    };
    if let Err(error) = outcome {
        tracing::warn!(%error, ?change, "the membership could not be changed yet");
    }
    true
}

/// Before this process stops on purpose: if it leads, lets another lead.
pub(super) async fn step_down(context: &Context) {
    if !context.consensus.leadership().borrow().is_self {
        return;
    }
    let members = seen(context, Instant::now());
    let Some(heir) = membership::heir(&context.snapshot(), &members, |_| true) else {
        tracing::info!("no other voter is ready to lead");
        return;
    };
    tracing::info!(%heir, "another leads before this node stops");
    let handed = context.consensus.transfer_leader(heir.0);
    match tokio::time::timeout(STEP_DOWN, handed).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, "stopping as leader"),
        Err(_) => tracing::warn!("stopping as leader: the other does not lead yet"),
    }
}

/// The membership as this node, which leads since `since`, sees it.
fn seen(context: &Context, since: Instant) -> Membership {
    let members = context.consensus.members();
    let last = members.last_index;
    let behind = members
        .matched
        .iter()
        .map(|(id, matched)| (NodeId(*id), last.saturating_sub(*matched)));
    let own = context.id();
    let everybody = members.voters.keys().chain(members.learners.keys());
    let others = everybody.map(|id| NodeId(*id)).filter(|id| *id != own);
    let silent = others.map(|id| {
        // A new leader gives everybody the whole time again.
        let answered = members.answered.get(&id.0).copied();
        let silence = answered.unwrap_or(Duration::MAX).min(since.elapsed());
        let millis = u64::try_from(silence.as_millis()).unwrap_or(u64::MAX);
        (id, Millis(millis))
    });
    Membership {
        leader: Some(own),
        behind: behind.collect(),
        silent: silent.collect(),
        voters: members.voters.keys().map(|id| NodeId(*id)).collect(),
        learners: members.learners.keys().map(|id| NodeId(*id)).collect(),
        joint: members.joint,
    }
}

/// Whether a node takes part in consensus, as far as this node knows.
pub(super) fn is_member(context: &Context, node: NodeId) -> bool {
    let members = context.consensus.members();
    members.voters.contains_key(&node.0) || members.learners.contains_key(&node.0)
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

/// What is to be told to a node that was removed, if this one was.
pub(super) fn farewell(state: &State, node: NodeId) -> Option<String> {
    state.was_removed(node).then(|| {
        format!(
            "node {node} was removed from this cluster and its id is never used again; wipe it and \
             let it join as a new one: fleet node leave --force, then fleet node join"
        )
    })
}
