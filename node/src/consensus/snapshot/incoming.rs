//! A snapshot on its way in: bytes to a temporary file, then proof, then use.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{SnapshotDir, SnapshotError, SnapshotFile};
use crate::consensus::types::SnapshotMeta;

/// A file being received. Dropping it unfinished removes it.
pub(crate) struct Incoming {
    dir: SnapshotDir,
    path: PathBuf,
    file: Option<File>,
    hash: Sha256,
    length: u64,
    expected: u64,
}

impl Incoming {
    /// Starts receiving a file of `expected` bytes.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn start(dir: &SnapshotDir, expected: u64) -> Result<Self, SnapshotError> {
        let path = dir.temporary("receive");
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)?;
        Ok(Self {
            dir: dir.clone(),
            path,
            file: Some(file),
            hash: Sha256::new(),
            length: 0,
            expected,
        })
    }

    /// Adds the next bytes.
    ///
    /// # Errors
    /// If there are more than announced, or the file system fails.
    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.length += bytes.len() as u64;
        if self.length > self.expected {
            return Err(SnapshotError::Damaged("longer than announced".to_owned()));
        }
        self.hash.update(bytes);
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        Ok(())
    }

    /// Ends the file: compares length and hash, syncs, and verifies what is inside.
    ///
    /// # Errors
    /// If anything differs from what was sent, or what was sent is no snapshot of this cluster.
    pub(crate) fn finish(
        mut self,
        sha256: &[u8],
    ) -> Result<(SnapshotMeta, SnapshotFile), SnapshotError> {
        if self.length != self.expected {
            return Err(SnapshotError::Damaged(format!(
                "{} bytes of {} arrived",
                self.length, self.expected
            )));
        }
        if self.hash.finalize_reset()[..] != *sha256 {
            return Err(SnapshotError::Damaged("changed on the way".to_owned()));
        }
        let Some(file) = self.file.as_ref() else {
            return Err(SnapshotError::Damaged("already finished".to_owned()));
        };
        file.sync_all()?;
        let meta = self.dir.verify(file)?;
        let Some(file) = self.file.take() else {
            return Err(SnapshotError::Damaged("already finished".to_owned()));
        };
        let path = std::mem::take(&mut self.path);
        Ok((
            meta,
            SnapshotFile {
                file: Arc::new(file),
                path,
                length: self.length,
            },
        ))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if self.file.is_some() {
            // Best effort: leftovers are removed at the next start.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
