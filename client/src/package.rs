//! From what the user names to one artefact file: a commit, a directory, or an archive as it is.
//!
//! The same content always gives the same bytes, so it is uploaded once. What an archive may
//! contain is judged by the cluster alone; nothing is unpacked here.

mod archive;
mod directory;
mod git;
mod ignored;
mod scratch;
mod source;

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use crate::failure::Failure;
pub(crate) use git::Clean;
pub(crate) use scratch::ScratchDirectory;
pub(crate) use source::Source;

use scratch::Scratch;

/// An artefact ready to be sent.
#[derive(Debug)]
pub(crate) struct Package {
    /// Git name: seven or more hex digits.
    pub(crate) name: String,
    /// Full commit hash; empty when it does not come from git.
    pub(crate) commit: String,
    /// Subject of the commit; empty when it does not come from git.
    pub(crate) subject: String,
    pub(crate) sha256: String,
    pub(crate) size: u64,
    file: Kept,
}

/// Where the bytes lie: a file of the user, or one of ours that goes away with this value.
#[derive(Debug)]
enum Kept {
    Theirs(PathBuf),
    Ours(Scratch),
}

impl Package {
    pub(crate) fn path(&self) -> &Path {
        match &self.file {
            Kept::Theirs(path) => path,
            Kept::Ours(scratch) => scratch.path(),
        }
    }
}

/// Makes the artefact of a source.
pub(crate) fn pack(source: &Source) -> Result<Package, Failure> {
    match source {
        Source::Commit(commit) => git::pack(commit),
        Source::Directory(path) => directory::pack(path),
        Source::Archive(path) => archive::pack(path),
    }
}

/// Hashes and counts what passes through.
struct Hashing<W> {
    inner: W,
    hash: Sha256,
    size: u64,
}

impl<W: Write> Hashing<W> {
    fn new(inner: W) -> Self {
        Self {
            inner,
            hash: Sha256::new(),
            size: 0,
        }
    }

    /// Digest in lowercase hex, length, and what was written to.
    fn finish(self) -> (String, u64, W) {
        (hex(&self.hash.finalize()), self.size, self.inner)
    }
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hash.update(&bytes[..written]);
        self.size += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Copies everything through a hash.
fn copy_hashed(from: &mut impl Read, to: impl Write) -> io::Result<(String, u64)> {
    let mut hashing = Hashing::new(to);
    io::copy(from, &mut hashing)?;
    let (sha256, size, _) = hashing.finish();
    Ok((sha256, size))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
