//! Why a command did not do what it was asked, in the form it is shown.

use fleet_proto::v1::ErrorDetail;
use prost::Message as _;
use tonic::{Code, Status};

use crate::exit::Exit;
use crate::grammar::Misuse;

/// One failure: what happened, what to do, how to exit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Failure {
    pub exit: Exit,
    /// Machine-readable, upper snake case.
    pub reason: String,
    /// What failed; lowercase, no full stop.
    pub what: String,
    pub hint: Option<String>,
    /// Nearest names, or what an ambiguous reference could mean.
    pub candidates: Vec<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, reason: &str, what: impl Into<String>) -> Self {
        Self {
            exit,
            reason: reason.to_owned(),
            what: what.into(),
            hint: None,
            candidates: Vec::new(),
        }
    }

    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "USAGE", what)
    }

    pub(crate) fn failed(what: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "FAILED", what)
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The hint to print: what the server said, or the names it found near.
    #[must_use]
    pub fn printed_hint(&self) -> Option<String> {
        let names = self.candidates.join(", ");
        match &self.hint {
            Some(hint) if self.candidates.is_empty() => Some(hint.clone()),
            Some(hint)
                if self
                    .candidates
                    .iter()
                    .all(|name| hint.contains(name.as_str())) =>
            {
                Some(hint.clone())
            }
            Some(hint) => Some(format!("{hint} ({names})")),
            None if self.candidates.is_empty() => None,
            None if self.exit == Exit::NotFound => Some(format!("did you mean: {names}")),
            None => Some(format!("it could be: {names}")),
        }
    }
}

impl From<Misuse> for Failure {
    fn from(misuse: Misuse) -> Self {
        let failure = Self::usage(misuse.to_string());
        match misuse.hint() {
            Some(hint) => failure.hint(hint),
            None => failure,
        }
    }
}

impl From<&Status> for Failure {
    /// A definite answer of a server. UNAVAILABLE and broken connections are the business of
    /// `connection`, which knows whether a request may have got through.
    fn from(status: &Status) -> Self {
        let detail = ErrorDetail::decode(status.details()).unwrap_or_default();
        let exit = match status.code() {
            Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
            Code::NotFound => Exit::NotFound,
            Code::FailedPrecondition
            | Code::Aborted
            | Code::AlreadyExists
            | Code::PermissionDenied
            | Code::Unauthenticated
            | Code::ResourceExhausted => Exit::Refused,
            Code::Unavailable => Exit::Unreachable,
            Code::DeadlineExceeded => Exit::TimedOut,
            _ => Exit::Failed,
        };
        let reason = if detail.reason.is_empty() {
            code_name(status.code()).to_owned()
        } else {
            detail.reason
        };
        let what = match status.message() {
            "" => status.code().description().to_lowercase(),
            message => message.to_owned(),
        };
        let hint = match status.code() {
            Code::Unauthenticated if detail.hint.is_empty() => Some(
                "the operator token is missing or wrong: FLEET_TOKEN, or fleet context add"
                    .to_owned(),
            ),
            Code::Unimplemented if detail.hint.is_empty() => {
                Some("the cluster's version does not have it yet".to_owned())
            }
            _ => (!detail.hint.is_empty()).then_some(detail.hint),
        };
        Self {
            exit,
            reason,
            what,
            hint,
            candidates: detail.candidates,
        }
    }
}

/// gRPC's own name of a code, for servers and proxies that give no reason.
fn code_name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: Code, hint: &str, candidates: &[&str]) -> Status {
        let detail = ErrorDetail {
            reason: "SOME_REASON".to_owned(),
            hint: hint.to_owned(),
            candidates: candidates.iter().map(|&name| name.to_owned()).collect(),
        };
        Status::with_details(code, "it is not so", detail.encode_to_vec().into())
    }

    #[test]
    fn codes_become_exit_codes() {
        let table = [
            (Code::InvalidArgument, Exit::Usage),
            (Code::NotFound, Exit::NotFound),
            (Code::FailedPrecondition, Exit::Refused),
            (Code::Aborted, Exit::Refused),
            (Code::AlreadyExists, Exit::Refused),
            (Code::PermissionDenied, Exit::Refused),
            (Code::Unauthenticated, Exit::Refused),
            (Code::ResourceExhausted, Exit::Refused),
            (Code::Unavailable, Exit::Unreachable),
            (Code::DeadlineExceeded, Exit::TimedOut),
            (Code::Internal, Exit::Failed),
            (Code::Unimplemented, Exit::Failed),
        ];
        for (code, exit) in table {
            assert_eq!(Failure::from(&status(code, "", &[])).exit, exit, "{code:?}");
        }
    }

    #[test]
    fn details_become_hints() {
        let near = Failure::from(&status(Code::NotFound, "", &["prod", "preprod"]));
        assert_eq!(near.reason, "SOME_REASON");
        assert_eq!(
            near.printed_hint().as_deref(),
            Some("did you mean: prod, preprod")
        );
        let both = Failure::from(&status(Code::FailedPrecondition, "be precise", &["a", "b"]));
        assert_eq!(both.printed_hint().as_deref(), Some("be precise (a, b)"));
        let plain = Failure::from(&Status::internal("broken"));
        assert_eq!(
            (plain.reason.as_str(), plain.printed_hint()),
            ("INTERNAL", None)
        );
    }

    #[test]
    fn details_that_are_no_message_are_ignored() {
        let odd = Status::with_details(Code::NotFound, "gone", vec![0xff, 0xff].into());
        assert_eq!(Failure::from(&odd).what, "gone");
    }
}
