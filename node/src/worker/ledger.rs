//! The ledger on disk: what this worker has accepted, and the highest fence it has obeyed.
//!
//! One small file, replaced as a whole: eight bytes that name the format, the length and the
//! CRC-32C of the body, the body. A reader sees a complete old or a complete new one; anything
//! else is damage, which is told apart from absence.

use std::io;
use std::path::{Path, PathBuf};

use fleet_proto::stored::WorkerLedger;
use prost::Message as _;

use crate::config::write_atomic;

const MAGIC: &[u8; 8] = b"FLTLEDG1";
const HEADER: usize = MAGIC.len() + 8;

/// The layout of the message that this build writes.
pub(crate) const VERSION: u32 = 1;

#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(crate) enum LedgerError {
    #[error("could not read {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("could not write {path}")]
    Write { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {what}")]
    Damaged { path: PathBuf, what: &'static str },
    #[error("{path} was written by a newer fleetd (layout {found}, this one knows {VERSION})")]
    Newer { path: PathBuf, found: u32 },
}

impl Ledger {
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// What was written last; `None` if nothing ever was.
    pub(crate) fn read(&self) -> Result<Option<WorkerLedger>, LedgerError> {
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(LedgerError::Read {
                    path: self.path.clone(),
                    source,
                });
            }
        };
        let damaged = |what| LedgerError::Damaged {
            path: self.path.clone(),
            what,
        };
        let ledger = WorkerLedger::decode(body(&bytes).map_err(damaged)?)
            .map_err(|_| damaged("its content cannot be read"))?;
        if ledger.version > VERSION {
            return Err(LedgerError::Newer {
                path: self.path.clone(),
                found: ledger.version,
            });
        }
        Ok(Some(ledger))
    }

    /// Durable when it returns.
    pub(crate) fn write(&self, ledger: &WorkerLedger) -> Result<(), LedgerError> {
        let body = ledger.encode_to_vec();
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend_from_slice(MAGIC);
        let length = u32::try_from(body.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        // It holds the variables of releases, and with them their secrets.
        write_atomic(&self.path, &bytes, 0o600).map_err(|source| LedgerError::Write {
            path: self.path.clone(),
            source,
        })
    }

    /// Moves a damaged ledger out of the way, for people to look at, and returns where to.
    pub(crate) fn set_aside(&self) -> io::Result<PathBuf> {
        let aside = self.path.with_extension("damaged");
        std::fs::rename(&self.path, &aside)?;
        Ok(aside)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn body(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let (magic, rest) = bytes
        .split_at_checked(MAGIC.len())
        .ok_or("it is too short")?;
    if magic != MAGIC {
        return Err("it does not begin like a ledger");
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or("it is too short")?;
    let (sum, body) = rest.split_first_chunk::<4>().ok_or("it is too short")?;
    if u64::from(u32::from_le_bytes(*length)) != body.len() as u64 {
        return Err("its length is not the one it was written with");
    }
    if crc32c::crc32c(body) != u32::from_le_bytes(*sum) {
        return Err("its checksum does not match");
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn sample() -> WorkerLedger {
        WorkerLedger {
            version: VERSION,
            cluster_id: "c1".into(),
            node_id: 4,
            ..Default::default()
        }
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(dir.path().join("ledger.pb"));
        assert!(ledger.read().unwrap().is_none());
        ledger.write(&sample()).unwrap();
        assert_eq!(ledger.read().unwrap(), Some(sample()));
    }

    #[test]
    fn a_crash_while_writing_leaves_the_previous_one() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.pb");
        let ledger = Ledger::at(&path);
        ledger.write(&sample()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        // Every length at which the next write could have been cut off before its rename.
        for length in 0..whole.len() {
            std::fs::write(dir.path().join("ledger.pb.tmp"), &whole[..length]).unwrap();
            assert_eq!(ledger.read().unwrap(), Some(sample()));
        }
        ledger.write(&sample()).unwrap();
        assert_eq!(ledger.read().unwrap(), Some(sample()));
    }

    #[test]
    fn damage_is_never_taken_for_a_ledger() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ledger.pb");
        let ledger = Ledger::at(&path);
        ledger.write(&sample()).unwrap();
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert!(
                matches!(ledger.read(), Err(LedgerError::Damaged { .. })),
                "cut at {length}"
            );
        }
        for bit in 0..whole.len() * 8 {
            let mut flipped = whole.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &flipped).unwrap();
            assert!(
                matches!(ledger.read(), Err(LedgerError::Damaged { .. })),
                "bit {bit}"
            );
        }
        assert!(ledger.set_aside().unwrap().exists());
        assert!(ledger.read().unwrap().is_none());
    }

    #[test]
    fn a_newer_layout_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let ledger = Ledger::at(dir.path().join("ledger.pb"));
        ledger
            .write(&WorkerLedger {
                version: VERSION + 1,
                ..sample()
            })
            .unwrap();
        assert!(matches!(
            ledger.read(),
            Err(LedgerError::Newer { found: 2, .. })
        ));
    }
}
