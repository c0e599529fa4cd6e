//! Files that prove their own integrity: snapshots and backups. All numbers are little-endian.
//!
//! ```text
//! magic, 8 bytes | version u32 | header length u32 | header (protobuf) | CRC32C of all before
//! block: stored length u32 (> 0) | raw length u32 | CRC32C of the stored bytes u32 | zstd bytes
//! ... more blocks
//! trailer: 0 u32 | blocks u64 | raw bytes u64 | SHA-256 of all before | magic "FLEETEND"
//! ```
//!
//! The checksums of header and blocks let a reader stop at the first bad byte while it streams; the
//! counts and the hash in the trailer prove that nothing is missing, added or exchanged. What kind of
//! file it is says its header's type ([`Header`]).

use std::io::{self, Read, Write};

use prost::Message;
use sha2::{Digest, Sha256};

/// The first section of a kind of file.
pub(crate) trait Header: Message + Default {
    /// What the kind is called in sentences: "snapshot".
    const KIND: &'static str;
    /// First bytes of every file of this kind.
    const MAGIC: &'static [u8; 8];
    /// The version written and the only one read.
    const VERSION: u32;
}

/// A file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system failed.
    #[error("the file cannot be read or written")]
    Io(#[from] io::Error),
    /// It is of another kind altogether.
    #[error("this is not a {0} file")]
    Kind(&'static str),
    /// It is torn or damaged.
    #[error("the {kind} is damaged: {what}")]
    Damaged {
        /// What the file should be.
        kind: &'static str,
        /// The first thing that is wrong.
        what: String,
    },
    /// It was written by another version.
    #[error("the {kind} is of format {found}, only {known} is known")]
    Version {
        /// What the file is.
        kind: &'static str,
        /// The version in it.
        found: u32,
        /// The one this program reads.
        known: u32,
    },
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error,
            other => io::Error::new(io::ErrorKind::InvalidData, other),
        }
    }
}

const END: &[u8; 8] = b"FLEETEND";
/// Raw bytes per block: large enough to compress, small enough to hold one in memory.
pub(crate) const BLOCK: usize = 256 * 1024;
/// zstd level: the state compresses several times at the cheapest level already.
const LEVEL: i32 = 1;
/// A header holds the members; a longer one is damage, not a header.
const MAX_HEADER: u32 = 1 << 20;

/// Writes a file.
pub(crate) struct Writer<W: Write> {
    out: Hashing<W>,
    block: Vec<u8>,
    blocks: u64,
    raw: u64,
}

impl<W: Write> Writer<W> {
    /// Starts a file with its header.
    ///
    /// # Errors
    /// Those of `out`.
    pub(crate) fn new<H: Header>(out: W, header: &H) -> io::Result<Self> {
        let header = header.encode_to_vec();
        let mut head = Vec::with_capacity(header.len() + 20);
        head.extend_from_slice(H::MAGIC);
        head.extend_from_slice(&H::VERSION.to_le_bytes());
        head.extend_from_slice(&(header.len() as u32).to_le_bytes());
        head.extend_from_slice(&header);
        let sum = crc32c::crc32c(&head);
        head.extend_from_slice(&sum.to_le_bytes());
        let mut out = Hashing {
            inner: out,
            hash: Sha256::new(),
        };
        out.write_all(&head)?;
        Ok(Self {
            out,
            block: Vec::with_capacity(BLOCK),
            blocks: 0,
            raw: 0,
        })
    }

    /// Writes the trailer and returns what was written to, flushed.
    ///
    /// # Errors
    /// Those of the file.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.end_block()?;
        self.out.write_all(&0u32.to_le_bytes())?;
        self.out.write_all(&self.blocks.to_le_bytes())?;
        self.out.write_all(&self.raw.to_le_bytes())?;
        let mut inner = self.out.inner;
        inner.write_all(&self.out.hash.finalize())?;
        inner.write_all(END)?;
        inner.flush()?;
        Ok(inner)
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let stored = zstd::bulk::compress(&self.block, LEVEL)?;
        self.out.write_all(&(stored.len() as u32).to_le_bytes())?;
        self.out
            .write_all(&(self.block.len() as u32).to_le_bytes())?;
        self.out.write_all(&crc32c::crc32c(&stored).to_le_bytes())?;
        self.out.write_all(&stored)?;
        self.blocks += 1;
        self.raw += self.block.len() as u64;
        self.block.clear();
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(BLOCK - self.block.len());
        self.block.extend_from_slice(&bytes[..taken]);
        if self.block.len() == BLOCK {
            self.end_block()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        // A block ends when it is full; a short one would only cost compression.
        Ok(())
    }
}

/// Reads a file from its first byte; the body comes out of [`Read`]. Reading it to the
/// end verifies the trailer.
pub(crate) struct Reader<R: Read, H: Header> {
    input: Hashing<R>,
    header: H,
    block: Vec<u8>,
    at: usize,
    blocks: u64,
    raw: u64,
    ended: bool,
}

impl<R: Read, H: Header> Reader<R, H> {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// If this is not the head of an intact file of this kind and of the known version.
    pub(crate) fn new(input: R) -> Result<Self, Error> {
        let mut input = Hashing {
            inner: input,
            hash: Sha256::new(),
        };
        let mut head = vec![0; 16];
        match input.fill(&mut head[..8], "header") {
            // Too short to say what it is: not this, for all anybody knows.
            Err(Fault::Damaged(_)) => return Err(Error::Kind(H::KIND)),
            read => read.map_err(damaged::<H>)?,
        }
        if &head[..8] != H::MAGIC {
            return Err(Error::Kind(H::KIND));
        }
        input.fill(&mut head[8..], "header").map_err(damaged::<H>)?;
        let found = u32_at(&head, 8);
        if found != H::VERSION {
            let (kind, known) = (H::KIND, H::VERSION);
            return Err(Error::Version { kind, found, known });
        }
        let length = u32_at(&head, 12);
        if length > MAX_HEADER {
            return Err(damaged::<H>("header too long"));
        }
        let end = 16 + length as usize;
        head.resize(end, 0);
        input
            .fill(&mut head[16..], "header")
            .map_err(damaged::<H>)?;
        let mut sum = [0; 4];
        input.fill(&mut sum, "header").map_err(damaged::<H>)?;
        if u32::from_le_bytes(sum) != crc32c::crc32c(&head) {
            return Err(damaged::<H>("header checksum"));
        }
        let header =
            H::decode(&head[16..]).map_err(|error| damaged::<H>(format!("header: {error}")))?;
        Ok(Self {
            input,
            header,
            block: Vec::new(),
            at: 0,
            blocks: 0,
            raw: 0,
            ended: false,
        })
    }

    /// Reads to the end and throws the body away: checks everything.
    ///
    /// # Errors
    /// At the first byte that is wrong.
    pub(crate) fn verify(mut self) -> Result<H, Error> {
        while self.next_block()? {}
        Ok(self.header)
    }

    /// Moves on to the next block. False at the end of an intact file.
    fn next_block(&mut self) -> Result<bool, Error> {
        if self.ended {
            return Ok(false);
        }
        let mut word = [0; 4];
        self.input.fill(&mut word, "block").map_err(damaged::<H>)?;
        let stored = u32::from_le_bytes(word) as usize;
        if stored == 0 {
            self.check_trailer()?;
            return Ok(false);
        }
        let mut sizes = [0; 8];
        self.input.fill(&mut sizes, "block").map_err(damaged::<H>)?;
        let (raw, sum) = (u32_at(&sizes, 0) as usize, u32_at(&sizes, 4));
        // zstd adds a little to what it cannot compress.
        if raw == 0 || raw > BLOCK || stored > 2 * BLOCK {
            return Err(damaged::<H>(format!(
                "block {} has an impossible size",
                self.blocks
            )));
        }
        let mut bytes = vec![0; stored];
        self.input.fill(&mut bytes, "block").map_err(damaged::<H>)?;
        if crc32c::crc32c(&bytes) != sum {
            return Err(damaged::<H>(format!("block {} checksum", self.blocks)));
        }
        self.block = zstd::bulk::decompress(&bytes, raw)
            .map_err(|error| damaged::<H>(format!("block {}: {error}", self.blocks)))?;
        if self.block.len() != raw {
            return Err(damaged::<H>(format!(
                "block {} is shorter than it says",
                self.blocks
            )));
        }
        self.at = 0;
        self.blocks += 1;
        self.raw += raw as u64;
        Ok(true)
    }

    fn check_trailer(&mut self) -> Result<(), Error> {
        let mut counts = [0; 16];
        self.input
            .fill(&mut counts, "trailer")
            .map_err(damaged::<H>)?;
        let hash = self.input.hash.clone().finalize();
        let mut rest = [0; 40];
        self.input
            .fill(&mut rest, "trailer")
            .map_err(damaged::<H>)?;
        if u64_at(&counts, 0) != self.blocks || u64_at(&counts, 8) != self.raw {
            return Err(damaged::<H>("blocks are missing or added"));
        }
        if rest[..32] != hash[..] {
            return Err(damaged::<H>("hash of the file"));
        }
        if &rest[32..] != END {
            return Err(damaged::<H>("no end mark"));
        }
        if self.input.inner.read(&mut [0; 1])? != 0 {
            return Err(damaged::<H>("bytes after the end"));
        }
        self.ended = true;
        Ok(())
    }
}

impl<R: Read, H: Header> Read for Reader<R, H> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        while self.at == self.block.len() {
            if !self.next_block()? {
                return Ok(0);
            }
        }
        let taken = out.len().min(self.block.len() - self.at);
        out[..taken].copy_from_slice(&self.block[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Hashes everything that passes.
struct Hashing<T> {
    inner: T,
    hash: Sha256,
}

impl<W: Write> Hashing<W> {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.inner.write_all(bytes)
    }
}

impl<R: Read> Hashing<R> {
    fn fill(&mut self, bytes: &mut [u8], part: &str) -> Result<(), Fault> {
        self.inner
            .read_exact(bytes)
            .map_err(|error| match error.kind() {
                io::ErrorKind::UnexpectedEof => Fault::from(format!("it ends within its {part}")),
                _ => Fault::Io(error),
            })?;
        self.hash.update(&*bytes);
        Ok(())
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

/// What went wrong, before it is known of which kind of file.
enum Fault {
    Io(io::Error),
    Damaged(String),
}

impl<T: Into<String>> From<T> for Fault {
    fn from(what: T) -> Self {
        Self::Damaged(what.into())
    }
}

fn damaged<H: Header>(fault: impl Into<Fault>) -> Error {
    match fault.into() {
        Fault::Io(error) => Error::Io(error),
        Fault::Damaged(what) => Error::Damaged {
            kind: H::KIND,
            what,
        },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use fleet_proto::stored::RaftSnapshotHeader;

    use super::*;

    fn verify(bytes: &[u8]) -> Result<RaftSnapshotHeader, Error> {
        Reader::<_, RaftSnapshotHeader>::new(bytes).and_then(Reader::verify)
    }

    fn header() -> RaftSnapshotHeader {
        RaftSnapshotHeader {
            cluster_id: "c".to_owned(),
            ..Default::default()
        }
    }

    fn file(body: &[u8]) -> Vec<u8> {
        let mut writer = Writer::new(Vec::new(), &header()).unwrap();
        writer.write_all(body).unwrap();
        writer.finish().unwrap()
    }

    /// Bytes that do not compress, so that blocks are as long on disk as in memory.
    fn noise(length: usize) -> Vec<u8> {
        let mut state = 1u64;
        let step = |_| {
            state = state
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            (state >> 56) as u8
        };
        (0..length).map(step).collect()
    }

    #[test]
    fn bodies_of_every_shape_come_back() {
        for length in [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 7] {
            let body = noise(length);
            let file = file(&body);
            let mut reader = Reader::<_, RaftSnapshotHeader>::new(&file[..]).unwrap();
            let mut read = Vec::new();
            reader.read_to_end(&mut read).unwrap();
            assert!(read == body, "{length} bytes");
            assert_eq!(verify(&file).unwrap(), header());
        }
    }

    #[test]
    fn a_torn_file_is_refused_wherever_it_was_torn() {
        let file = file(&noise(BLOCK + 100));
        let cuts = (0..80)
            .chain((80..file.len()).step_by(4099))
            .chain(file.len() - 60..file.len());
        for cut in cuts {
            let result = verify(&file[..cut]);
            assert!(
                matches!(result, Err(Error::Damaged { .. } | Error::Kind(_))),
                "cut at {cut}: {result:?}"
            );
        }
    }

    #[test]
    fn a_flipped_bit_is_noticed_wherever_it_is() {
        let file = file(&noise(2000));
        for at in 0..file.len() {
            let mut bad = file.clone();
            bad[at] ^= 0x10;
            let result = verify(&bad);
            assert!(
                result.is_err(),
                "flip at {at} of {} went unnoticed",
                file.len()
            );
        }
    }

    #[test]
    fn bytes_after_the_end_and_other_versions_are_refused() {
        let mut long = file(b"x");
        long.push(0);
        assert!(verify(&long).is_err());
        let mut newer = file(b"x");
        newer[8] = 2;
        assert!(matches!(
            verify(&newer),
            Err(Error::Version { found: 2, .. })
        ));
        assert!(matches!(
            verify(b"#!/bin/sh\nexit 1\n"),
            Err(Error::Kind("snapshot"))
        ));
    }
}
