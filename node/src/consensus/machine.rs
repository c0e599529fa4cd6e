//! What the consensus room asks of the state it replicates.

use bytes::Bytes;

/// A committed proposal on its way into the state machine.
#[derive(Debug, Clone, Copy)]
pub struct Committed<'a> {
    /// Position in the log. Strictly increasing, with gaps: the log also holds entries of its own.
    pub index: u64,
    /// Term of the leader that wrote it.
    pub term: u64,
    /// Wall clock of the leader that accepted it, in milliseconds since 1970-01-01T00:00:00Z. It
    /// may run backwards from one entry to the next when the leader changes.
    pub time_ms: u64,
    /// The bytes given to `propose`.
    pub payload: &'a [u8],
}

/// The replicated state. It lives in memory; its durability is the log's and the snapshot's.
pub trait StateMachine: Send + Sync + 'static {
    /// Applies `entries` in order and answers each of them, in the same order.
    ///
    /// Must be deterministic (no clock, no randomness, no iteration over a hash map) and total: a
    /// panic, or a wrong number of answers, stops this node for good. Readers may see the new state
    /// as soon as this returns.
    fn apply(&mut self, entries: &[Committed<'_>]) -> Vec<Bytes>;

    /// The state as it is now, cheap to take (called between applies) and written out later, while
    /// applying goes on.
    fn view(&self) -> Box<dyn SnapshotView>;

    /// Replaces the whole state by the one a [`SnapshotView`] wrote into `body`.
    ///
    /// # Errors
    /// [`RestoreError`] if `body` cannot be read or understood; the state must then be untouched,
    /// so parse everything before swapping.
    fn restore(&mut self, body: &mut dyn std::io::Read) -> Result<(), RestoreError>;
}

/// A frozen state that can write itself out.
pub trait SnapshotView: Send {
    /// Writes everything `restore` needs. The bytes are framed, checksummed and compressed by the
    /// consensus room.
    ///
    /// # Errors
    /// Those of `out`.
    fn write(&self, out: &mut dyn std::io::Write) -> std::io::Result<()>;
}

/// A snapshot's body could not become a state.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file under the body failed.
    #[error("failed reading the snapshot")]
    Read(#[from] std::io::Error),
    /// The bytes were intact but are not a state this version understands.
    #[error("cannot understand the snapshot: {0}")]
    Invalid(String),
}
