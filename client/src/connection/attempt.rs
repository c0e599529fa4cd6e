//! What one attempt came to.

use std::error::Error as _;

use tonic::{Code, Status};

use crate::failure::Failure;

/// The result of asking one node once.
#[derive(Debug)]
pub(super) enum Outcome<A> {
    Answer(A),
    /// The cluster's definite no.
    Refusal(Box<Failure>),
    /// Nothing is settled: ask again, elsewhere.
    Retry {
        why: String,
        /// The request may have got through.
        sent: bool,
    },
}

/// Tells a node's own words from a connection that broke.
pub(super) fn judge<A>(status: &Status) -> Outcome<A> {
    let why = if status.message().is_empty() {
        status.code().description().to_lowercase()
    } else {
        status.message().to_owned()
    };
    if broke(status) {
        return Outcome::Retry { why, sent: true };
    }
    match status.code() {
        // By the contract in common.proto: certainly nothing was done.
        Code::Unavailable => Outcome::Retry { why, sent: false },
        // Some layers say CANCELLED when the deadline they were given is over.
        Code::DeadlineExceeded | Code::Cancelled => Outcome::Retry { why, sent: true },
        _ => Outcome::Refusal(Box::new(Failure::from(status))),
    }
}

/// Whether a status was made on this side because the connection failed. Those have a cause;
/// what a server says never does.
pub(super) fn broke(status: &Status) -> bool {
    status.source().is_some()
        || (status.code() == Code::Internal && status.message().contains("h2 protocol error"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_settled_from_open() {
        let retry = |status: Status| match judge::<()>(&status) {
            Outcome::Retry { sent, .. } => Some(sent),
            _ => None,
        };
        assert_eq!(retry(Status::unavailable("no leader")), Some(false));
        assert_eq!(retry(Status::deadline_exceeded("slow")), Some(true));
        assert_eq!(retry(Status::failed_precondition("protected")), None);
        assert_eq!(retry(Status::internal("broken")), None);
        let lost = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
        assert_eq!(retry(Status::from_error(Box::new(lost))), Some(true));
    }
}
