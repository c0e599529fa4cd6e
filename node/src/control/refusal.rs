//! Refusals as gRPC statuses: a code, a sentence, and a machine-readable [`v1::ErrorDetail`].

use bytes::Bytes;
use fleet_model::{
    Rejection,
    command::{Class, Code},
};
use fleet_proto::v1;
use prost::Message as _;
use tonic::Status;

use super::context::Refused;
use crate::consensus::{ProposeError, ReadError};

/// The status of a refused command.
pub(super) fn refused(refused: Refused) -> Status {
    match refused {
        Refused::Rejected(rejection) => rejected(&rejection),
        Refused::NotProposed(error) => not_proposed(&error),
        Refused::Answer(error) => {
            tracing::error!(%error, "an answer of the log cannot be read");
            Status::internal("the answer of the cluster could not be read")
        }
    }
}

/// The status of a "no" of the domain.
pub(super) fn rejected(rejection: &Rejection) -> Status {
    let detail = v1::ErrorDetail {
        reason: rejection.code.as_str().to_owned(),
        hint: rejection.hint.clone().unwrap_or_default(),
        candidates: rejection.candidates.clone(),
    };
    with_detail(status_code(rejection.code), &rejection.message, &detail)
}

fn status_code(code: Code) -> tonic::Code {
    match code {
        Code::AlreadyExists => tonic::Code::AlreadyExists,
        Code::RolloutInProgress | Code::Stale => tonic::Code::Aborted,
        Code::LimitReached => tonic::Code::ResourceExhausted,
        other => match other.class() {
            Class::Invalid => tonic::Code::InvalidArgument,
            Class::NotFound => tonic::Code::NotFound,
            Class::Refused => tonic::Code::FailedPrecondition,
        },
    }
}

fn not_proposed(error: &ProposeError) -> Status {
    match error {
        ProposeError::Unavailable { .. } => unavailable(&error.to_string()),
        ProposeError::Unknown { .. } => with_detail(
            tonic::Code::DeadlineExceeded,
            &error.to_string(),
            &detail(
                "OUTCOME_UNKNOWN",
                "the command may still take effect; repeat it with the same request id, or look",
            ),
        ),
        ProposeError::TooLarge { .. } => with_detail(
            tonic::Code::InvalidArgument,
            &error.to_string(),
            &detail("TOO_LARGE", "large things belong into the artefact"),
        ),
    }
}

/// The status of a read that could not be confirmed.
pub(super) fn unread(error: ReadError) -> Status {
    unavailable(&error.to_string())
}

/// This node has certainly done nothing.
pub(super) fn unavailable(message: &str) -> Status {
    with_detail(
        tonic::Code::Unavailable,
        message,
        &detail(
            "NO_QUORUM",
            "a majority of the control nodes must be up; what runs keeps running (--stale reads without it)",
        ),
    )
}

/// A request that makes no sense whatever the state.
pub(super) fn invalid(message: impl Into<String>, hint: &str) -> Status {
    with_detail(
        tonic::Code::InvalidArgument,
        &message.into(),
        &detail("INVALID_VALUE", hint),
    )
}

pub(super) fn detail(reason: &str, hint: &str) -> v1::ErrorDetail {
    v1::ErrorDetail {
        reason: reason.to_owned(),
        hint: hint.to_owned(),
        candidates: Vec::new(),
    }
}

pub(super) fn with_detail(code: tonic::Code, message: &str, detail: &v1::ErrorDetail) -> Status {
    Status::with_details(code, message, Bytes::from(detail.encode_to_vec()))
}
