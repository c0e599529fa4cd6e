//! Answers on their way from the state machine to whoever proposed.

use bytes::Bytes;
use fleet_model::{Outcome, Rejection};
use fleet_proto::stored::AnswerEnvelope;
use prost::Message as _;

use super::DecodeError;
use crate::control::convert::{Answer, Stored};

const VERSION: u32 = 1;

/// The bytes of what a command answered.
#[must_use]
pub fn encode_answer(answer: &Result<Outcome, Rejection>) -> Bytes {
    let envelope = AnswerEnvelope {
        version: VERSION,
        answer: Some(answer.to_stored()),
    };
    envelope.encode_to_vec().into()
}

/// What a command answered.
///
/// # Errors
/// [`DecodeError`] where this version does not understand the bytes.
pub fn decode_answer(bytes: &[u8]) -> Result<Result<Outcome, Rejection>, DecodeError> {
    let malformed = |source| DecodeError::Malformed {
        what: "an answer",
        source,
    };
    let AnswerEnvelope { version, answer } = AnswerEnvelope::decode(bytes).map_err(malformed)?;
    if version != VERSION {
        return Err(DecodeError::Version {
            what: "an answer",
            found: version,
            known: VERSION,
        });
    }
    Answer::from_stored(answer.ok_or(DecodeError::Missing { field: "answer" })?)
}
