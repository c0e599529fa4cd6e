//! The messages between nodes against the library's requests and answers.

use fleet_proto::internal::{
    RaftAppendRequest, RaftAppendResponse, RaftMatched, RaftTransferAccepted,
    RaftTransferNotFlushed, RaftTransferRequest, RaftTransferResponse, RaftTransferVoteChanged,
    RaftVoteRequest, RaftVoteResponse, raft_append_response, raft_transfer_response,
};
use fleet_proto::stored::{RaftLogId, RaftVote};
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderError,
    TransferLeaderRequest, TransferLeaderResponse, VoteRequest, VoteResponse,
};

use crate::consensus::codec::{
    DecodeError, entry_from_proto, entry_to_proto, log_id_from_proto, log_id_to_proto,
    vote_required, vote_to_proto,
};
use crate::consensus::types::{LogId, TypeConfig};

type Decoded<T> = Result<T, DecodeError>;

// === append ===

pub(super) fn append_to_proto(request: AppendEntriesRequest<TypeConfig>) -> RaftAppendRequest {
    RaftAppendRequest {
        vote: Some(vote_to_proto(&request.vote)),
        previous: id_to_proto(request.prev_log_id.as_ref()),
        entries: request.entries.iter().map(entry_to_proto).collect(),
        committed: id_to_proto(request.leader_commit.as_ref()),
    }
}

pub(super) fn append_from_proto(
    request: RaftAppendRequest,
) -> Decoded<AppendEntriesRequest<TypeConfig>> {
    let entries: Decoded<Vec<_>> = request.entries.into_iter().map(entry_from_proto).collect();
    Ok(AppendEntriesRequest {
        vote: vote_required(request.vote.as_ref(), "RaftAppendRequest")?,
        prev_log_id: id_from_proto(request.previous.as_ref()),
        entries: entries?,
        leader_commit: id_from_proto(request.committed.as_ref()),
    })
}

pub(super) fn appended_to_proto(result: StreamAppendResult<TypeConfig>) -> RaftAppendResponse {
    use raft_append_response::Outcome;
    let outcome = match result {
        Ok(matched) => Outcome::Matched(RaftMatched {
            log_id: id_to_proto(matched.as_ref()),
        }),
        Err(StreamAppendError::Conflict(id)) => Outcome::Conflict(log_id_to_proto(&id)),
        Err(StreamAppendError::HigherVote(vote)) => Outcome::HigherVote(vote_to_proto(&vote)),
    };
    RaftAppendResponse {
        outcome: Some(outcome),
    }
}

pub(super) fn appended_from_proto(
    response: RaftAppendResponse,
) -> Decoded<StreamAppendResult<TypeConfig>> {
    use raft_append_response::Outcome;
    match response.outcome {
        None => Err(DecodeError::Missing {
            message: "RaftAppendResponse",
            field: "outcome",
        }),
        Some(Outcome::Matched(matched)) => Ok(Ok(id_from_proto(matched.log_id.as_ref()))),
        Some(Outcome::Conflict(id)) => Ok(Err(StreamAppendError::Conflict(log_id_from_proto(&id)))),
        Some(Outcome::HigherVote(vote)) => {
            let vote = vote_required(Some(&vote), "RaftAppendResponse")?;
            Ok(Err(StreamAppendError::HigherVote(vote)))
        }
    }
}

// === vote ===

pub(super) fn vote_request_to_proto(request: &VoteRequest<TypeConfig>) -> RaftVoteRequest {
    RaftVoteRequest {
        vote: Some(vote_to_proto(&request.vote)),
        last_log_id: id_to_proto(request.last_log_id.as_ref()),
        leadership_transfer: request.leadership_transfer,
    }
}

pub(super) fn vote_request_from_proto(
    request: &RaftVoteRequest,
) -> Decoded<VoteRequest<TypeConfig>> {
    let vote = vote_required(request.vote.as_ref(), "RaftVoteRequest")?;
    let mut decoded = VoteRequest::new(vote, id_from_proto(request.last_log_id.as_ref()));
    decoded.leadership_transfer = request.leadership_transfer;
    Ok(decoded)
}

pub(super) fn vote_response_to_proto(response: &VoteResponse<TypeConfig>) -> RaftVoteResponse {
    RaftVoteResponse {
        vote: Some(vote_to_proto(&response.vote)),
        granted: response.vote_granted,
        last_log_id: id_to_proto(response.last_log_id.as_ref()),
    }
}

pub(super) fn vote_response_from_proto(
    response: &RaftVoteResponse,
) -> Decoded<VoteResponse<TypeConfig>> {
    let vote = vote_required(response.vote.as_ref(), "RaftVoteResponse")?;
    let last_log_id = id_from_proto(response.last_log_id.as_ref());
    Ok(VoteResponse::new(vote, last_log_id, response.granted))
}

// === transfer of leadership ===

pub(super) fn transfer_to_proto(
    request: &TransferLeaderRequest<TypeConfig>,
) -> RaftTransferRequest {
    RaftTransferRequest {
        from_leader: Some(vote_to_proto(request.from_leader())),
        to_node_id: *request.to_node_id(),
        last_log_id: id_to_proto(request.last_log_id()),
    }
}

pub(super) fn transfer_from_proto(
    request: &RaftTransferRequest,
) -> Decoded<TransferLeaderRequest<TypeConfig>> {
    let from = vote_required(request.from_leader.as_ref(), "RaftTransferRequest")?;
    let last_log_id = id_from_proto(request.last_log_id.as_ref());
    Ok(TransferLeaderRequest::new(
        from,
        request.to_node_id,
        last_log_id,
    ))
}

pub(super) fn transferred_to_proto(
    response: TransferLeaderResponse<TypeConfig>,
) -> RaftTransferResponse {
    use raft_transfer_response::Outcome;
    let outcome = match response {
        Ok(()) => Outcome::Accepted(RaftTransferAccepted {}),
        Err(TransferLeaderError::VoteChanged { expected, actual }) => {
            let (expected, actual) = (vote_to_proto(&expected), vote_to_proto(&actual));
            Outcome::VoteChanged(RaftTransferVoteChanged {
                expected: Some(expected),
                actual: Some(actual),
            })
        }
        Err(TransferLeaderError::LogNotFlushed { expected, actual }) => {
            Outcome::NotFlushed(RaftTransferNotFlushed {
                expected: id_to_proto(expected.as_ref()),
                actual: id_to_proto(actual.as_ref()),
            })
        }
    };
    RaftTransferResponse {
        outcome: Some(outcome),
    }
}

pub(super) fn transferred_from_proto(
    response: RaftTransferResponse,
) -> Decoded<TransferLeaderResponse<TypeConfig>> {
    use raft_transfer_response::Outcome;
    let required = |vote: Option<RaftVote>| vote_required(vote.as_ref(), "RaftTransferVoteChanged");
    match response.outcome {
        None => Err(DecodeError::Missing {
            message: "RaftTransferResponse",
            field: "outcome",
        }),
        Some(Outcome::Accepted(_)) => Ok(Ok(())),
        Some(Outcome::VoteChanged(changed)) => Ok(Err(TransferLeaderError::VoteChanged {
            expected: required(changed.expected)?,
            actual: required(changed.actual)?,
        })),
        Some(Outcome::NotFlushed(behind)) => Ok(Err(TransferLeaderError::LogNotFlushed {
            expected: id_from_proto(behind.expected.as_ref()),
            actual: id_from_proto(behind.actual.as_ref()),
        })),
    }
}

fn id_to_proto(id: Option<&LogId>) -> Option<RaftLogId> {
    id.map(log_id_to_proto)
}

fn id_from_proto(id: Option<&RaftLogId>) -> Option<LogId> {
    id.map(log_id_from_proto)
}
