//! The durable mark: a small file beside the log that says what must be in it.
//!
//! A write-ahead log is recovered up to the first damaged record, quietly. For raft that quiet loss
//! is an acknowledgement taken back: a node that restarts with a shorter log may vote for a leader
//! that lacks a committed entry. So, at most once per second, the flusher notes what is durable in
//! a file of its own, and a store whose log is shorter than its mark is refused at start.
//!
//! The file holds two slots that are written in turn, each with a sequence number and a checksum,
//! so that a torn write leaves the older slot intact.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Mutex;

use super::io::Mark;

const SLOT: usize = 64;
const BODY: usize = 24;

/// An open mark file.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: File,
    // Sequence number of the newest slot.
    state: Mutex<(u64, Mark)>,
}

impl MarkFile {
    /// Opens the file, or makes it with an empty mark.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let length = file.metadata()?.len();
        let state = if length == 0 {
            (0, Mark::default())
        } else {
            newest(&file)?
        };
        Ok(Self {
            file,
            state: Mutex::new(state),
        })
    }

    pub(super) fn read(&self) -> Mark {
        self.state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .1
    }

    pub(super) fn write(&self, mark: Mark) -> io::Result<()> {
        let mut state = self
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let sequence = state.0 + 1;
        let slot = sequence as usize % 2;
        self.file
            .write_all_at(&encode(sequence, mark), (slot * SLOT) as u64)?;
        self.file.sync_data()?;
        *state = (sequence, mark);
        Ok(())
    }
}

fn newest(file: &File) -> io::Result<(u64, Mark)> {
    let mut bytes = [0; 2 * SLOT];
    let mut read = 0;
    while read < bytes.len() {
        match file.read_at(&mut bytes[read..], read as u64)? {
            0 => break,
            n => read += n,
        }
    }
    let slots = bytes.chunks(SLOT).filter_map(decode);
    slots.max_by_key(|(sequence, _)| *sequence).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "no intact slot in the durable mark",
        )
    })
}

fn encode(sequence: u64, mark: Mark) -> [u8; SLOT] {
    let mut slot = [0; SLOT];
    slot[0..8].copy_from_slice(&sequence.to_le_bytes());
    slot[8..16].copy_from_slice(&mark.index.to_le_bytes());
    slot[16..24].copy_from_slice(&mark.term.to_le_bytes());
    let sum = crc32c::crc32c(&slot[..BODY]);
    slot[BODY..BODY + 4].copy_from_slice(&sum.to_le_bytes());
    slot
}

fn decode(slot: &[u8]) -> Option<(u64, Mark)> {
    let number = |at: usize| slot[at..at + 8].try_into().ok().map(u64::from_le_bytes);
    let sum = slot[BODY..BODY + 4]
        .try_into()
        .ok()
        .map(u32::from_le_bytes)?;
    let sequence = number(0)?;
    // Sequence 0 is never written: a slot of zeroes is an unused one.
    let intact = sequence > 0 && sum == crc32c::crc32c(&slot[..BODY]);
    intact.then_some((
        sequence,
        Mark {
            index: number(8)?,
            term: number(16)?,
        },
    ))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_newest_mark_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let file = MarkFile::open(&path).unwrap();
        assert_eq!(file.read(), Mark::default());
        for index in 1..=5 {
            file.write(Mark { index, term: 2 }).unwrap();
        }
        // Lower marks count too: a truncated log writes one.
        file.write(Mark { index: 3, term: 4 }).unwrap();
        assert_eq!(
            MarkFile::open(&path).unwrap().read(),
            Mark { index: 3, term: 4 }
        );
    }

    #[test]
    fn a_torn_slot_leaves_the_older_mark() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        let file = MarkFile::open(&path).unwrap();
        file.write(Mark { index: 1, term: 1 }).unwrap();
        file.write(Mark { index: 2, term: 1 }).unwrap();
        // Sequence 2 lies in slot 0.
        file.file.write_all_at(&[0xff; 4], 8).unwrap();
        assert_eq!(
            MarkFile::open(&path).unwrap().read(),
            Mark { index: 1, term: 1 }
        );
    }

    #[test]
    fn a_mark_without_an_intact_slot_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("mark");
        std::fs::write(&path, [7; 2 * SLOT]).unwrap();
        assert_eq!(
            MarkFile::open(&path).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
