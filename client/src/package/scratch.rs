//! Temporary files that nobody else can read and that are gone afterwards.

use std::fs::{self, DirBuilder, File};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::failure::Failure;

/// A private temporary file, removed when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(super) fn create() -> Result<(Self, File), Failure> {
        let path = fresh(".tar");
        let file = private(&path)?;
        Ok((Self { path }, file))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Left in the temporary directory at worst.
        let _ = fs::remove_file(&self.path);
    }
}

/// A private temporary directory, removed with all that is in it when dropped: also what editors
/// put beside the file they were given.
#[derive(Debug)]
pub(crate) struct ScratchDirectory {
    path: PathBuf,
}

impl ScratchDirectory {
    pub(crate) fn create() -> Result<Self, Failure> {
        let path = fresh("");
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|error| unmade(&path, &error))?;
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a file that only this user can read.
    pub(crate) fn write(path: &Path, text: &str) -> Result<(), Failure> {
        private(path)?
            .write_all(text.as_bytes())
            .map_err(|error| unmade(path, &error))
    }
}

impl Drop for ScratchDirectory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}

fn fresh(ending: &str) -> PathBuf {
    let name = format!("fleet-{:032x}{ending}", rand::random::<u128>());
    std::env::temp_dir().join(name)
}

fn private(path: &Path) -> Result<File, Failure> {
    File::options()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(|error| unmade(path, &error))
}

fn unmade(path: &Path, error: &std::io::Error) -> Failure {
    Failure::failed(format!("cannot make {}: {error}", path.display()))
}
