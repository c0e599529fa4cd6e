//! The whole state as a stream of records: header, every map in order, end.
//!
//! A record is a [`StateRecord`] behind its length as a varint. Records are written one by one, so
//! that a snapshot never needs the state twice in memory, and read back in the one order they may
//! stand in, so that no two streams mean the same state.

mod read;
mod write;

use std::io;

use fleet_model::State;
use sha2::{Digest as _, Sha256};

pub use self::{read::read_state, write::write_state};

const VERSION: u32 = 1;

/// A fingerprint of a state, equal on all nodes at the same log index.
#[must_use]
pub fn hash(state: &State) -> [u8; 32] {
    let mut digest = Digest(Sha256::new());
    // Hashing cannot fail, and nothing else in writing a state can.
    if write_state(state, &mut digest).is_err() {
        unreachable!("a digest refuses no bytes");
    }
    digest.0.finalize().into()
}

struct Digest(Sha256);

impl io::Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
