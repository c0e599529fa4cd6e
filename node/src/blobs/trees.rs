//! Unpacked artefacts on a worker: one directory for each digest, complete or not there.
//!
//! The archive is fetched, verified and unpacked, then dropped: frontends need the tree, and
//! control nodes keep the archive.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime},
};

use tonic::service::Interceptor;

use super::{
    archive::{self, Limits},
    client::{self, Client},
    digest::Digest,
    receive::blocking,
    store::{self, Object, Store},
    turns::Turns,
};

/// A directory of trees, and where their archives come from. Clones share it.
#[derive(Clone)]
pub struct Trees<I> {
    client: Client<I>,
    disk: Arc<Disk>,
    turns: Turns,
    /// One unpacking at a time: it is bound by the disk, and memory stays that of one.
    unpacking: Arc<tokio::sync::Mutex<()>>,
}

/// From fetching to unpacking it takes seconds; after this long, whoever wanted it is gone.
const ABANDONED: Duration = Duration::from_secs(3600);

struct Disk {
    /// Archives on their way.
    store: Store,
    trees: PathBuf,
    limits: Limits,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to read or clear the artefact cache {}", dir.display())]
    Disk { dir: PathBuf, source: io::Error },
    #[error("failed to use the artefact cache")]
    Store(#[from] store::Error),
    #[error("failed to fetch the artefact")]
    Fetch(#[from] client::Error),
    #[error("failed to unpack artefact {digest}")]
    Unpack {
        digest: Digest,
        source: archive::Error,
    },
    #[error("artefact {digest} was damaged on this machine's disk just after it was fetched")]
    Damaged { digest: Digest },
}

impl Error {
    /// Whether another attempt would see the same: the archive itself is at fault.
    #[must_use]
    pub fn is_final(&self) -> bool {
        use archive::Error as Archive;
        match self {
            Self::Unpack { source, .. } => !matches!(
                source,
                Archive::Read { .. }
                    | Archive::Exists { .. }
                    | Archive::NoSpace { .. }
                    | Archive::Write { .. }
            ),
            _ => false,
        }
    }
}

impl<I: Interceptor + Clone> Trees<I> {
    /// Opens the cache in `dir`, removing what an interrupted unpacking left behind.
    pub fn open(dir: &Path, client: Client<I>) -> Result<Self, Error> {
        // Its lock first: the leftovers of another process would not be left over.
        let store = Store::open(&dir.join("archives"), store::LARGEST)?;
        let trees = dir.join("trees");
        fs::create_dir_all(&trees)
            .and_then(|()| archive::remove_leftovers(&trees))
            .map_err(|source| Error::Disk {
                dir: trees.clone(),
                source,
            })?;
        let disk = Arc::new(Disk {
            store,
            trees,
            limits: Limits::default(),
        });
        Ok(Self {
            client,
            disk,
            turns: Turns::default(),
            unpacking: Arc::default(),
        })
    }

    /// Where the tree of an artefact lies, once [`Trees::prepare`] succeeded.
    #[must_use]
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.disk.path(digest)
    }

    /// Sees to it that the tree of `object` lies at its path; `holders` (`host:port`) are asked in
    /// their order. Safe to drop at any point and to repeat.
    pub async fn prepare(&self, object: &Object, holders: &[String]) -> Result<PathBuf, Error> {
        let turn = self.turns.take(&object.digest).await;
        let path = self.path(&object.digest);
        if path.is_dir() {
            return Ok(path);
        }
        self.client.fetch(object, holders, &self.disk.store).await?;
        let alone = Arc::clone(&self.unpacking).lock_owned().await;
        let (disk, digest) = (Arc::clone(&self.disk), object.digest.clone());
        let unpacked = blocking(move || {
            // They go along, since the work goes on when the caller does not.
            let _held = (turn, alone);
            Ok(disk.unpack(&digest))
        });
        unpacked.await??;
        Ok(path)
    }

    /// Removes the trees outside `in_use` and says which; also archives that were fetched and never
    /// unpacked, when they are old.
    pub async fn collect(&self, in_use: BTreeSet<Digest>) -> Result<Vec<Digest>, Error> {
        let alone = Arc::clone(&self.unpacking).lock_owned().await;
        let disk = Arc::clone(&self.disk);
        let removed = blocking(move || {
            let _held = alone;
            disk.store.collect(&in_use, ABANDONED, SystemTime::now())?;
            Ok(disk.remove_others(&in_use))
        });
        let failed = |source| Error::Disk {
            dir: self.disk.trees.clone(),
            source,
        };
        removed.await?.map_err(failed)
    }
}

impl Disk {
    fn path(&self, digest: &Digest) -> PathBuf {
        self.trees.join(digest.as_str())
    }

    fn unpack(&self, digest: &Digest) -> Result<(), Error> {
        let Some(archive) = self.store.open_verified(digest)? else {
            return Err(Error::Damaged {
                digest: digest.clone(),
            });
        };
        let unpacked = archive::unpack(archive, &self.path(digest), &self.limits);
        // An archive that cannot be unpacked is of no use here either.
        self.store.remove(digest)?;
        match unpacked {
            Ok(_) => Ok(()),
            Err(source) => Err(Error::Unpack {
                digest: digest.clone(),
                source,
            }),
        }
    }

    fn remove_others(&self, in_use: &BTreeSet<Digest>) -> io::Result<Vec<Digest>> {
        let mut removed = Vec::new();
        for entry in fs::read_dir(&self.trees)? {
            let entry = entry?;
            let Some(digest) = entry.file_name().to_str().and_then(Digest::parse) else {
                continue;
            };
            if !in_use.contains(&digest) {
                archive::remove(&entry.path())?;
                removed.push(digest);
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use tonic::{Request, Status};

    use super::*;
    use crate::blobs::digest;

    type Plain = fn(Request<()>) -> Result<Request<()>, Status>;

    fn trees(dir: &Path) -> Trees<Plain> {
        let plain: Plain = |request| Ok(request);
        Trees::open(dir, Client::new(plain)).unwrap()
    }

    /// As if it had just been fetched.
    fn stored(trees: &Trees<Plain>, archive: &[u8]) -> Object {
        trees.disk.store.put(archive).unwrap();
        Object {
            digest: digest::of(archive),
            size: archive.len() as u64,
        }
    }

    fn tar(content: &str) -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, "a/file", content.as_bytes())
            .unwrap();
        tar.into_inner().unwrap()
    }

    #[tokio::test]
    async fn a_tree_is_there_whole_and_its_archive_gone() {
        let dir = tempfile::tempdir().unwrap();
        let trees = trees(dir.path());
        let object = stored(&trees, &tar("one"));
        let path = trees.prepare(&object, &[]).await.unwrap();
        assert_eq!(fs::read_to_string(path.join("a/file")).unwrap(), "one");
        assert_eq!(trees.disk.store.list().unwrap(), []);
        // Without archive and holders: the tree is enough.
        assert_eq!(trees.prepare(&object, &[]).await.unwrap(), path);
    }

    #[tokio::test]
    async fn callers_at_once_share_one_unpacking() {
        let dir = tempfile::tempdir().unwrap();
        let trees = trees(dir.path());
        let object = stored(&trees, &tar("one"));
        let calls = (0..4).map(|_| trees.prepare(&object, &[]));
        for result in futures::future::join_all(calls).await {
            result.unwrap();
        }
    }

    #[tokio::test]
    async fn what_cannot_be_unpacked_is_final_and_what_cannot_be_fetched_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let trees = trees(dir.path());
        let object = stored(&trees, b"no archive");
        let error = trees.prepare(&object, &[]).await.unwrap_err();
        assert!(error.is_final(), "{error}");
        assert!(!trees.path(&object.digest).exists());

        let absent = Object {
            digest: digest::of(b"absent"),
            size: 6,
        };
        let error = trees.prepare(&absent, &[]).await.unwrap_err();
        assert!(!error.is_final(), "{error}");
    }

    #[tokio::test]
    async fn trees_nobody_uses_go() {
        let dir = tempfile::tempdir().unwrap();
        let trees = trees(dir.path());
        let objects = ["one", "two"].map(|content| stored(&trees, &tar(content)));
        for object in &objects {
            trees.prepare(object, &[]).await.unwrap();
        }
        let [one, two] = objects.map(|object| object.digest);
        assert_eq!(
            trees.collect(BTreeSet::from([one.clone()])).await.unwrap(),
            [two.clone()]
        );
        assert!(trees.path(&one).is_dir());
        assert!(!trees.path(&two).exists());
        assert_eq!(fs::read_dir(dir.path().join("trees")).unwrap().count(), 1);
    }
}
