//! What can go wrong, as the rest of the node sees it.

use std::io;
use std::path::PathBuf;

use super::membership::Peer;

/// The store could not be opened, or must not be.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The directory holds no store although this node id was in use before. Starting empty under
    /// an old id could elect two leaders.
    #[error(
        "{dir} holds no log of node {node_id}: the disk was wiped or exchanged; join again as a new node"
    )]
    Wiped {
        /// Where the store was looked for.
        dir: PathBuf,
        /// The id that must not be reused.
        node_id: u64,
    },
    /// The directory holds the store of somebody else.
    #[error(
        "{dir} belongs to node {found_node} of cluster {found_cluster}, not to node {node_id} of cluster {cluster_id}"
    )]
    Foreign {
        /// Where the store was found.
        dir: PathBuf,
        /// Cluster written in the store.
        found_cluster: String,
        /// Node id written in the store.
        found_node: u64,
        /// Cluster this node believes to be in.
        cluster_id: String,
        /// Node id this node believes to have.
        node_id: u64,
    },
    /// The log ends before an index, or the vote lies before a term, that was once durable. A node
    /// that forgot what it acknowledged must not vote again under the same id.
    #[error(
        "the log in {dir} ends at {last_index} in term {term}, but {durable_index} in term {durable_term} was durable: \
         the disk lost data; join again as a new node"
    )]
    LostTail {
        /// Where the store is.
        dir: PathBuf,
        /// Last index found.
        last_index: u64,
        /// Term of the vote found.
        term: u64,
        /// Index that had been durable.
        durable_index: u64,
        /// Term of the vote that had been durable.
        durable_term: u64,
    },
    /// `create` was asked for, and there is a store already.
    #[error("{dir} already holds the log of node {node_id} of cluster {cluster_id}")]
    NotEmpty {
        /// Where the store was found.
        dir: PathBuf,
        /// Cluster written in it.
        cluster_id: String,
        /// Node id written in it.
        node_id: u64,
    },
    /// Something on disk is damaged, or was written by a newer version.
    #[error("the store in {dir} is damaged: {what}")]
    Corrupt {
        /// Where.
        dir: PathBuf,
        /// What was being read, and how it failed.
        what: String,
    },
    /// The snapshot the log starts from is damaged or missing.
    #[error("no usable snapshot in {dir}, and the log before index {purged} is gone: {what}")]
    NoSnapshot {
        /// The snapshot directory.
        dir: PathBuf,
        /// Last index that was purged.
        purged: u64,
        /// Why the newest snapshot cannot be used.
        what: String,
    },
    /// Timers or limits contradict one another.
    #[error("invalid consensus options: {0}")]
    Options(String),
    /// The operating system refused.
    #[error("failed opening the store in {dir}")]
    Io {
        /// Where.
        dir: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The consensus library refused to start on what it read.
    #[error("failed starting consensus: {0}")]
    Start(String),
}

impl OpenError {
    /// Exit code of the process: 3 when no restart can help and the node has to join again under a
    /// new id, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            OpenError::Wiped { .. } | OpenError::Foreign { .. } | OpenError::LostTail { .. } => 3,
            _ => 1,
        }
    }
}

/// A proposal was not applied, or nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// No leader with a quorum was found. The proposal was definitely not applied and never will be.
    #[error("no leader with a quorum: {reason}")]
    Unavailable {
        /// What was tried last.
        reason: String,
    },
    /// The proposal may have been applied, or may be applied later. Propose it again with the same
    /// request id, which the state machine must know to ignore.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// What was waited for.
        reason: String,
    },
    /// The proposal is larger than [`super::MAX_PROPOSAL_BYTES`]. It was not applied.
    #[error("proposal of {size} bytes, at most {limit} are allowed")]
    TooLarge {
        /// Size of the payload in bytes.
        size: usize,
        /// The limit in bytes.
        limit: usize,
    },
}

/// A linearizable read could not be confirmed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// No leader could confirm the read with a quorum, or this node lags too far behind it.
    #[error("cannot confirm the read: {reason}")]
    Unavailable {
        /// What was tried last.
        reason: String,
    },
}

/// A change of the members, or of the leader, was refused or did not finish.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MembershipError {
    /// Only the leader changes members.
    #[error("this node does not lead")]
    NotLeader {
        /// Who does, as far as this node knows.
        leader: Option<Peer>,
    },
    /// Another change is not finished, or the leader is new and has not heard a quorum.
    #[error("another membership change is under way")]
    InProgress,
    /// The node is neither voter nor learner.
    #[error("node {id} is not a member")]
    UnknownNode {
        /// The id that was asked for.
        id: u64,
    },
    /// The id is known at another address. Ids are never reused, addresses never rewritten.
    #[error("node {id} is already a member at {address}")]
    AddressTaken {
        /// The id.
        id: u64,
        /// Its address.
        address: String,
    },
    /// A learner that is to vote has not caught up: as a voter it would only slow the quorum down.
    #[error("node {id} lags {behind} entries behind")]
    Lagging {
        /// The id.
        id: u64,
        /// Entries it has not stored yet.
        behind: u64,
    },
    /// The change would leave no voter.
    #[error("a cluster needs at least one voter")]
    NoVoters,
    /// The change was written but not confirmed in time; it may still happen.
    #[error("outcome unknown: {reason}")]
    Unknown {
        /// What was waited for.
        reason: String,
    },
    /// The cluster already has members.
    #[error("this node already has a log: only an empty one can found a cluster")]
    AlreadyBootstrapped,
    /// Consensus has stopped on this node.
    #[error("consensus stopped: {0}")]
    Stopped(String),
}

/// Why consensus stopped for good. The process has to exit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("consensus stopped: {0}")]
pub struct FailedReason(pub String);
