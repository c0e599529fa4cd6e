//! One object on its way in.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
};

use super::{Digest, Error, Hasher, Store, partial::Claim, sync_directory};

/// An object being written. It gets its name only when complete and on disk; dropped before that,
/// it is gone, unless it was begun with [`Store::resume`].
pub struct Upload {
    store: Store,
    file: File,
    path: PathBuf,
    hasher: Hasher,
    written: u64,
    /// Of one that may be gone on with later.
    claim: Option<Claim>,
    /// After an error other than a takeover: what was written is of no use to anybody.
    spoilt: bool,
}

/// What became of an upload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// The same content was here before.
    pub was_here: bool,
}

impl Upload {
    pub(super) fn begin(store: Store, path: PathBuf) -> Result<Self, Error> {
        let file = File::options()
            .create_new(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("create", &path))?;
        Ok(Self {
            store,
            file,
            path,
            hasher: Hasher::default(),
            written: 0,
            claim: None,
            spoilt: false,
        })
    }

    /// One whose first `written` bytes, which `hasher` has seen, are in `file`.
    pub(super) fn resumed(
        store: Store,
        file: File,
        path: PathBuf,
        hasher: Hasher,
        written: u64,
        claim: Claim,
    ) -> Self {
        Self {
            store,
            file,
            path,
            hasher,
            written,
            claim: Some(claim),
            spoilt: false,
        }
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] as soon as the object would exceed the store's limit, [`Error::NoSpace`]
    /// on a full disk, [`Error::TakenOver`]. The upload is of no use afterwards.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let _mine = self.claim.as_ref().map(Claim::hold).transpose()?;
        // Until it has gone well.
        self.spoilt = true;
        let written = self.written + bytes.len() as u64;
        if written > self.store.largest() {
            return Err(Error::TooLarge {
                largest: self.store.largest(),
            });
        }
        self.file
            .write_all(bytes)
            .map_err(Error::io("write", &self.path))?;
        self.hasher.update(bytes);
        self.written = written;
        self.spoilt = false;
        Ok(())
    }

    /// Bytes taken so far: where another source would have to go on.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Makes the object durable and gives it its name. With `expected`, only under that name.
    pub fn finish(mut self, expected: Option<&Digest>) -> Result<Stored, Error> {
        let claim = self.claim.clone();
        let _mine = claim.as_ref().map(Claim::hold).transpose()?;
        // Until it has gone well.
        self.spoilt = true;
        let digest = std::mem::take(&mut self.hasher).finish();
        if let Some(expected) = expected.filter(|expected| **expected != digest) {
            return Err(Error::Mismatch {
                expected: expected.clone(),
                found: digest,
            });
        }
        let size = self.written;
        // Before the rename: a name must never stand for bytes that a power cut can take away.
        // A failed sync is not repeated, the kernel may have dropped the pages it could not write.
        self.file
            .sync_all()
            .map_err(Error::io("sync", &self.path))?;
        let was_here = self.publish(&digest)?;
        self.spoilt = false;
        Ok(Stored {
            digest,
            size,
            was_here,
        })
    }

    /// An object that is here already is replaced by the same bytes: that heals a copy damaged on
    /// disk, and makes it young, so that it is not collected before anything refers to it.
    fn publish(&self, digest: &Digest) -> Result<bool, Error> {
        let _names = self.store.names();
        let was_here = self.store.has(digest);
        let path = self.store.path(digest);
        fs::rename(&self.path, &path).map_err(Error::io("name", &path))?;
        sync_directory(&self.store.inner.objects)?;
        Ok(was_here)
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if self.claim.is_some() && !self.spoilt {
            return;
        }
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(path = %self.path.display(), %error, "failed removing an upload");
            }
            // After a successful finish it lives under its name.
            _ => {}
        }
    }
}
