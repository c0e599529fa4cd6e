//! Noticing at once that the leader's process has died.
//!
//! A follower waits for the leader's lease and then for its own timeout before it stands for
//! election: it cannot tell a dead leader from a slow one. Mostly it could. When a process dies, its
//! kernel ends its connections and refuses new ones, within a millisecond. A follower whose append
//! stream from the leader ends, and to whom the leader's address then refuses a connection, knows
//! that the process is gone; it lets go of the lease and stands for election.
//!
//! Nothing here is needed for safety, and being wrong costs little: the election begins with a
//! pre-vote, which everybody who still hears the leader refuses, and the log decides as ever. A
//! machine that loses its power or its network refuses nothing; then the timers decide.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::raft::TransferLeaderRequest;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};

use super::handle::Handle;
use super::membership::Leadership;

/// Pauses between two looks at the leader's port, in milliseconds. A process's connections end one
/// after the other, and the port it listens on is not always the first; but one that still listens
/// after these has only closed a stream.
const PAUSES: [u64; 8] = [0, 5, 10, 20, 40, 80, 160, 320];

/// For the kernel of another machine to accept or to refuse.
const ANSWERS_WITHIN: Duration = Duration::from_millis(200);

/// What the looks after ended streams share.
#[derive(Debug, Default)]
pub(super) struct Watch {
    /// Streams from leaders that have ended so far.
    ended: AtomicU64,
    /// Held while somebody looks: the streams of one leader end together.
    looking: Mutex<()>,
}

/// Kept with the append stream of a leader, and looks after it when the stream ends.
pub(super) struct Vigil {
    handle: Handle,
    leader: u64,
}

impl Vigil {
    pub(super) fn new(handle: Handle, leader: u64) -> Self {
        Self { handle, leader }
    }
}

impl Drop for Vigil {
    fn drop(&mut self) {
        if self.handle.is_closing() {
            return;
        }
        // Without a runtime this process ends, too.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(look_after(self.handle.clone(), self.leader));
        }
    }
}

async fn look_after(handle: Handle, leader: u64) {
    let watch = &handle.core().vigil;
    watch.ended.fetch_add(1, Ordering::SeqCst);
    let Ok(_alone) = watch.looking.try_lock() else {
        return;
    };
    loop {
        let before = watch.ended.load(Ordering::SeqCst);
        look(&handle, leader).await;
        if watch.ended.load(Ordering::SeqCst) == before {
            return;
        }
    }
}

/// Looks whether the leader's process is gone, for as long as that may take to show; if it is, does
/// what can be done to replace it.
async fn look(handle: &Handle, leader: u64) {
    let core = handle.core();
    for pause in PAUSES {
        sleep(Duration::from_millis(pause)).await;
        let known = core.leadership.borrow().leader.clone();
        let Some(peer) = known.filter(|peer| peer.id == leader && leader != core.node_id) else {
            return;
        };
        // A node that has just joined may not have heard yet where its leader is.
        if !peer.address.is_empty() && refuses(&peer.address).await {
            tracing::info!(leader, address = %peer.address, "the leader's process has ended");
            let mut leadership = core.leadership.clone();
            let moved_on =
                |now: &Leadership| now.leader.as_ref().is_some_and(|now| now.id != leader);
            tokio::select! {
                _ = leadership.wait_for(moved_on) => {}
                () = succeed(handle, leader) => {}
                // From here on the timers decide.
                () = sleep(core.timers.election_max) => {}
            }
            return;
        }
    }
}

/// Lets go of the dead leader's lease and asks for votes, one voter after the other in the order of
/// their ids, and again: the others have to notice, too.
async fn succeed(handle: &Handle, dead: u64) {
    let core = handle.core();
    let vote = core.raft.metrics().borrow_watched().vote;
    if !vote.committed || vote.leader_id.node_id != dead {
        return;
    }
    // The library's way of letting go of a lease: a leader that hands over, here to itself. Whoever
    // may not stand for election lets go, too, or its vote would be missing.
    let released = TransferLeaderRequest::new(vote, dead, None);
    if core.raft.handle_transfer_leader(released).await.is_err() {
        return;
    }
    let voters = handle.members().voters;
    let mut heirs = voters.keys().filter(|id| **id != dead);
    let Some(rank) = heirs.position(|id| *id == core.node_id) else {
        return;
    };
    let times = |turns: usize| core.timers.heartbeat * u32::try_from(turns).unwrap_or(u32::MAX);
    sleep(times(rank)).await;
    while core.raft.trigger().elect(true).await.is_ok() {
        sleep(times(voters.len())).await;
    }
}

/// Whether a machine refuses connections to an address: nothing listens there any more. A machine
/// that does not answer is not known to have lost a process.
async fn refuses(address: &str) -> bool {
    let connected = timeout(ANSWERS_WITHIN, TcpStream::connect(address)).await;
    matches!(connected, Ok(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[tokio::test]
    async fn a_port_that_is_listened_on_is_no_death() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        assert!(!refuses(&address).await);
        drop(listener);
        assert!(refuses(&address).await);
    }
}
