//! The one moment in which a control process may find its disk empty.
//!
//! Init and join write this marker before the identity; control removes it once its own storage
//! exists. An empty disk without the marker is therefore a lost disk, and a node with a lost disk
//! must come back under a new id, for it may have voted.

use std::io;

use serde::{Deserialize, Serialize};

use super::disk::sync_directory_of;
use super::{Paths, write_atomic};

/// What a control process that starts for the first time has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum FirstStart {
    /// Found the cluster as its only voter.
    Bootstrap,
    /// Wait, empty, to be added by the leader.
    Join,
    /// Go on, as the only voter, with a log that begins with a state. Meant for one generation: a
    /// recovery that was cut short leaves the marker of a log that never came to be.
    Anew {
        /// Of the identity it belongs to.
        generation: u64,
    },
}

impl FirstStart {
    /// The marker, if control has not finished its first start.
    pub fn pending(paths: &Paths) -> io::Result<Option<Self>> {
        match std::fs::read_to_string(paths.first_start()) {
            Ok(text) => toml::from_str(&text).map(Some).map_err(io::Error::other),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Announces a first start; to be called before the identity is written.
    pub fn announce(self, paths: &Paths) -> io::Result<()> {
        let text = toml::to_string(&self).map_err(io::Error::other)?;
        write_atomic(&paths.first_start(), text.as_bytes(), 0o600)
    }

    /// Removes the marker for good; to be called once the storage of control is durable.
    pub fn finish(paths: &Paths) -> io::Result<()> {
        let path = paths.first_start();
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => sync_directory_of(&path),
        }
    }
}
