//! The bytes of commands, answers and states: what lies in the log, travels to whoever proposed,
//! and fills snapshots.
//!
//! Invariants: encoding is total and canonical (equal values are equal bytes on every node), and
//! decoding is total too: whatever the bytes, it answers a value or a [`DecodeError`].

mod answer;
mod command;
mod error;
mod state;
#[cfg(test)]
mod tests;

pub use answer::{decode_answer, encode_answer};
pub use command::{decode_command, encode_command};
pub use error::DecodeError;
pub use state::{hash, read_state, write_state};
