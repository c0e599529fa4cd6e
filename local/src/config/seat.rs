//! Where a data directory lies: what tells a node's own disk from a copy of it.
//!
//! Two processes with one identity would vote twice and answer for each other, so a copy must not
//! start. The directory remembers the machine it is used on and its own inode: `cp`, `rsync`, an
//! unpacked archive and a disk carried to another machine differ in one of the two. The clone of a
//! whole machine differs in neither; that is noticed by the others (docs/nodes.md).

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Identity, IdentityError, Paths, write_atomic};

/// The place of a data directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seat {
    /// `/etc/machine-id`; empty where there is none, which matches every machine.
    machine: String,
    /// Inode of the data directory: kept across restarts, not by copies.
    directory: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum SeatError {
    #[error("could not use {path}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} does not say where this data directory lies")]
    Parse {
        path: PathBuf,
        source: Box<toml::de::Error>,
    },
    #[error(transparent)]
    Identity(#[from] IdentityError),
    #[error("there is no node in {}", .0.display())]
    Empty(PathBuf),
    #[error(
        "{} was copied or moved here: it holds node {node} ({name}) of cluster {cluster}, which ran \
         {from}. Two machines with one identity must never run. If this one shall be a new node: an \
         empty data directory, then fleet node join. If the other is gone for good: fleetd moved \
         --data-dir {}, and start again", root.display(), root.display()
    )]
    Elsewhere {
        root: PathBuf,
        node: u64,
        name: String,
        cluster: String,
        from: &'static str,
    },
}

impl Seat {
    /// Checks that the node in a data directory belongs where the directory lies. A free directory
    /// is fine, and so is one that never said where it lies; the latter says so from now on.
    ///
    /// # Errors
    /// [`SeatError::Elsewhere`] of a copy.
    pub fn check(paths: &Paths) -> Result<(), SeatError> {
        let Some(identity) = Identity::read(paths)? else {
            return Ok(());
        };
        let Some(recorded) = Self::recorded(&paths.seat())? else {
            return Self::record(paths);
        };
        match recorded.differs(&Self::here(paths.root())?) {
            None => Ok(()),
            Some(from) => Err(SeatError::Elsewhere {
                root: paths.root().to_owned(),
                node: identity.node_id,
                name: identity.name,
                cluster: identity.cluster_id,
                from,
            }),
        }
    }

    /// Writes down where the directory lies, before it gets an identity.
    pub fn record(paths: &Paths) -> Result<(), SeatError> {
        Self::here(paths.root())?.write(&paths.seat())
    }

    /// Takes an operator's word that the node in a data directory lives here from now on. Answers who
    /// it is.
    pub fn take(paths: &Paths) -> Result<Identity, SeatError> {
        let empty = || SeatError::Empty(paths.root().to_owned());
        let identity = Identity::read(paths)?.ok_or_else(empty)?;
        Self::record(paths)?;
        Ok(identity)
    }

    fn here(root: &Path) -> Result<Self, SeatError> {
        let about = std::fs::metadata(root).map_err(failed(root))?;
        let machine = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
        Ok(Self {
            machine: machine.trim().to_owned(),
            directory: about.ino(),
        })
    }

    fn recorded(path: &Path) -> Result<Option<Self>, SeatError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(path)(error)),
        };
        let recorded = toml::from_str(&text).map_err(|source| SeatError::Parse {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        Ok(Some(recorded))
    }

    fn write(&self, path: &Path) -> Result<(), SeatError> {
        // A string and a number: nothing that TOML cannot say.
        let text = toml::to_string(self).unwrap_or_default();
        write_atomic(path, text.as_bytes(), 0o600).map_err(failed(path))
    }

    /// Where it was, if that is not `here`.
    fn differs(&self, here: &Self) -> Option<&'static str> {
        let known = !self.machine.is_empty() && !here.machine.is_empty();
        if known && self.machine != here.machine {
            Some("on another machine")
        } else if self.directory != here.directory {
            Some("in another directory")
        } else {
            None
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> SeatError {
    let path = path.to_owned();
    move |source| SeatError::Io { path, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn seat(machine: &str, directory: u64) -> Seat {
        Seat {
            machine: machine.to_owned(),
            directory,
        }
    }

    #[test]
    fn a_copy_and_a_moved_disk_are_told_from_the_original() {
        let recorded = seat("m1", 7);
        assert_eq!(recorded.differs(&seat("m1", 7)), None);
        assert_eq!(
            recorded.differs(&seat("m1", 8)),
            Some("in another directory")
        );
        assert_eq!(recorded.differs(&seat("m2", 7)), Some("on another machine"));
        assert_eq!(recorded.differs(&seat("", 7)), None);
        assert_eq!(seat("", 7).differs(&seat("m2", 7)), None);
    }

    #[test]
    fn a_directory_is_refused_elsewhere_until_somebody_answers_for_it() {
        let dir = tempfile::tempdir().unwrap();
        let here = Paths::new(dir.path().join("here"));
        std::fs::create_dir(here.root()).unwrap();
        assert!(Seat::check(&here).is_ok(), "a free directory");
        assert!(matches!(Seat::take(&here), Err(SeatError::Empty(_))));
        identity().replace(&here).unwrap();
        Seat::check(&here).unwrap();
        Seat::check(&here).unwrap();

        let copy = Paths::new(dir.path().join("copy"));
        std::fs::create_dir(copy.root()).unwrap();
        for file in [here.identity(), here.seat()] {
            std::fs::copy(&file, copy.root().join(file.file_name().unwrap())).unwrap();
        }
        let refused = Seat::check(&copy).unwrap_err().to_string();
        assert!(refused.contains("fleetd moved"), "{refused}");
        assert_eq!(Seat::take(&copy).unwrap().node_id, 3);
        Seat::check(&copy).unwrap();
        Seat::check(&here).unwrap();
    }

    fn identity() -> Identity {
        Identity {
            version: Identity::VERSION,
            cluster_id: "c".to_owned(),
            cluster_name: "fleet".to_owned(),
            node_id: 3,
            name: "n3".to_owned(),
            domain: "localhost".to_owned(),
            roles: vec!["worker".to_owned()],
            generation: 0,
        }
    }
}
