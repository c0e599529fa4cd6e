//! A node leaves: its frontends move elsewhere, its part in consensus ends, it is forgotten.
//!
//! Each step is a committed wish, so whoever asks again, of whichever leader, goes on where it
//! stood. Only the leader sees all of it: the node that leaves hears nothing of consensus once it is
//! out, and if it leads, it hands over first and passes the question on.

use std::time::Duration;

use fleet_model::{
    Command,
    command::NodeChange,
    goal::{Goal, Progress},
    ids::{NodeId, RequestId},
    plan::drain,
};
use fleet_proto::internal::{LeaveRequest, LeaveResponse, membership_client::MembershipClient};
use tonic::Status;

use super::Api;
use crate::control::{
    api::request_id,
    forward, membership,
    refusal::{detail, refused, unavailable, with_detail},
};

/// How long a leaving node's frontends may take to be replaced elsewhere.
const DRAIN: Duration = Duration::from_secs(300);

/// How long the consensus of the others may take to be one without it.
const DEMOTION: Duration = Duration::from_secs(60);

/// The raft membership is no event: it is looked at this often.
const LOOK: Duration = Duration::from_millis(100);

impl Api {
    /// Lets a node go, on the leader.
    pub(super) async fn let_go(&self, asked: LeaveRequest) -> Result<LeaveResponse, Status> {
        if let Some(peer) = forward::leader(&self.context).await? {
            let answer = MembershipClient::new(peer).leave(asked).await;
            return answer
                .map(tonic::Response::into_inner)
                .map_err(forward::relayed);
        }
        let node = NodeId(asked.node_id);
        if self.context.snapshot().was_removed(node) {
            // Its answer was lost; what it asked for is done.
            return Ok(LeaveResponse {});
        }
        let drain = NodeChange::Drain { deadline: None };
        self.wish(&asked, "drain", drain).await?;
        self.emptied(node).await?;
        self.wish(&asked, "leave", NodeChange::Leave).await?;
        let leads = self.context.consensus.leadership().borrow().is_self;
        if node == self.context.id() || !leads {
            return self.pass_on(asked).await;
        }
        self.out(node).await?;
        let gone = NodeChange::Remove { force: false };
        self.wish(&asked, "remove", gone).await?;
        Ok(LeaveResponse {})
    }

    /// One request, several commands: each has a name of its own, and is done once.
    async fn wish(
        &self,
        asked: &LeaveRequest,
        what: &str,
        change: NodeChange,
    ) -> Result<(), Status> {
        request_id(&asked.request_id)?;
        let id = RequestId(format!("{}+{what}", asked.request_id).into());
        let node = NodeId(asked.node_id);
        let command = Command::ChangeNode { node, change };
        let done = self.context.ask(&id, "node", &command).await;
        done.map(drop).map_err(refused)
    }

    /// Waits until no frontend is left on a node.
    async fn emptied(&self, node: NodeId) -> Result<(), Status> {
        let mut states = self.context.state.clone();
        let goal = Goal::Drained(node);
        let over = async {
            loop {
                match goal.progress(&states.borrow_and_update()) {
                    Progress::Pending { .. } => {}
                    Progress::Reached(_) => return Ok(()),
                    Progress::Missed(reason) => {
                        let hint = detail("UNDRAINED", "ask again to let it leave");
                        return Err(with_detail(tonic::Code::Aborted, &reason, &hint));
                    }
                }
                if states.changed().await.is_err() {
                    return Err(unavailable("this node is stopping"));
                }
            }
        };
        match tokio::time::timeout(DRAIN, over).await {
            Ok(outcome) => outcome,
            Err(_) => {
                let left = drain::left(&self.context.snapshot(), node);
                let left: Vec<String> = left.iter().map(ToString::to_string).collect();
                let hint =
                    "a deadline sends away what is left: fleet node drain NODE --deadline 60";
                Err(with_detail(
                    tonic::Code::FailedPrecondition,
                    &format!("not empty after {DRAIN:?}: {}", left.join("; ")),
                    &detail("IN_USE", hint),
                ))
            }
        }
    }

    /// This node leaves, or leads no more: whoever leads after it lets the node go.
    async fn pass_on(&self, asked: LeaveRequest) -> Result<LeaveResponse, Status> {
        let mut leadership = self.context.consensus.leadership();
        let other = leadership.wait_for(|l| !l.is_self && l.leader.is_some());
        let moved = tokio::time::timeout(DEMOTION, other).await;
        // The guard of what was seen must not live across the question.
        match moved.map(|moved| moved.is_ok()) {
            Ok(true) => Box::pin(self.let_go(asked)).await,
            Ok(false) => Err(unavailable("this node is stopping")),
            Err(_) => Err(stuck("no other voter is ready to lead")),
        }
    }

    /// Waits until consensus goes on without a node.
    async fn out(&self, node: NodeId) -> Result<(), Status> {
        let out = async {
            while membership::is_member(&self.context, node) {
                if !self.context.consensus.leadership().borrow().is_self {
                    return Err(unavailable("the leader changed; ask again"));
                }
                tokio::time::sleep(LOOK).await;
            }
            Ok(())
        };
        let within = tokio::time::timeout(DEMOTION, out).await;
        within.unwrap_or_else(|_| Err(stuck("its part in consensus could not end yet")))
    }
}

fn stuck(why: &str) -> Status {
    let hint = "a majority of the other control nodes must be up; ask again: fleet node leave";
    with_detail(
        tonic::Code::FailedPrecondition,
        why,
        &detail("STILL_A_MEMBER", hint),
    )
}
