//! The replicated state behind the consensus room's [`StateMachine`]: bytes in, bytes out.
//!
//! A batch of committed entries is applied to a working copy and published once, so readers see
//! the state of a log index, never one between two.

use std::io::{self, Read, Write};

use bytes::Bytes;
use fleet_model::{Rejection, State, Time, command::Code};
use tokio::sync::watch;

use super::codec::{self, DecodeError};
use crate::consensus::{Committed, RestoreError, SnapshotView, StateMachine};

/// Applies what the cluster agreed on.
#[derive(Debug)]
pub struct Machine {
    /// The one copy that changes; everybody else holds clones, which cost O(1).
    state: State,
    published: watch::Sender<State>,
}

impl Machine {
    /// A machine before its first command, and where its states are published. A receiver always
    /// holds the newest; a clone of it is a consistent snapshot for as long as it is kept.
    #[must_use]
    pub fn new() -> (Self, watch::Receiver<State>) {
        Self::of(State::genesis())
    }

    /// A machine that goes on from `state`.
    #[must_use]
    pub fn of(state: State) -> (Self, watch::Receiver<State>) {
        let (published, receiver) = watch::channel(state.clone());
        (Self { state, published }, receiver)
    }

    fn publish(&self) {
        self.published.send_replace(self.state.clone());
    }

    fn apply_one(&mut self, committed: &Committed<'_>) -> Bytes {
        let Committed {
            index,
            term: _,
            time_ms,
            payload,
        } = *committed;
        let answer = match codec::decode_command(payload, index, time_ms) {
            Ok(entry) => self.state.apply(entry),
            Err(error) => {
                // All nodes of one version agree on this; a newer one must not send what older
                // ones cannot read before all are new.
                tracing::error!(
                    index,
                    error = &error as &dyn std::error::Error,
                    "a committed command cannot be read and has no effect"
                );
                self.state.index = index;
                self.state.now = self.state.now.max(Time(time_ms));
                Err(unreadable(&error))
            }
        };
        codec::encode_answer(&answer)
    }
}

fn unreadable(error: &DecodeError) -> Rejection {
    Rejection::new(
        Code::InvalidValue,
        format!("this command cannot be read by the version of fleet in control: {error}"),
    )
    .hint("use a fleet of the same version as the cluster: fleet version")
}

impl StateMachine for Machine {
    fn apply(&mut self, entries: &[Committed<'_>]) -> Vec<Bytes> {
        let answers = entries.iter().map(|entry| self.apply_one(entry)).collect();
        self.publish();
        answers
    }

    fn view(&self) -> Box<dyn SnapshotView> {
        Box::new(View(self.state.clone()))
    }

    fn restore(&mut self, body: &mut dyn Read) -> Result<(), RestoreError> {
        self.state = codec::read_state(body).map_err(|error| match error {
            DecodeError::Read(error) => RestoreError::Read(error),
            error => RestoreError::Invalid(error.to_string()),
        })?;
        self.publish();
        Ok(())
    }
}

/// A state that no longer changes.
struct View(State);

impl SnapshotView for View {
    fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        codec::write_state(&self.0, out)
    }
}

#[cfg(test)]
mod tests;
