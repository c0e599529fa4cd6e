//! Durable snapshot files.
//!
//! A snapshot is the state up to one entry, in one file that proves its own integrity
//! ([`format`]). A file appears under its final name only after it was synced, and the name is
//! synced before anyone is told ([`SnapshotDir`]): the consensus library purges the log below a
//! snapshot as soon as it hears of it. A file that travels to another node is the same file, byte
//! for byte; it is verified there before anything is done with it.

pub(crate) mod format;
mod incoming;
mod store;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use incoming::Incoming;
pub(crate) use store::SnapshotDir;

/// A snapshot file, opened: it can be read to the end even after a newer one replaced it.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotFile {
    pub(super) file: Arc<File>,
    pub(super) path: PathBuf,
    /// Length in bytes.
    pub(crate) length: u64,
}

/// A snapshot file cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SnapshotError {
    /// The file system failed.
    #[error("failed reading or writing the snapshot")]
    Io(#[from] std::io::Error),
    /// It is not a snapshot, or one that is torn or damaged.
    #[error("damaged snapshot: {0}")]
    Damaged(String),
    /// It was written by another version.
    #[error("snapshot of format {0}, only {known} is known", known = format::VERSION)]
    Version(u32),
    /// It belongs to another cluster.
    #[error("snapshot of cluster {found}, expected {expected}")]
    Foreign {
        /// The cluster in the file.
        found: String,
        /// Ours.
        expected: String,
    },
}

impl From<SnapshotError> for std::io::Error {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Io(error) => error,
            other => std::io::Error::new(std::io::ErrorKind::InvalidData, other),
        }
    }
}
