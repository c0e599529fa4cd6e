//! Backup files: the state at one index, and artefacts if they are asked for (docs/backup.md).
//!
//! A backup is read twice before anything is done with it: once for its checksums, once as a state
//! whose hash must be the one in the header. What is sealed in the state stays sealed: a backup holds
//! the same bytes.

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use fleet_model::{
    State,
    ids::{Digest, NodeId},
};
use fleet_proto::stored::{BackupArtefact, BackupHeader};
use prost::Message as _;

use super::codec::{self, DecodeError};
use crate::blobs::{self, Object, Store};
use crate::framed::{self, Header, Reader, Writer};

impl Header for BackupHeader {
    const KIND: &'static str = "backup";
    const MAGIC: &'static [u8; 8] = b"FLEETBAK";
    const VERSION: u32 = 1;
}

/// A backup cannot be written or used.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(transparent)]
    Frame(framed::Error),
    #[error("the backup cannot be read or written")]
    Io(#[from] io::Error),
    #[error("the state in the backup cannot be understood")]
    State(#[source] DecodeError),
    #[error(
        "the state in the backup has the hash {found}, and its header says {expected}: it is not \
         the state that was backed up"
    )]
    Hash { expected: String, found: String },
    #[error("the header of the backup says index {header}, its state is of {state}")]
    Index { header: u64, state: u64 },
    #[error("artefact {digest} is not where it should be; try again, or without artefacts")]
    Missing { digest: Digest },
    #[error("an artefact of the backup is damaged")]
    Artefact(#[from] blobs::store::Error),
}

impl From<framed::Error> for BackupError {
    fn from(error: framed::Error) -> Self {
        match error {
            framed::Error::Io(error) => Self::Io(error),
            other => Self::Frame(other),
        }
    }
}

/// What is backed up, and who does it.
pub(super) struct Subject {
    pub(super) state: State,
    pub(super) term: u64,
    pub(super) node: NodeId,
    pub(super) taken: fleet_model::Time,
    /// `None`: the state alone.
    pub(super) artefacts: Option<Vec<Object>>,
}

impl Subject {
    /// What the file begins with. Reads the whole state for its hash.
    pub(super) fn header(&self) -> BackupHeader {
        let artefacts = self.artefacts.as_deref().unwrap_or_default();
        BackupHeader {
            cluster_id: self.state.cluster.id.clone(),
            cluster_name: self.state.cluster.name.clone(),
            index: self.state.index,
            term: self.term,
            node_id: self.node.0,
            taken_ms: self.taken.0,
            state_hash: codec::hash(&self.state).to_vec().into(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            with_artefacts: self.artefacts.is_some(),
            artefacts: artefacts.len() as u64,
            artefact_bytes: artefacts.iter().map(|object| object.size).sum(),
        }
    }

    /// Writes the file to its end; `out` is not synced. Blocks.
    pub(super) fn write<W: Write>(
        &self,
        header: &BackupHeader,
        store: &Store,
        out: W,
    ) -> Result<W, BackupError> {
        let mut writer = Writer::new(out, header)?;
        codec::write_state(&self.state, &mut writer)?;
        for object in self.artefacts.iter().flatten() {
            write_artefact(object, store, &mut writer)?;
        }
        Ok(writer.finish()?)
    }
}

fn write_artefact(object: &Object, store: &Store, out: &mut dyn Write) -> Result<(), BackupError> {
    // A damaged copy must be found now, not on the day of the restore.
    let file = store.open_verified(&object.digest)?;
    let mut file = file.ok_or_else(|| BackupError::Missing {
        digest: object.digest.clone(),
    })?;
    let size = file.metadata()?.len();
    let head = BackupArtefact {
        digest: object.digest.to_string(),
        size,
    };
    out.write_all(&head.encode_length_delimited_to_vec())?;
    io::copy(&mut file, out)?;
    Ok(())
}

/// A backup that was read through and is what it says.
pub struct Backup {
    pub header: BackupHeader,
    pub state: State,
    body: Reader<BufReader<File>, BackupHeader>,
}

impl Backup {
    /// Reads and checks a backup. Blocks.
    ///
    /// # Errors
    /// [`BackupError`], with a sentence of its own for each kind of damage.
    pub fn open(path: &Path) -> Result<Self, BackupError> {
        let open = || -> Result<_, BackupError> {
            let file = BufReader::new(File::open(path)?);
            Ok(Reader::<_, BackupHeader>::new(file)?)
        };
        let header = open()?.verify()?;
        let mut body = open()?;
        let state = codec::read_state(&mut body).map_err(BackupError::State)?;
        let found = codec::hash(&state);
        if found[..] != header.state_hash[..] {
            return Err(BackupError::Hash {
                expected: hex(&header.state_hash),
                found: hex(&found),
            });
        }
        if state.index != header.index {
            return Err(BackupError::Index {
                header: header.index,
                state: state.index,
            });
        }
        Ok(Self {
            header,
            state,
            body,
        })
    }

    /// Hash of the state, as people compare it.
    pub fn hash(&self) -> String {
        hex(&self.header.state_hash)
    }

    /// Takes the artefacts that came along into `store`, each verified against its name; answers
    /// how many there were. Blocks.
    ///
    /// # Errors
    /// [`BackupError`].
    pub fn artefacts_into(&mut self, store: &Store) -> Result<u64, BackupError> {
        for _ in 0..self.header.artefacts {
            let head = self.artefact()?;
            let digest = Digest::parse(&head.digest).ok_or_else(|| {
                BackupError::State(DecodeError::Invalid {
                    field: "artefact.digest",
                    value: head.digest.clone(),
                })
            })?;
            let mut upload = store.begin()?;
            let mut left = (&mut self.body).take(head.size);
            let mut chunk = vec![0; framed::BLOCK];
            loop {
                match left.read(&mut chunk)? {
                    0 => break,
                    read => upload.write(&chunk[..read])?,
                }
            }
            upload.finish(Some(&digest))?;
        }
        Ok(self.header.artefacts)
    }

    fn artefact(&mut self) -> Result<BackupArtefact, BackupError> {
        let mut length = [0];
        self.body.read_exact(&mut length)?;
        // A digest and a number are shorter than 128 bytes, so the varint is one byte.
        let mut head = vec![0; usize::from(length[0])];
        self.body.read_exact(&mut head)?;
        BackupArtefact::decode(&head[..]).map_err(|source| {
            BackupError::State(DecodeError::Malformed {
                what: "an artefact of the backup",
                source,
            })
        })
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests;
