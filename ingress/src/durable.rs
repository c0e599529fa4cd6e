//! The table on disk, by which an ingress starts when no control answers.

use std::io;
use std::path::PathBuf;

use fleet_proto::internal::DurableTable;
use prost::Message as _;

use crate::config::write_atomic;

/// "FLIT", the format, the crc32c of the rest.
const MAGIC: &[u8; 5] = b"FLIT\x01";
const HEADER: usize = MAGIC.len() + 4;

/// Where the table lies.
#[derive(Clone, Debug)]
pub(super) struct Store {
    path: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("reading {path}")]
    Read { path: PathBuf, source: io::Error },
    #[error("{path} is not a route table of this format")]
    Format { path: PathBuf },
    #[error("{path} fails its checksum")]
    Checksum { path: PathBuf },
    #[error("decoding {path}")]
    Decode {
        path: PathBuf,
        source: prost::DecodeError,
    },
    #[error("writing {path}")]
    Write { path: PathBuf, source: io::Error },
}

impl Store {
    pub(super) fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// The table stored last, if there is one.
    pub(super) fn load(&self) -> Result<Option<DurableTable>, Error> {
        let path = || self.path.clone();
        let bytes = match std::fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(Error::Read {
                    path: path(),
                    source,
                });
            }
        };
        if bytes.len() < HEADER || !bytes.starts_with(MAGIC) {
            return Err(Error::Format { path: path() });
        }
        let (header, body) = bytes.split_at(HEADER);
        if header[MAGIC.len()..] != crc32c::crc32c(body).to_le_bytes() {
            return Err(Error::Checksum { path: path() });
        }
        let table = DurableTable::decode(body);
        table.map(Some).map_err(|source| Error::Decode {
            path: path(),
            source,
        })
    }

    /// Replaces it: a crash at any moment leaves the old one or the new one.
    pub(super) fn save(&self, table: &DurableTable) -> Result<(), Error> {
        let body = table.encode_to_vec();
        let mut bytes = Vec::with_capacity(HEADER + body.len());
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        bytes.extend_from_slice(&body);
        let directory = self.path.parent().map_or(Ok(()), std::fs::create_dir_all);
        directory
            .and_then(|()| write_atomic(&self.path, &bytes, 0o600))
            .map_err(|source| Error::Write {
                path: self.path.clone(),
                source,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_damaged_is_not_loaded() {
        let directory = tempfile::tempdir().expect("a directory");
        let store = Store::at(directory.path().join("ingress/table.pb"));
        assert!(store.load().expect("nothing there").is_none());

        let table = DurableTable {
            cluster_id: "c1".to_owned(),
            node_id: 3,
            ..Default::default()
        };
        store.save(&table).expect("save");
        assert_eq!(store.load().expect("load"), Some(table));

        let sound = std::fs::read(&store.path).expect("read");
        for at in 0..sound.len() {
            let mut damaged = sound.clone();
            damaged[at] ^= 0x10;
            std::fs::write(&store.path, &damaged).expect("write");
            assert!(
                store.load().is_err(),
                "byte {at} changed and nobody noticed"
            );
            std::fs::write(&store.path, &sound[..at]).expect("write");
            assert!(store.load().is_err(), "cut at {at} and nobody noticed");
        }
    }
}
