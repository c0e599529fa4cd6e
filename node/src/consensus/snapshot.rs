//! Durable snapshot files.
//!
//! A snapshot is the state up to one entry, in one file that proves its own integrity
//! ([`crate::framed`]). A file appears under its final name only after it was synced, and the name is
//! synced before anyone is told ([`SnapshotDir`]): the consensus library purges the log below a
//! snapshot as soon as it hears of it. A file that travels to another node is the same file, byte
//! for byte; it is verified there before anything is done with it.

mod incoming;
mod store;

use std::fs::File;
use std::path::PathBuf;
use std::sync::Arc;

use fleet_proto::stored::RaftSnapshotHeader;

use crate::framed::{self, Header};

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
    /// It is not a snapshot of this version, or one that is torn or damaged.
    #[error(transparent)]
    Frame(framed::Error),
    /// What it holds contradicts itself.
    #[error("damaged snapshot: {0}")]
    Damaged(String),
    /// It belongs to another cluster.
    #[error("snapshot of cluster {found}, expected {expected}")]
    Foreign {
        /// The cluster in the file.
        found: String,
        /// Ours.
        expected: String,
    },
}

impl Header for RaftSnapshotHeader {
    const KIND: &'static str = "snapshot";
    const MAGIC: &'static [u8; 8] = b"FLEETSNP";
    const VERSION: u32 = 1;
}

impl From<framed::Error> for SnapshotError {
    fn from(error: framed::Error) -> Self {
        match error {
            framed::Error::Io(error) => Self::Io(error),
            other => Self::Frame(other),
        }
    }
}

impl From<SnapshotError> for std::io::Error {
    fn from(error: SnapshotError) -> Self {
        match error {
            SnapshotError::Io(error) => error,
            other => std::io::Error::new(std::io::ErrorKind::InvalidData, other),
        }
    }
}
