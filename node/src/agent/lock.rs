//! One agent per data directory.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Held as long as the agent lives; the kernel lets go of it whatever the agent dies of.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum LockError {
    #[error("another agent runs on this data directory{}", by(*pid))]
    Taken { pid: Option<u32> },
    #[error("could not lock {path}")]
    Io { path: PathBuf, source: io::Error },
}

impl Lock {
    pub(super) fn take(path: &Path) -> Result<Self, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = open(path).map_err(failed)?;
        if !lock(&file).map_err(failed)? {
            return Err(LockError::Taken {
                pid: pid_in(&mut file),
            });
        }
        // For people and for `fleetd stop`; the lock itself is what counts.
        let write = |file: &mut File| {
            file.set_len(0)?;
            file.write_all(std::process::id().to_string().as_bytes())
        };
        write(&mut file).map_err(failed)?;
        Ok(Self { _file: file })
    }

    /// The process that holds the lock now, if one does.
    ///
    /// # Errors
    /// When one does that has not said who it is.
    pub(super) fn holder(path: &Path) -> Result<Option<u32>, LockError> {
        let failed = |source| LockError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = match open(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        if lock(&file).map_err(failed)? {
            return Ok(None);
        }
        let nobody = || failed(io::Error::other("whoever holds it has not said its pid"));
        pid_in(&mut file).ok_or_else(nobody).map(Some)
    }
}

fn open(path: &Path) -> io::Result<File> {
    File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
}

fn lock(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn pid_in(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.rewind().ok()?;
    file.read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn by(pid: Option<u32>) -> String {
    pid.map(|pid| format!(" (pid {pid})")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_second_agent_is_told_of_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent.lock");
        assert_eq!(Lock::holder(&path).unwrap(), None);
        let lock = Lock::take(&path).unwrap();
        let us = std::process::id();
        assert!(matches!(Lock::take(&path), Err(LockError::Taken { pid: Some(pid) }) if pid == us));
        assert_eq!(Lock::holder(&path).unwrap(), Some(us));
        drop(lock);
        assert_eq!(Lock::holder(&path).unwrap(), None);
        Lock::take(&path).unwrap();
    }
}
