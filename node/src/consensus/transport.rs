//! Control node to control node, over tonic.
//!
//! Three connections per peer, so that none waits behind another: the log stream, heartbeats and
//! votes, and snapshots. The log stream is bidirectional and pipelined: the leader sends on while
//! the follower syncs. Everything that fails on the way is reported as *unreachable*, which makes
//! the consensus library back off; nothing here retries.
//!
//! Every call has a deadline, and every connection is pinged when it is silent: a peer that vanished
//! without closing would otherwise hang a stream for as long as TCP likes.

mod append;
mod client;
mod credentials;
mod granted;
mod message;
mod pool;
mod server;
mod snapshot;

pub(super) use client::NetworkFactory;
pub(super) use credentials::Credentials;
pub use credentials::FROM;
pub(super) use pool::{Lane, Pool};
pub use server::Service;

/// Largest message accepted, in bytes. A batch of entries is cut at 4 MiB and a proposal at
/// 512 KiB, so nothing legitimate comes near it.
pub(crate) const MAX_MESSAGE_BYTES: usize = 16 << 20;
