//! The seam under the log store: an ordered, crash-prone disk.
//!
//! [`super::LogStore`] runs unchanged on RocksDB ([`super::Rocks`]) and on a disk in memory that
//! distinguishes written from synced ([`super::MemoryDisk`]), so that crashes and failing flushes
//! can be tested, and simulated, with the code that runs in production.

use std::io;
use std::ops::{ControlFlow, Range};

use bytes::Bytes;

/// Values beside the log. The discriminant's name is the key on disk and never changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum MetaKey {
    /// Whose store this is; written once.
    Identity,
    /// The vote.
    Vote,
    /// The last index known to be committed; may lag.
    Committed,
    /// The last entry that was purged.
    Purged,
}

impl MetaKey {
    /// The key on disk.
    pub fn name(self) -> &'static str {
        match self {
            MetaKey::Identity => "identity",
            MetaKey::Vote => "vote",
            MetaKey::Committed => "committed",
            MetaKey::Purged => "purged",
        }
    }
}

/// One change of the disk.
#[derive(Debug, Clone)]
pub enum Op {
    /// Stores the entry at an index.
    PutEntry(u64, Bytes),
    /// Removes a suffix of the log: few entries, removed one by one.
    TruncateEntries(Range<u64>),
    /// Removes a prefix of the log: many entries, removed as one range.
    PurgeEntries(Range<u64>),
    /// Stores a value beside the log.
    PutMeta(MetaKey, Bytes),
}

/// What is known to be durable, kept apart from the log so that a log that lost its tail, or a
/// vote that fell back, is noticed. See [`super::mark`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Mark {
    /// Greatest index of a durable entry.
    pub index: u64,
    /// Term of the durable vote.
    pub term: u64,
}

/// What a scan hands to its visitor: one entry; `Break` ends the scan.
pub type Visit<'a> = dyn FnMut(u64, Bytes) -> io::Result<ControlFlow<()>> + 'a;

/// A disk for one raft log.
///
/// Writes are atomic, ordered, and visible to reads when `write` returns; they are durable only
/// after a later `sync` returned. A crash keeps a prefix of the writes, never a selection.
pub trait LogIo: Send + Sync + 'static {
    /// Applies `ops` as one unit.
    ///
    /// # Errors
    /// Nothing of `ops` is visible then. The caller must not go on writing.
    fn write(&self, ops: Vec<Op>) -> io::Result<()>;

    /// Makes every write that returned before this call durable.
    ///
    /// # Errors
    /// It is unknown what is durable, and a later success proves nothing: the kernel reports a
    /// failed writeback once and drops the pages. The caller must never write again.
    fn sync(&self) -> io::Result<()>;

    /// Visits the entries of `range` in order, as they were when the scan began.
    ///
    /// # Errors
    /// Those of the disk and of the visitor.
    fn scan(&self, range: Range<u64>, visit: &mut Visit<'_>) -> io::Result<()>;

    /// The last entry.
    ///
    /// # Errors
    /// Those of the disk.
    fn last(&self) -> io::Result<Option<(u64, Bytes)>>;

    /// A value beside the log.
    ///
    /// # Errors
    /// Those of the disk.
    fn meta(&self, key: MetaKey) -> io::Result<Option<Bytes>>;

    /// The last mark written.
    ///
    /// # Errors
    /// Those of the disk, and a mark of which no copy is intact.
    fn read_mark(&self) -> io::Result<Mark>;

    /// Writes the mark durably, apart from the log.
    ///
    /// # Errors
    /// Those of the disk; the older mark is then still readable.
    fn write_mark(&self, mark: Mark) -> io::Result<()>;
}
