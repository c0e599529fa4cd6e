//! What can go wrong with a directory of artefacts.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::Digest;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the artefact store {} is open in another process", dir.display())]
    InUse { dir: PathBuf },
    /// The disk or the quota is full. Nothing was stored; what is there stays readable.
    #[error("no space left for artefacts in {}", path.display())]
    NoSpace { path: PathBuf, source: io::Error },
    #[error("artefact is larger than {largest} bytes")]
    TooLarge { largest: u64 },
    #[error("artefact hashes to {found}, not to {expected}")]
    Mismatch { expected: Digest, found: Digest },
    /// Bytes between what is here and what was sent are missing.
    #[error("only {received} bytes of the artefact are here")]
    Gap { received: u64 },
    #[error("another upload of the artefact took over")]
    TakenOver,
    #[error("storing the artefact was given up after an earlier error")]
    Abandoned,
    #[error("failed reading the artefact that was to be stored")]
    Source { source: io::Error },
    #[error("failed to {action} {}", path.display())]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

impl Error {
    /// For `map_err`: says what was being done to which path, and tells a full disk apart.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Self::NoSpace { path, source }
            }
            _ => Self::Io {
                action,
                path,
                source,
            },
        }
    }
}
