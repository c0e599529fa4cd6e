//! Who takes part, who leads, and how that changes.
//!
//! Changes are made by the leader only and one at a time. A new node is added as a learner, catches
//! up, and is then made a voter; the two steps are separate calls because the time between them is
//! unbounded. A change that was interrupted half-way leaves a joint configuration behind
//! ([`Members::joint`]): whoever reconciles issues [`Handle::set_voters`] again.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use openraft::ChangeMembers;
use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{
    ChangeMembershipError, ClientWriteError, Fatal, InitializeError, RaftError,
};
use openraft::impls::BasicNode;
use openraft::raft::ClientWriteResponse;
use tokio::time::Instant;

use super::error::MembershipError;
use super::handle::Handle;
use super::types::TypeConfig;

/// Entries a learner may miss and still be made a voter: what replication sends in a second or so.
const MAX_LAG: u64 = 1_000;

/// Pause before a change is tried again that found another one under way.
const RETRY: Duration = Duration::from_millis(50);

type Changed =
    Result<ClientWriteResponse<TypeConfig>, RaftError<TypeConfig, ClientWriteError<TypeConfig>>>;

/// A control node and where it is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its id.
    pub id: u64,
    /// host:port of its gRPC server.
    pub address: String,
}

/// Who leads, as far as this node knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leadership {
    /// The term this node is in.
    pub term: u64,
    /// The leader of that term, once known.
    pub leader: Option<Peer>,
    /// Whether it is this node. A new leader has yet to commit an entry of its own term; confirm
    /// with `read_barrier` before acting on the state.
    pub is_self: bool,
}

/// The members, as this node sees them; the newest change may not be committed yet.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Members {
    /// Who votes, with addresses. Of both configurations, if the change is half done.
    pub voters: BTreeMap<u64, String>,
    /// Who receives the log without a vote.
    pub learners: BTreeMap<u64, String>,
    /// How far each member's log is known to match, by index. Only the leader knows; empty elsewhere.
    pub matched: BTreeMap<u64, u64>,
    /// When each other member last answered this leader, by how long that is ago. Only of those that
    /// ever did, and empty where this node does not lead.
    pub answered: BTreeMap<u64, Duration>,
    /// Index of the last entry of this node's log.
    pub last_index: u64,
    /// A change is half done.
    pub joint: bool,
}

impl Members {
    /// Entries of this node's log that a member is not known to have.
    pub fn behind(&self, id: u64) -> u64 {
        let matched = self.matched.get(&id).copied().unwrap_or(0);
        self.last_index.saturating_sub(matched)
    }

    fn require_caught_up(&self, id: u64) -> Result<(), MembershipError> {
        let behind = self.behind(id);
        if behind > MAX_LAG {
            return Err(MembershipError::Lagging { id, behind });
        }
        Ok(())
    }
}

impl Handle {
    /// Who takes part.
    pub fn members(&self) -> Members {
        // Cloned at once: a borrowed watch blocks the consensus task.
        let metrics = self.core().raft.metrics().borrow_watched().clone();
        let membership = metrics.membership_config.membership();
        let joint = membership.get_joint_config().len() > 1;
        let voter_ids: BTreeSet<u64> = membership.voter_ids().collect();
        let addressed = membership
            .nodes()
            .map(|(id, node)| (*id, node.addr.clone()));
        let (voters, learners) = addressed.partition(|(id, _)| voter_ids.contains(id));
        let matched = metrics.replication.into_iter().flatten();
        let matched = matched
            .map(|(id, log_id)| (id, log_id.map_or(0, |id| id.index)))
            .collect();
        let answered = metrics.heartbeat.into_iter().flatten();
        let answered = answered
            .filter_map(|(id, at)| Some((id, at?.elapsed())))
            .collect();
        let last_index = metrics.last_log_index.unwrap_or(0);
        Members {
            voters,
            learners,
            matched,
            answered,
            last_index,
            joint,
        }
    }

    /// Founds a cluster with this node as its only voter.
    ///
    /// # Errors
    /// [`MembershipError::AlreadyBootstrapped`] unless the log is empty and no vote was ever cast.
    pub async fn bootstrap(&self) -> Result<(), MembershipError> {
        let core = self.core();
        let node = BasicNode::new(&core.advertise);
        let result = core
            .raft
            .initialize(BTreeMap::from([(core.node_id, node)]))
            .await;
        result.map_err(|error| match error {
            RaftError::APIError(InitializeError::NotAllowed(_)) => {
                MembershipError::AlreadyBootstrapped
            }
            RaftError::APIError(InitializeError::NotInMembers(error)) => {
                MembershipError::Stopped(error.to_string())
            }
            RaftError::Fatal(fatal) => stopped(&fatal),
        })
    }

    /// Adds a node that receives the log and does not vote. Returns when that is committed; the node
    /// itself may be unreachable. Adding a member again is no change.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn add_learner(&self, id: u64, address: &str) -> Result<(), MembershipError> {
        let members = self.members();
        let known = members
            .voters
            .get(&id)
            .or_else(|| members.learners.get(&id));
        match known {
            Some(known) if known == address => return self.require_leader(),
            Some(known) => {
                return Err(MembershipError::AddressTaken {
                    id,
                    address: known.clone(),
                });
            }
            None => {}
        }
        let node = BasicNode::new(address);
        self.change(|| self.core().raft.add_learner(id, node.clone(), false))
            .await
    }

    /// Makes exactly these members voters; voters left out become learners. All of them must be
    /// members, and new voters must have caught up.
    ///
    /// # Errors
    /// See [`MembershipError`].
    pub async fn set_voters(&self, voters: BTreeSet<u64>) -> Result<(), MembershipError> {
        self.require_leader()?;
        let members = self.members();
        for id in voters.difference(&members.voters.keys().copied().collect()) {
            if !members.learners.contains_key(id) {
                return Err(MembershipError::UnknownNode { id: *id });
            }
            members.require_caught_up(*id)?;
        }
        let change = ChangeMembers::ReplaceAllVoters(voters);
        self.change(|| self.core().raft.change_membership(change.clone(), true))
            .await
    }

    /// Removes a member, voter or learner. A leader that removes itself hands leadership over once
    /// that is committed. The removed node must be shut down by other means.
    ///
    /// # Errors
    /// See [`MembershipError`]. The last voter cannot be removed.
    pub async fn remove(&self, id: u64) -> Result<(), MembershipError> {
        self.require_leader()?;
        let members = self.members();
        let ids = BTreeSet::from([id]);
        let change = if members.voters.contains_key(&id) {
            ChangeMembers::RemoveVoters(ids)
        } else if members.learners.contains_key(&id) {
            ChangeMembers::RemoveNodes(ids)
        } else {
            return Err(MembershipError::UnknownNode { id });
        };
        self.change(|| self.core().raft.change_membership(change.clone(), false))
            .await
    }

    /// Hands leadership to a voter that has caught up, and returns when this node sees it lead.
    ///
    /// # Errors
    /// [`MembershipError::Unknown`] if it does not lead in time: it may be unreachable or behind.
    pub async fn transfer_leader(&self, to: u64) -> Result<(), MembershipError> {
        self.require_leader()?;
        if to == self.core().node_id {
            return Ok(());
        }
        let members = self.members();
        if !members.voters.contains_key(&to) {
            return Err(MembershipError::UnknownNode { id: to });
        }
        // From here on the leader takes no proposals: a successor that lags would make that long.
        members.require_caught_up(to)?;
        self.core()
            .raft
            .trigger()
            .transfer_leader(to)
            .await
            .map_err(|fatal| stopped(&fatal))?;
        let mut leadership = self.leadership();
        let leads =
            leadership.wait_for(|now| now.leader.as_ref().is_some_and(|peer| peer.id == to));
        match tokio::time::timeout(self.core().timers.change, leads).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(MembershipError::Stopped("shut down".to_owned())),
            Err(_) => Err(MembershipError::Unknown {
                reason: format!("node {to} does not lead yet"),
            }),
        }
    }

    fn require_leader(&self) -> Result<(), MembershipError> {
        let leadership = self.leadership().borrow().clone();
        if leadership.is_self {
            return Ok(());
        }
        Err(MembershipError::NotLeader {
            leader: leadership.leader,
        })
    }

    /// Makes a change. One that is under way, or a new leader that is not settled yet,
    /// is waited for as long as users are asked to wait.
    async fn change<F>(&self, change: impl Fn() -> F) -> Result<(), MembershipError>
    where
        F: Future<Output = Changed>,
    {
        let timers = &self.core().timers;
        let patience = Instant::now() + timers.unavailable_after;
        loop {
            let result = tokio::time::timeout(timers.change, Box::pin(change())).await;
            let error = match result {
                Ok(Ok(_)) => return Ok(()),
                Ok(Err(RaftError::Fatal(fatal))) => stopped(&fatal),
                Ok(Err(RaftError::APIError(error))) => self.refused(error),
                Err(_) => {
                    let reason = format!("not committed within {:?}", timers.change);
                    MembershipError::Unknown { reason }
                }
            };
            if error != MembershipError::InProgress || Instant::now() >= patience {
                return Err(error);
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    fn refused(&self, error: ClientWriteError<TypeConfig>) -> MembershipError {
        let unknown = |reason: String| MembershipError::Unknown { reason };
        match error {
            // A leader refuses until it has heard a quorum: that is a moment after it was elected.
            ClientWriteError::ForwardToLeader(_) if self.leadership().borrow().is_self => {
                MembershipError::InProgress
            }
            ClientWriteError::ForwardToLeader(_) => MembershipError::NotLeader {
                leader: self.leadership().borrow().leader.clone(),
            },
            ClientWriteError::LogEntryDiscarded(_) => unknown("the leader changed".to_owned()),
            ClientWriteError::ChangeMembershipError(error) => match error {
                ChangeMembershipError::InProgress(_)
                | ChangeMembershipError::UncommittedLeaderLog(_) => MembershipError::InProgress,
                ChangeMembershipError::EmptyMembership(_) => MembershipError::NoVoters,
                ChangeMembershipError::LearnerNotFound(error) => {
                    MembershipError::UnknownNode { id: error.node_id }
                }
                other => unknown(other.to_string()),
            },
            other @ ClientWriteError::PreconditionFailed(_) => unknown(other.to_string()),
        }
    }
}

fn stopped(fatal: &Fatal<TypeConfig>) -> MembershipError {
    MembershipError::Stopped(fatal.to_string())
}
