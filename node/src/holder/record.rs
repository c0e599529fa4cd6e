//! What the next holder needs to know, one file per process in `run/processes`.
//!
//! Files are replaced by rename but not synced: a power cut ends every process a record could
//! speak of, and a torn record is then worth as much as none.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use fleet_proto::internal::HeldRecord;
use prost::Message as _;

use super::spec::ProcessId;

/// Version of the record; a holder that finds a newer one leaves its process alone.
pub(super) const VERSION: u32 = 1;

pub(super) struct Records {
    dir: PathBuf,
}

impl Records {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&dir)?;
        Ok(Self { dir })
    }

    pub(super) fn write(&self, id: &ProcessId, record: &HeldRecord) -> io::Result<()> {
        replace(&self.dir.join(id.as_str()), &record.encode_to_vec())
    }

    pub(super) fn remove(&self, id: &ProcessId) -> io::Result<()> {
        match fs::remove_file(self.dir.join(id.as_str())) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Every record that can be read; the others are named in `unreadable`.
    pub(super) fn read_all(&self) -> io::Result<Found> {
        let mut found = Found::default();
        for entry in fs::read_dir(&self.dir)? {
            let name = entry?.file_name();
            let path = self.dir.join(&name);
            let Some(id) = name.to_str().and_then(|name| ProcessId::parse(name).ok()) else {
                // A file of `replace` that was never renamed.
                fs::remove_file(&path)?;
                continue;
            };
            match HeldRecord::decode(&fs::read(&path)?[..]) {
                Ok(record) if record.version <= VERSION => found.records.push((id, record)),
                _ => found.unreadable.push(path),
            }
        }
        found.records.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }
}

#[derive(Default)]
pub(super) struct Found {
    pub(super) records: Vec<(ProcessId, HeldRecord)>,
    pub(super) unreadable: Vec<PathBuf>,
}

/// Puts a file in place as a whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // A process id never ends in '~'.
    let mut scratch = path.as_os_str().to_owned();
    scratch.push("~");
    let scratch = PathBuf::from(scratch);
    let mut file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&scratch)?;
    file.write_all(bytes)?;
    fs::rename(&scratch, path)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_are_found_again_and_rubbish_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let records = Records::open(dir.path().join("processes")).unwrap();
        let id = ProcessId::parse("f-1").unwrap();
        let record = HeldRecord {
            version: VERSION,
            pid: 7,
            ..HeldRecord::default()
        };
        records.write(&id, &record).unwrap();
        fs::write(dir.path().join("processes/f-2"), b"\xff\xff").unwrap();
        let newer = HeldRecord {
            version: VERSION + 1,
            ..HeldRecord::default()
        };
        records
            .write(&ProcessId::parse("f-3").unwrap(), &newer)
            .unwrap();
        fs::write(dir.path().join("processes/f-4~"), b"half").unwrap();

        let found = records.read_all().unwrap();
        assert_eq!(found.records, [(id.clone(), record)]);
        assert_eq!(found.unreadable.len(), 2);
        assert!(!dir.path().join("processes/f-4~").exists());
        records.remove(&id).unwrap();
        records.remove(&id).unwrap();
        assert!(records.read_all().unwrap().records.is_empty());
    }
}
