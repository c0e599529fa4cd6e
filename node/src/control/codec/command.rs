//! Commands as the log holds them.

use bytes::Bytes;
use fleet_model::{Command, Entry, Time, ids::RequestId};
use fleet_proto::stored::CommandEnvelope;
use prost::Message as _;

use super::DecodeError;
use crate::control::convert::Stored;

const VERSION: u32 = 1;

/// The bytes to propose.
#[must_use]
pub fn encode_command(request: Option<&RequestId>, actor: &str, command: &Command) -> Bytes {
    let envelope = CommandEnvelope {
        version: VERSION,
        request: request.map(RequestId::to_stored),
        actor: actor.to_owned(),
        command: Some(command.to_stored()),
    };
    envelope.encode_to_vec().into()
}

/// The command that was proposed, with what the log knows of it: where it stands, and the time in
/// milliseconds that the leader stamped it with.
///
/// # Errors
/// [`DecodeError`] where this version does not understand the bytes.
pub fn decode_command(payload: &[u8], index: u64, time_ms: u64) -> Result<Entry, DecodeError> {
    let malformed = |source| DecodeError::Malformed {
        what: "a command",
        source,
    };
    let CommandEnvelope {
        version,
        request,
        actor,
        command,
    } = CommandEnvelope::decode(payload).map_err(malformed)?;
    if version != VERSION {
        return Err(DecodeError::Version {
            what: "a command",
            found: version,
            known: VERSION,
        });
    }
    let command = command.ok_or(DecodeError::Missing { field: "command" })?;
    Ok(Entry {
        index,
        time: Time(time_ms),
        request: request.map(RequestId::from_stored).transpose()?,
        actor: actor.into(),
        command: Command::from_stored(command)?,
    })
}
