//! A directory of artefacts.
//!
//! ```text
//! lock                 held while a store is open; two openers would clean up each other's uploads
//! objects/<digest>     complete, verified, on disk: its name appears by rename after fsync
//! incoming/<number>    being written; removed at open, nobody else can own what lies there
//! incoming/<digest>    the beginning of an object whose sender may go on, see `partial`
//! quarantine/<digest>  bytes that no longer hash to their name, kept for whoever wants to know why
//! ```
//!
//! Calls here block on the disk; asynchronous callers go through [`super::receive`],
//! [`super::client`] or `spawn_blocking`. A full disk or a damaged object is an error of one call
//! and leaves everything else readable.

mod collect;
mod error;
mod partial;
mod upload;

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicU64, Ordering},
    },
};

use rustix::fs::{AtFlags, FlockOperation, Timespec, Timestamps};

pub use self::{
    collect::{Collected, QUARANTINE_KEPT},
    error::Error,
    partial::PARTIAL_KEPT,
    upload::{Stored, Upload},
};
use super::digest::{Digest, Hasher};

/// The largest artefact taken where nobody says otherwise: as much as an archive may unpack to,
/// since packing does not make it larger ([`super::archive::Limits`]).
pub const LARGEST: u64 = 2 << 30;

/// A directory of artefacts, open. Clones share it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    objects: PathBuf,
    incoming: PathBuf,
    quarantine: PathBuf,
    largest: u64,
    next_upload: AtomicU64,
    claims: partial::Claims,
    /// Held while an object's name appears, is confirmed or goes, so that [`Store::collect`] never
    /// removes what an upload has just been told is already there.
    names: Mutex<()>,
    /// Keeps the lock on the directory.
    _lock: File,
}

/// One object of a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Object {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
}

impl Store {
    /// Opens the store in `dir`, creating what is missing and removing what interrupted uploads
    /// left behind. Objects larger than `largest` bytes are refused.
    ///
    /// # Errors
    /// [`Error::InUse`] while another process has it open.
    pub fn open(dir: &Path, largest: u64) -> Result<Self, Error> {
        let inner = Inner {
            objects: dir.join("objects"),
            incoming: dir.join("incoming"),
            quarantine: dir.join("quarantine"),
            largest,
            next_upload: AtomicU64::new(0),
            claims: partial::Claims::default(),
            names: Mutex::new(()),
            _lock: lock(dir)?,
        };
        for part in [&inner.objects, &inner.incoming, &inner.quarantine] {
            fs::create_dir_all(part).map_err(Error::io("create", part))?;
        }
        for leftover in entries(&inner.incoming)? {
            let name = leftover.file_name().and_then(|name| name.to_str());
            if name.and_then(Digest::parse).is_some() {
                continue;
            }
            fs::remove_file(&leftover).map_err(Error::io("remove", &leftover))?;
        }
        sync_directory(dir)?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Begins to take in an object. Dropped before [`Upload::finish`], it leaves nothing behind.
    pub fn begin(&self) -> Result<Upload, Error> {
        let number = self.inner.next_upload.fetch_add(1, Ordering::Relaxed);
        Upload::begin(self.clone(), self.inner.incoming.join(number.to_string()))
    }

    /// Takes in all that `source` gives.
    pub fn put(&self, mut source: impl io::Read) -> Result<Stored, Error> {
        let mut upload = self.begin()?;
        let mut buffer = vec![0; CHUNK];
        loop {
            match source.read(&mut buffer) {
                Ok(0) => return upload.finish(None),
                Ok(read) => upload.write(&buffer[..read])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(source) => return Err(Error::Source { source }),
            }
        }
    }

    /// Whether an object of this name is here, by name alone.
    #[must_use]
    pub fn has(&self, digest: &Digest) -> bool {
        self.path(digest).is_file()
    }

    /// Like [`Store::has`], for a caller about to refer to the object: its grace before
    /// [`Store::collect`] starts anew.
    pub fn confirm(&self, digest: &Digest) -> Result<bool, Error> {
        let _names = self.names();
        let here = self.has(digest);
        if here {
            touch(&self.path(digest))?;
        }
        Ok(here)
    }

    /// Size in bytes of an object, `None` when it is not here.
    pub fn size(&self, digest: &Digest) -> Result<Option<u64>, Error> {
        let path = self.path(digest);
        match fs::metadata(&path) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("look at", &path)(error)),
        }
    }

    /// All objects, in the order of their names.
    pub fn list(&self) -> Result<Vec<Object>, Error> {
        let mut found = Vec::new();
        for path in entries(&self.inner.objects)? {
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(digest) = name.and_then(Digest::parse) else {
                continue;
            };
            if let Some(size) = self.size(&digest)? {
                found.push(Object { digest, size });
            }
        }
        found.sort();
        Ok(found)
    }

    /// Opens an object as it lies there, for a reader that verifies what it reads.
    pub fn open_unverified(&self, digest: &Digest) -> Result<Option<File>, Error> {
        let path = self.path(digest);
        match File::open(&path) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::io("open", &path)(error)),
        }
    }

    /// Opens an object for use: reads it through once and hands over the same open file, at its
    /// beginning, only if it still hashes to its name. A damaged one is put into quarantine and
    /// counts as missing, so that the caller fetches a good copy.
    pub fn open_verified(&self, digest: &Digest) -> Result<Option<File>, Error> {
        let Some(mut file) = self.open_unverified(digest)? else {
            return Ok(None);
        };
        let failed = |error| Error::io("read", &self.path(digest))(error);
        if hash(&mut file).map_err(failed)? != *digest {
            self.quarantine(digest)?;
            return Ok(None);
        }
        file.rewind().map_err(failed)?;
        Ok(Some(file))
    }

    /// Takes an object whose bytes no longer hash to its name out of the way.
    pub fn quarantine(&self, digest: &Digest) -> Result<(), Error> {
        let _names = self.names();
        let kept = self.inner.quarantine.join(digest.as_str());
        match fs::rename(self.path(digest), &kept) {
            Ok(()) => {
                // From here on its age counts, see `collect`.
                touch(&kept)?;
                tracing::error!(%digest, kept = %kept.display(), "artefact is damaged");
                sync_directory(&self.inner.objects)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(Error::io("quarantine", &self.path(digest))(error)),
        }
    }

    /// Removes an object; whoever has it open keeps reading. `false` when it was not here.
    pub fn remove(&self, digest: &Digest) -> Result<bool, Error> {
        let _names = self.names();
        let path = self.path(digest);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::io("remove", &path)(error)),
        }
    }

    /// Bytes of the largest object this store takes.
    #[must_use]
    pub fn largest(&self) -> u64 {
        self.inner.largest
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.inner.objects.join(digest.as_str())
    }

    fn names(&self) -> MutexGuard<'_, ()> {
        // Guards no data of its own, so a panic of another holder has spoilt nothing.
        self.inner
            .names
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// How much is read or sent at once, as the API's upload does (256 KiB, reliability.md 5.3 row 20).
pub(super) const CHUNK: usize = 256 << 10;

fn lock(dir: &Path) -> Result<File, Error> {
    fs::create_dir_all(dir).map_err(Error::io("create", dir))?;
    let path = dir.join("lock");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(Error::io("open", &path))?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => Err(Error::InUse {
            dir: dir.to_owned(),
        }),
        Err(errno) => Err(Error::io("lock", &path)(errno.into())),
    }
}

fn entries(dir: &Path) -> Result<Vec<PathBuf>, Error> {
    fs::read_dir(dir)
        .and_then(|found| found.map(|entry| Ok(entry?.path())).collect())
        .map_err(Error::io("list", dir))
}

fn hash(file: &mut File) -> io::Result<Digest> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Sets the times of `path` to now: the moment its age is counted from.
fn touch(path: &Path) -> Result<(), Error> {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: rustix::fs::UTIME_NOW,
    };
    let times = Timestamps {
        last_access: now,
        last_modification: now,
    };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, AtFlags::empty())
        .map_err(|errno| Error::io("touch", path)(errno.into()))
}

/// Makes the names in `dir` durable.
fn sync_directory(dir: &Path) -> Result<(), Error> {
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(Error::io("sync", dir))
}

#[cfg(test)]
mod tests;
