//! Proposals and linearizable reads from any node.
//!
//! Only the leader can do either, so a node that does not lead asks the one that does. What is hard
//! is not to lie about the outcome: a proposal that was certainly not appended is tried again until
//! a short limit and then refused as unavailable; one that may have been appended is never tried
//! again here and never called refused.

use std::time::Duration;

use bytes::Bytes;
use fleet_proto::internal::{
    RaftApplied, RaftNoQuorum, RaftNotLeader, RaftProposeRequest, RaftProposeResponse,
    RaftReadIndexRequest, RaftReadIndexResponse, RaftTooLarge, RaftUnknown, raft_propose_response,
    raft_read_index_response,
};
use openraft::Instant as _;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::errors::{ClientWriteError, LinearizableReadError, RaftError};
use openraft::raft::ReadPolicy;
use tokio::time::{Instant, timeout_at};
use tonic::{Code, Status};

use super::error::{ProposeError, ReadError};
use super::handle::{Applied, Handle};
use super::membership::Peer;
use super::options::MAX_PROPOSAL_BYTES;
use super::transport::Lane;
use super::types::Proposal;

/// Pause before asking again, unless the leadership changes first.
const RETRY: Duration = Duration::from_millis(25);

/// What became of one attempt to propose.
enum Attempt {
    Applied(Applied),
    /// Certainly not in any log: try again.
    NotAppended(String),
    /// Perhaps in a log: never try again.
    Unknown(String),
}

impl Handle {
    /// Proposes bytes, from any node; answers when they are committed and applied at the leader.
    ///
    /// The leader stamps its wall clock. Without a leader that has a quorum this gives up after
    /// [`super::Timers::unavailable_after`], however long `timeout` is.
    ///
    /// # Errors
    /// [`ProposeError::Unavailable`]: certainly not applied. [`ProposeError::Unknown`]: perhaps.
    /// [`ProposeError::TooLarge`]: over [`MAX_PROPOSAL_BYTES`].
    pub async fn propose(
        &self,
        payload: Bytes,
        timeout: Duration,
    ) -> Result<Applied, ProposeError> {
        if payload.len() > MAX_PROPOSAL_BYTES {
            let (size, limit) = (payload.len(), MAX_PROPOSAL_BYTES);
            return Err(ProposeError::TooLarge { size, limit });
        }
        let now = Instant::now();
        let deadline = now + timeout;
        let give_up = deadline.min(now + self.core().timers.unavailable_after);
        loop {
            let attempt = match self.leader() {
                None => Attempt::NotAppended("no leader is known".to_owned()),
                Some(peer) if peer.id == self.node_id() => {
                    self.propose_here(payload.clone(), deadline).await
                }
                // A follower keeps naming a leader that hangs, and a proposal sent to one has an
                // unknown outcome for ever. A question has none: who cannot answer it in time is
                // given no proposal.
                Some(peer) => match self.read_index_there(&peer, give_up).await {
                    Ok(_) => self.propose_there(&peer, payload.clone(), deadline).await,
                    Err(reason) => Attempt::NotAppended(reason),
                },
            };
            match attempt {
                Attempt::Applied(applied) => return Ok(applied),
                Attempt::Unknown(reason) => return Err(ProposeError::Unknown { reason }),
                Attempt::NotAppended(reason) => {
                    if !self.pause(give_up).await {
                        return Err(ProposeError::Unavailable { reason });
                    }
                }
            }
        }
    }

    /// Makes sure that a read of the local state, after this returns, sees everything that was
    /// acknowledged before it was called, by any node. Returns the index applied here.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] after [`super::Timers::unavailable_after`].
    pub async fn read_barrier(&self) -> Result<u64, ReadError> {
        let give_up = Instant::now() + self.core().timers.unavailable_after;
        loop {
            let index = match self.leader() {
                None => Err("no leader is known".to_owned()),
                Some(peer) if peer.id == self.node_id() => self.read_index_here(give_up).await,
                Some(peer) => self.read_index_there(&peer, give_up).await,
            };
            match index {
                Ok(index) => return self.wait_applied(index, give_up - Instant::now()).await,
                Err(reason) => {
                    if !self.pause(give_up).await {
                        return Err(ReadError::Unavailable { reason });
                    }
                }
            }
        }
    }

    /// Makes sure with a quorum that this very node leads in `term` at some moment after the call,
    /// and that everything committed before is applied here. Unlike [`read_barrier`](Self::read_barrier)
    /// it asks no other node: who is relied on to lead must do so itself.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] if it does not, or no quorum answers in time.
    pub async fn leads_still(&self, term: u64) -> Result<(), ReadError> {
        let give_up = Instant::now() + self.core().timers.unavailable_after;
        let unavailable = |reason| ReadError::Unavailable { reason };
        let index = self.read_index_here(give_up).await.map_err(unavailable)?;
        self.wait_applied(index, give_up - Instant::now()).await?;
        let leads = {
            let now = self.core().leadership.borrow();
            now.is_self && now.term == term
        };
        match leads {
            true => Ok(()),
            false => Err(unavailable(format!(
                "this node no longer leads in term {term}"
            ))),
        }
    }

    fn leader(&self) -> Option<Peer> {
        self.core().leadership.borrow().leader.clone()
    }

    /// Waits a moment, or until the leadership changes. False: the time is up.
    async fn pause(&self, give_up: Instant) -> bool {
        let now = Instant::now();
        if now >= give_up {
            return false;
        }
        let mut leadership = self.leadership();
        leadership.mark_unchanged();
        // Both outcomes mean: try again.
        let _ = timeout_at(give_up.min(now + RETRY), leadership.changed()).await;
        true
    }

    async fn propose_here(&self, payload: Bytes, deadline: Instant) -> Attempt {
        let core = self.core();
        let proposal = Proposal {
            time_ms: (core.clock)(),
            payload,
        };
        let written = tokio::select! {
            written = core.raft.client_write(proposal) => written,
            () = tokio::time::sleep_until(deadline) => {
                return Attempt::Unknown("not committed in time".to_owned());
            }
            () = self.quorum_lost() => {
                return Attempt::Unknown("the quorum was lost while the proposal waited".to_owned());
            }
        };
        match written {
            Ok(written) => Attempt::Applied(Applied {
                index: written.log_id.index,
                answer: written.data,
            }),
            Err(RaftError::APIError(ClientWriteError::ForwardToLeader(forward))) => {
                Attempt::NotAppended(format!("this node cannot lead now ({:?})", forward.reason))
            }
            Err(error) => Attempt::Unknown(error.to_string()),
        }
    }

    /// Resolves when this leader has not heard a quorum for as long as users are asked to wait.
    async fn quorum_lost(&self) {
        let limit = self.core().timers.unavailable_after;
        let mut silent = Duration::ZERO;
        while silent < limit {
            tokio::time::sleep(limit - silent).await;
            let acked = self
                .core()
                .raft
                .metrics()
                .borrow_watched()
                .last_quorum_acked;
            // A leader that never heard a quorum has heard nothing for longer than we waited.
            silent = acked.map_or(limit, |acked| acked.into_inner().elapsed());
        }
    }

    async fn propose_there(&self, leader: &Peer, payload: Bytes, deadline: Instant) -> Attempt {
        use raft_propose_response::Outcome;
        let core = self.core();
        let mut client = match core.pool.client(leader.id, &leader.address, Lane::Forward) {
            Ok(client) => client,
            Err(error) => return Attempt::NotAppended(error),
        };
        let left = deadline.saturating_duration_since(Instant::now());
        let message = RaftProposeRequest {
            payload,
            timeout_ms: left.as_millis() as u64,
        };
        let request = core.credentials.request(leader.id, message);
        let response = tokio::select! {
            response = client.propose(request) => response,
            () = tokio::time::sleep_until(deadline) => {
                return Attempt::Unknown(format!("node {} did not answer in time", leader.id));
            }
            () = self.deposed(leader.id) => {
                return Attempt::Unknown(format!("node {} lost the lead before it answered", leader.id));
            }
        };
        let response = match response {
            Ok(response) => response.into_inner(),
            Err(status) if never_arrived(&status) => return Attempt::NotAppended(text(&status)),
            Err(status) => return Attempt::Unknown(text(&status)),
        };
        match response.outcome {
            Some(Outcome::Applied(applied)) => Attempt::Applied(Applied {
                index: applied.index,
                answer: applied.answer,
            }),
            Some(Outcome::NotLeader(_)) => {
                Attempt::NotAppended(format!("node {} cannot lead now", leader.id))
            }
            Some(Outcome::Unknown(unknown)) => Attempt::Unknown(unknown.reason),
            Some(Outcome::TooLarge(_)) => {
                Attempt::NotAppended(format!("node {} refuses the size", leader.id))
            }
            None => Attempt::Unknown("an empty answer".to_owned()),
        }
    }

    /// Resolves when `leader` has not been the leader for as long as users are asked to wait: an
    /// answer it may still give no longer matters.
    async fn deposed(&self, leader: u64) {
        let mut leadership = self.leadership();
        let gone =
            leadership.wait_for(|now| now.leader.as_ref().is_none_or(|peer| peer.id != leader));
        if gone.await.is_err() {
            return;
        }
        tokio::time::sleep(self.core().timers.unavailable_after).await;
    }

    async fn read_index_here(&self, give_up: Instant) -> Result<u64, String> {
        // ReadIndex: the leader hears a quorum before it answers. Never a lease: a paused process
        // believes in leases that ended.
        let confirmed = self.core().raft.get_read_linearizer(ReadPolicy::ReadIndex);
        match timeout_at(give_up, confirmed).await {
            Ok(Ok(read)) => Ok(read.read_log_id().index()),
            Ok(Err(RaftError::APIError(LinearizableReadError::ForwardToLeader(_)))) => {
                Err("this node does not lead".to_owned())
            }
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("no quorum answered the leader".to_owned()),
        }
    }

    async fn read_index_there(&self, leader: &Peer, give_up: Instant) -> Result<u64, String> {
        use raft_read_index_response::Outcome;
        let core = self.core();
        let mut client = core
            .pool
            .client(leader.id, &leader.address, Lane::Forward)?;
        let request = core.credentials.request(leader.id, RaftReadIndexRequest {});
        let response = tokio::select! {
            response = timeout_at(give_up, client.read_index(request)) => {
                response.map_err(|_| format!("node {} did not answer in time", leader.id))?
            }
            () = self.deposed(leader.id) => return Err("the leader changed".to_owned()),
        };
        match response
            .map_err(|status| text(&status))?
            .into_inner()
            .outcome
        {
            Some(Outcome::Index(index)) => Ok(index),
            Some(Outcome::NoQuorum(none)) => Err(none.reason),
            Some(Outcome::NotLeader(_)) | None => Err(format!("node {} does not lead", leader.id)),
        }
    }
}

/// Answers a proposal that another node forwarded. It is not forwarded again.
pub(super) async fn answer_propose(
    handle: &Handle,
    request: RaftProposeRequest,
) -> RaftProposeResponse {
    use raft_propose_response::Outcome;
    let outcome = if request.payload.len() > MAX_PROPOSAL_BYTES {
        Outcome::TooLarge(RaftTooLarge {
            limit: MAX_PROPOSAL_BYTES as u64,
        })
    } else {
        let deadline = Instant::now() + Duration::from_millis(request.timeout_ms);
        match handle.propose_here(request.payload, deadline).await {
            Attempt::Applied(applied) => Outcome::Applied(RaftApplied {
                index: applied.index,
                answer: applied.answer,
            }),
            Attempt::NotAppended(_) => Outcome::NotLeader(RaftNotLeader {}),
            Attempt::Unknown(reason) => Outcome::Unknown(RaftUnknown { reason }),
        }
    };
    RaftProposeResponse {
        outcome: Some(outcome),
    }
}

/// Answers what index a read at another node has to wait for.
pub(super) async fn answer_read_index(handle: &Handle) -> RaftReadIndexResponse {
    use raft_read_index_response::Outcome;
    let give_up = Instant::now() + handle.core().timers.unavailable_after;
    let outcome = if handle.core().leadership.borrow().is_self {
        match handle.read_index_here(give_up).await {
            Ok(index) => Outcome::Index(index),
            Err(reason) => Outcome::NoQuorum(RaftNoQuorum { reason }),
        }
    } else {
        Outcome::NotLeader(RaftNotLeader {})
    };
    RaftReadIndexResponse {
        outcome: Some(outcome),
    }
}

/// Whether a call certainly never reached the other node's consensus: no connection, or refused at
/// the door.
fn never_arrived(status: &Status) -> bool {
    let refused = [
        Code::Unauthenticated,
        Code::FailedPrecondition,
        Code::Unimplemented,
    ];
    if refused.contains(&status.code()) {
        return true;
    }
    let mut cause: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(status);
    while let Some(error) = cause {
        if error.is::<tonic::ConnectError>() {
            return true;
        }
        cause = error.source();
    }
    false
}

fn text(status: &Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}
