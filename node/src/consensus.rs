//! Consensus: one log, agreed on by the control nodes, moving opaque bytes.
//!
//! The rest of fleet sees a [`StateMachine`] that it provides, and a [`Handle`] with which it
//! proposes, reads and changes the members. This is the only room that names the consensus
//! library; docs/consensus.md tells why it was chosen and how to move to another version.
//!
//! Invariants:
//!
//! 1. Nothing is acknowledged before it is durable on a quorum: an append answers after the fsync
//!    that covers it ([`log_store`]).
//! 2. Vote and log share one write-ahead log, one flusher and one order, so a durable vote implies
//!    that everything written before it is durable.
//! 3. After one failed fsync nothing is ever written or acknowledged again; the process aborts.
//! 4. The log is purged only below a durable, verified snapshot ([`snapshot`]).
//! 5. A node id lives on one disk only. A disk that was wiped, exchanged or lost its tail is
//!    refused at start ([`identity`]), and the node has to come back under a new id.
//! 6. Every call names the cluster and the node it is meant for; others are refused
//!    ([`transport`]).
//!
//! 7. A log may begin with a state instead of nothing, in a store of its own and under another name
//!    of the cluster, so that it never meets the log it came from ([`anew`]).
//!
//! Absent on purpose: lease reads, reuse of node ids, restoring a leader without an election, any
//! knowledge of what the bytes mean, and the gRPC port (the node mounts [`Handle::service`] into
//! its one server).

mod anew;
mod applier;
mod codec;
mod config;
mod error;
mod forward;
mod handle;
mod identity;
mod log_store;
mod machine;
mod membership;
mod open;
mod options;
mod snapshot;
mod status;
mod transport;
mod types;
mod vigil;

#[cfg(test)]
mod tests;

pub use anew::{Position, Remains, begin_with, read_remains};
pub use error::{FailedReason, MembershipError, OpenError, ProposeError, ReadError};
pub use handle::{Applied, Handle};
pub use identity::write as write_identity;
pub use log_store::{Counters, LogIo, Mark, MemoryDisk, MetaKey, Op, Rocks, Visit};
pub use machine::{Committed, RestoreError, SnapshotView, StateMachine};
pub use membership::{Leadership, Members, Peer};
pub use open::Consensus;
pub use options::{Clock, Connect, Expelled, Fatal, MAX_PROPOSAL_BYTES, Options, Timers};
pub use transport::{FROM, Service};
