//! Why an order does not go on.

use fleet_model::Time;
use instant_acme::{Error, Problem};

/// What is to be made of a step that failed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Somebody else was there before; what there is now says what is next.
    Overtaken,
    /// It is no matter of the order: this node cannot commit or read something, or was unlucky. The
    /// same step is taken again.
    Local(String),
    /// The order has come to nothing.
    Order {
        problem: String,
        /// The authority wants to hear nothing before.
        not_before: Option<Time>,
        /// It does not know the account.
        stranger: bool,
    },
}

const UNKNOWN_ACCOUNT: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

/// A number that was to be used once was too old, and those after it too: only bad luck, or an
/// authority that has just begun anew (RFC 8555, 6.5).
const BAD_NONCE: &str = "urn:ietf:params:acme:error:badNonce";

impl Trouble {
    pub(super) fn of_order(problem: impl Into<String>) -> Self {
        Self::Order {
            problem: problem.into(),
            not_before: None,
            stranger: false,
        }
    }

    /// What the authority said, or why it could not be heard.
    pub(super) fn of(error: &Error, not_before: Option<Time>) -> Self {
        let (problem, stranger) = match error {
            Error::Api(problem) if problem.r#type.as_deref() == Some(BAD_NONCE) => {
                return Self::Local(worded(problem));
            }
            Error::Api(problem) => (
                worded(problem),
                problem.r#type.as_deref() == Some(UNKNOWN_ACCOUNT),
            ),
            other => (with_causes(other), false),
        };
        Self::Order {
            problem,
            not_before,
            stranger,
        }
    }
}

/// A problem in the authority's words: the last part of its type, and what it says.
pub(super) fn worded(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    let kind = kind.rsplit(':').next().unwrap_or_default();
    let own = problem.detail.as_deref().into_iter();
    let parts = problem.subproblems.iter();
    let details: Vec<&str> = own
        .chain(parts.filter_map(|part| part.detail.as_deref()))
        .collect();
    match (kind, details.join("; ")) {
        ("", details) if details.is_empty() => "the authority gave no reason".to_owned(),
        ("", details) => details,
        (kind, details) if details.is_empty() => kind.to_owned(),
        (kind, details) => format!("{kind}: {details}"),
    }
}

fn with_causes(error: &Error) -> String {
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_are_told_in_the_authoritys_words() {
        let problem = |json: &str| worded(&serde_json::from_str(json).expect("a problem"));
        let whole = r#"{"type": "urn:ietf:params:acme:error:dns", "detail": "no address",
            "subproblems": [{"type": "x", "detail": "of b.test"}]}"#;
        assert_eq!(problem(whole), "dns: no address; of b.test");
        assert_eq!(problem(r#"{"detail": "no"}"#), "no");
        assert_eq!(problem(r#"{"type": "about:blank"}"#), "blank");
        assert_eq!(problem("{}"), "the authority gave no reason");
    }

    #[test]
    fn bad_luck_is_no_failure_of_the_order() {
        let problem: Problem =
            serde_json::from_value(serde_json::json!({ "type": BAD_NONCE })).expect("a problem");
        let trouble = Trouble::of(&Error::Api(problem), None);
        assert_eq!(trouble, Trouble::Local("badNonce".to_owned()));
    }

    #[test]
    fn an_account_that_is_not_known_is_told_apart() {
        for (kind, expected) in [(UNKNOWN_ACCOUNT, true), ("about:blank", false)] {
            let problem: Problem =
                serde_json::from_value(serde_json::json!({ "type": kind })).expect("a problem");
            let trouble = Trouble::of(&Error::Api(problem), Some(Time(7)));
            let Trouble::Order {
                stranger,
                not_before,
                ..
            } = trouble
            else {
                panic!("{trouble:?}");
            };
            assert_eq!((stranger, not_before), (expected, Some(Time(7))));
        }
    }
}
