//! What a consensus node is started with.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tonic::transport::{Channel, Endpoint};

/// Largest payload of one proposal, in bytes. The log moves commands, not artefacts; with 300
/// entries in one append at most, a larger one would make single messages of the append stream
/// outgrow any deadline (engineering notes on consensus, section 4).
pub const MAX_PROPOSAL_BYTES: usize = 512 * 1024;

/// A wall clock: milliseconds since 1970-01-01T00:00:00Z.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Called once, with the reason, when the log could not be made durable. It must not return control
/// to a process that goes on serving; the default aborts.
pub type Fatal = Arc<dyn Fn(&str) + Send + Sync>;

/// Says why a node is refused for good, if it is: it was removed, and its id is never used again.
pub type Expelled = Arc<dyn Fn(u64) -> Option<String> + Send + Sync>;

/// Opens a lazy channel to a node by its id, at an endpoint with the timers' deadlines. The default is
/// plain TCP; TLS brings its own.
pub type Connect = Arc<dyn Fn(u64, &Endpoint) -> Channel + Send + Sync>;

/// How to start a consensus node.
#[derive(Clone)]
pub struct Options {
    /// Directory of the log (RocksDB) and the durable mark.
    pub dir: PathBuf,
    /// Directory of the snapshot files.
    pub snapshot_dir: PathBuf,
    /// The cluster this node belongs to. Calls and stores of another one are refused.
    pub cluster_id: String,
    /// This node. Never reused, not even after the node left.
    pub node_id: u64,
    /// host:port at which the other control nodes reach this node's gRPC server.
    pub advertise: String,
    /// Timers of elections and of replies.
    pub timers: Timers,
    /// A snapshot is written after this many entries, and the log below it is purged.
    pub snapshot_every: u64,
    /// Entries kept in the log below a snapshot, so that a follower that was away for a moment
    /// catches up from the log.
    pub keep_entries: u64,
    /// Cap on the bytes per second of one snapshot being sent, so that it does not starve the
    /// append streams on the same link.
    pub snapshot_bytes_per_second: u64,
    /// Threads of the runtime that consensus runs on, away from the work of the rest of the
    /// process. 0: the caller's runtime (simulation).
    pub threads: usize,
    /// How other nodes are reached; none: plain TCP, for tests. Whoever serves the calls sees to it that
    /// they come from the node that they name.
    pub connect: Option<Connect>,
    /// Stamps proposals at the leader.
    pub clock: Clock,
    /// Whose votes and entries are refused; none by default.
    pub expelled: Expelled,
    /// What to do after a failed fsync.
    pub on_fatal: Fatal,
}

impl Options {
    /// Options with every default; see [`Timers::default`] for the timers.
    pub fn new(
        dir: impl Into<PathBuf>,
        snapshot_dir: impl Into<PathBuf>,
        cluster_id: impl Into<String>,
        node_id: u64,
        advertise: impl Into<String>,
    ) -> Self {
        Self {
            dir: dir.into(),
            snapshot_dir: snapshot_dir.into(),
            cluster_id: cluster_id.into(),
            node_id,
            advertise: advertise.into(),
            timers: Timers::default(),
            snapshot_every: 10_000,
            keep_entries: 2_000,
            snapshot_bytes_per_second: 128 * 1024 * 1024,
            threads: 2,
            connect: None,
            clock: Arc::new(wall_clock),
            expelled: Arc::new(|_| None),
            on_fatal: Arc::new(abort),
        }
    }
}

/// Timers. The defaults suit machines with two starved cores, where an fsync was seen to take
/// 480 ms: fail-over takes 3-4 s. On dedicated cores 100 / 500-1000 ms halve that.
#[derive(Debug, Clone)]
pub struct Timers {
    /// Between two heartbeats of the leader.
    pub heartbeat: Duration,
    /// Shortest election timeout.
    pub election_min: Duration,
    /// Longest election timeout, and the length of the leader's lease: followers that heard a
    /// leader within it refuse to vote, and a leader that heard no quorum within it refuses
    /// proposals.
    pub election_max: Duration,
    /// After this long without a leader or a quorum, proposals and reads are refused. A little under
    /// the two seconds promised to users, so that the answer still travels.
    pub unavailable_after: Duration,
    /// Longest wait for a change of the members or of the leader.
    pub change: Duration,
    /// Longest time to connect to another node.
    pub connect: Duration,
    /// Silence on a connection after which a ping is sent, and after which an unanswered ping
    /// closes it.
    pub keepalive: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            heartbeat: Duration::from_millis(250),
            election_min: Duration::from_millis(1000),
            election_max: Duration::from_millis(2000),
            unavailable_after: Duration::from_millis(1800),
            change: Duration::from_secs(15),
            connect: Duration::from_secs(1),
            keepalive: Duration::from_secs(2),
        }
    }
}

fn wall_clock() -> u64 {
    // A clock before 1970 is a broken clock; the state machine clamps what runs backwards.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as u64)
}

fn abort(reason: &str) {
    tracing::error!(
        reason,
        "aborting: what was not made durable must not be acknowledged"
    );
    std::process::abort();
}
