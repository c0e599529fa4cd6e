//! The calls a node answers.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fleet_proto::internal::raft_server::Raft as RaftRpc;
use fleet_proto::internal::raft_snapshot_part::Part;
use fleet_proto::internal::{
    RaftAppendRequest, RaftAppendResponse, RaftProposeRequest, RaftProposeResponse,
    RaftReadIndexRequest, RaftReadIndexResponse, RaftSnapshotPart, RaftSnapshotResponse,
    RaftTransferRequest, RaftTransferResponse, RaftVoteRequest, RaftVoteResponse,
};
use futures::{Stream, StreamExt};
use openraft::Snapshot;
use openraft::raft::AppendEntriesRequest;
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming};

use super::credentials::Caller;
use super::granted::Granted;
use super::message::{
    append_from_proto, appended_to_proto, transfer_from_proto, transferred_to_proto,
    vote_request_from_proto, vote_response_to_proto,
};
use crate::consensus::codec::{DecodeError, vote_required, vote_to_proto};
use crate::consensus::forward;
use crate::consensus::handle::Handle;
use crate::consensus::snapshot::{Incoming, SnapshotError};
use crate::consensus::types::{TypeConfig, Vote};
use crate::consensus::vigil::Vigil;

/// Longest silence within a snapshot that is being received. A sender that paces itself is never
/// silent for that long.
const SNAPSHOT_SILENCE: Duration = Duration::from_secs(10);

/// Answers the other control nodes.
#[derive(Clone)]
pub struct Service {
    handle: Handle,
    // One snapshot at a time: two would only fight for the disk.
    receiving: Arc<Semaphore>,
    // Held while a vote is decided: the next caller must find what came of it.
    granted: Arc<tokio::sync::Mutex<Granted>>,
}

impl Service {
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            handle,
            receiving: Arc::new(Semaphore::new(1)),
            granted: Arc::default(),
        }
    }

    fn accept<M>(&self, request: Request<M>) -> Result<M, Status> {
        self.accept_from(request).map(|(_, message)| message)
    }

    fn accept_from<M>(&self, request: Request<M>) -> Result<(Caller, M), Status> {
        let caller = self.handle.core().credentials.check(request.metadata())?;
        self.admit(caller)?;
        Ok((caller, request.into_inner()))
    }

    fn admit(&self, caller: Caller) -> Result<(), Status> {
        match (self.handle.core().expelled)(caller.node) {
            Some(why) => Err(Status::permission_denied(why)),
            None => Ok(()),
        }
    }

    /// Receives the file: everything but its use.
    async fn receive(
        &self,
        mut parts: Streaming<RaftSnapshotPart>,
    ) -> Result<(Vote, Snapshotted), Status> {
        let Some(Part::Start(start)) = next_part(&mut parts).await? else {
            return Err(Status::invalid_argument("a snapshot begins with its start"));
        };
        let vote = vote_required(start.vote.as_ref(), "RaftSnapshotStart").map_err(malformed)?;
        let dir = &self.handle.core().snapshots;
        let mut incoming = Incoming::start(dir, start.length).map_err(unusable)?;
        loop {
            match next_part(&mut parts).await? {
                Some(Part::Data(bytes)) => {
                    incoming = blocking(move || {
                        incoming.write(&bytes)?;
                        Ok(incoming)
                    })
                    .await?;
                }
                Some(Part::End(end)) => {
                    let (meta, snapshot) = blocking(move || incoming.finish(&end.sha256)).await?;
                    return Ok((vote, Snapshot { meta, snapshot }));
                }
                Some(Part::Start(_)) => return Err(Status::invalid_argument("a second start")),
                None => return Err(Status::aborted("the snapshot ended early")),
            }
        }
    }
}

type Snapshotted = crate::consensus::applier::RaftSnapshot;

#[tonic::async_trait]
impl RaftRpc for Service {
    type AppendStream = Pin<Box<dyn Stream<Item = Result<RaftAppendResponse, Status>> + Send>>;

    async fn append(
        &self,
        request: Request<Streaming<RaftAppendRequest>>,
    ) -> Result<Response<Self::AppendStream>, Status> {
        let (caller, requests) = self.accept_from(request)?;
        // What ended the requests, if it was not their end: told after the last answer.
        let failure = Arc::new(Mutex::new(None));
        let sender = Sender {
            service: self.clone(),
            caller,
            _vigil: Vigil::new(self.handle.clone(), caller.node),
        };
        let requests = decoded(requests, sender, failure.clone());
        let answers = self
            .handle
            .core()
            .raft
            .stream_append(requests)
            .map(|answer| match answer {
                Ok(result) => Ok(appended_to_proto(result)),
                Err(fatal) => Err(Status::unavailable(fatal.to_string())),
            });
        let last = futures::stream::once(async move { take(&failure) })
            .filter_map(|failure| async move { failure.map(Err) });
        Ok(Response::new(Box::pin(answers.chain(last))))
    }

    async fn vote(
        &self,
        request: Request<RaftVoteRequest>,
    ) -> Result<Response<RaftVoteResponse>, Status> {
        let (caller, request) = self.accept_from(request)?;
        let request = vote_request_from_proto(&request).map_err(malformed)?;
        let asked = request.vote;
        let mut granted = self.granted.lock().await;
        granted.check(&asked, caller)?;
        let raft = &self.handle.core().raft;
        let response = raft.vote(request).await.map_err(stopped)?;
        if response.vote_granted {
            granted.remember(&asked, caller);
        }
        Ok(Response::new(vote_response_to_proto(&response)))
    }

    async fn pre_vote(
        &self,
        request: Request<RaftVoteRequest>,
    ) -> Result<Response<RaftVoteResponse>, Status> {
        let request = vote_request_from_proto(&self.accept(request)?).map_err(malformed)?;
        let response = self
            .handle
            .core()
            .raft
            .pre_vote(request)
            .await
            .map_err(stopped)?;
        Ok(Response::new(vote_response_to_proto(&response)))
    }

    async fn transfer_leader(
        &self,
        request: Request<RaftTransferRequest>,
    ) -> Result<Response<RaftTransferResponse>, Status> {
        let request = transfer_from_proto(&self.accept(request)?).map_err(malformed)?;
        let raft = &self.handle.core().raft;
        let response = raft
            .handle_transfer_leader(request)
            .await
            .map_err(stopped)?;
        Ok(Response::new(transferred_to_proto(response)))
    }

    async fn snapshot(
        &self,
        request: Request<Streaming<RaftSnapshotPart>>,
    ) -> Result<Response<RaftSnapshotResponse>, Status> {
        let parts = self.accept(request)?;
        let _permit = self
            .receiving
            .try_acquire()
            .map_err(|_| Status::resource_exhausted("another snapshot is being received"))?;
        let (vote, snapshot) = self.receive(parts).await?;
        let raft = &self.handle.core().raft;
        let response = raft
            .install_full_snapshot(vote, snapshot)
            .await
            .map_err(stopped)?;
        Ok(Response::new(RaftSnapshotResponse {
            vote: Some(vote_to_proto(&response.vote)),
        }))
    }

    async fn propose(
        &self,
        request: Request<RaftProposeRequest>,
    ) -> Result<Response<RaftProposeResponse>, Status> {
        let request = self.accept(request)?;
        Ok(Response::new(
            forward::answer_propose(&self.handle, request).await,
        ))
    }

    async fn read_index(
        &self,
        request: Request<RaftReadIndexRequest>,
    ) -> Result<Response<RaftReadIndexResponse>, Status> {
        self.accept(request)?;
        Ok(Response::new(
            forward::answer_read_index(&self.handle).await,
        ))
    }
}

/// Whoever sends appends, as long as its stream is open.
struct Sender {
    service: Service,
    caller: Caller,
    _vigil: Vigil,
}

/// The requests up to the first that fails, cannot be decoded or comes from a node that was removed
/// meanwhile, which is put into `failure`.
fn decoded(
    requests: Streaming<RaftAppendRequest>,
    sender: Sender,
    failure: Arc<Mutex<Option<Status>>>,
) -> impl Stream<Item = AppendEntriesRequest<TypeConfig>> + Send {
    let parts = (requests, sender, failure);
    futures::stream::unfold(parts, |(mut requests, sender, failure)| async move {
        let status = match requests.message().await {
            Ok(None) => return None,
            Ok(Some(request)) => {
                let request = append_from_proto(request).map_err(malformed);
                match sender.service.admit(sender.caller).and(request) {
                    Ok(request) => return Some((request, (requests, sender, failure))),
                    Err(status) => status,
                }
            }
            Err(status) => status,
        };
        *failure
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner()) = Some(status);
        None
    })
}

fn take(failure: &Mutex<Option<Status>>) -> Option<Status> {
    failure
        .lock()
        .unwrap_or_else(|poisoned| poisoned.into_inner())
        .take()
}

async fn next_part(parts: &mut Streaming<RaftSnapshotPart>) -> Result<Option<Part>, Status> {
    let message = tokio::time::timeout(SNAPSHOT_SILENCE, parts.message())
        .await
        .map_err(|_| Status::deadline_exceeded("the sender of the snapshot went silent"))??;
    match message {
        None => Ok(None),
        Some(RaftSnapshotPart { part: Some(part) }) => Ok(Some(part)),
        Some(RaftSnapshotPart { part: None }) => Err(Status::invalid_argument("an empty part")),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, SnapshotError> + Send + 'static,
) -> Result<T, Status> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| Status::internal(error.to_string()))?
        .map_err(unusable)
}

fn malformed(error: DecodeError) -> Status {
    Status::invalid_argument(error.to_string())
}

fn unusable(error: SnapshotError) -> Status {
    Status::data_loss(error.to_string())
}

fn stopped(error: impl std::fmt::Display) -> Status {
    Status::unavailable(error.to_string())
}
