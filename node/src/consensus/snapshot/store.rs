//! The directory of snapshot files: which one is current, and how one becomes it.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use fleet_proto::stored::RaftSnapshotHeader;

use super::{SnapshotError, SnapshotFile};
use crate::consensus::codec;
use crate::consensus::machine::SnapshotView;
use crate::consensus::types::SnapshotMeta;
use crate::framed::{Reader, Writer};

const SUFFIX: &str = ".snap";
const TEMPORARY: &str = ".tmp";
/// Where a snapshot goes that failed verification while the log could still replace it.
const SET_ASIDE: &str = "damaged";

/// The snapshots of one node. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct SnapshotDir {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    dir: PathBuf,
    cluster_id: String,
    current: Mutex<Option<(SnapshotMeta, SnapshotFile)>>,
}

impl SnapshotDir {
    /// Opens the directory (made if missing), removes unfinished files and verifies the newest
    /// snapshot.
    ///
    /// `purged` is the last index gone from the log: if there is one, a damaged snapshot cannot be
    /// replaced by replaying the log and is an error; otherwise it is set aside.
    ///
    /// # Errors
    /// If the directory cannot be used, or the snapshot is needed and damaged or foreign.
    pub(crate) fn open(
        dir: &Path,
        cluster_id: &str,
        purged: Option<u64>,
    ) -> Result<Self, SnapshotError> {
        fs::create_dir_all(dir)?;
        let mut names = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if name.ends_with(TEMPORARY) {
                fs::remove_file(&path)?;
            } else if name.ends_with(SUFFIX) {
                names.push(path);
            }
        }
        // Names begin with the index, padded: the last one is the newest.
        names.sort();
        let this = Self::unread(dir, cluster_id);
        let newest = this.newest(names, purged)?;
        this.set(newest);
        Ok(this)
    }

    /// The newest intact snapshot of a directory that is only looked at: nothing is removed, nothing
    /// set aside.
    ///
    /// # Errors
    /// If the directory cannot be read, or all that is there is damaged or foreign.
    pub(crate) fn newest_in(
        dir: &Path,
        cluster_id: &str,
    ) -> Result<Option<(SnapshotMeta, SnapshotFile)>, SnapshotError> {
        let this = Self::unread(dir, cluster_id);
        let mut paths = Vec::new();
        for entry in fs::read_dir(dir)? {
            let path = entry?.path();
            if path.to_string_lossy().ends_with(SUFFIX) {
                paths.push(path);
            }
        }
        paths.sort();
        let mut damage = None;
        for path in paths.iter().rev() {
            let file = open(path)?;
            match this.verify(&file.file) {
                Ok(meta) => return Ok(Some((meta, file))),
                Err(error) => damage = damage.or(Some(error)),
            }
        }
        damage.map_or(Ok(None), Err)
    }

    fn unread(dir: &Path, cluster_id: &str) -> Self {
        Self {
            inner: Arc::new(Inner {
                dir: dir.to_owned(),
                cluster_id: cluster_id.to_owned(),
                current: Mutex::new(None),
            }),
        }
    }

    /// The newest durable snapshot.
    pub(crate) fn current(&self) -> Option<(SnapshotMeta, SnapshotFile)> {
        self.lock().clone()
    }

    /// Writes a snapshot and makes it the current one. It is durable when this returns.
    ///
    /// # Errors
    /// Those of the file system and of the view; the older snapshot is then still current.
    pub(crate) fn write(
        &self,
        meta: &SnapshotMeta,
        view: &dyn SnapshotView,
    ) -> io::Result<SnapshotFile> {
        let header = codec::header_to_proto(&self.inner.cluster_id, meta);
        let temporary = self.temporary("build");
        let mut writer = Writer::new(BufWriter::new(File::create(&temporary)?), &header)?;
        view.write(&mut writer)?;
        writer
            .finish()?
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?
            .sync_all()?;
        self.publish(&temporary, meta)
    }

    /// Makes a verified file the current snapshot, durably: renames it if it lies unfinished in
    /// this directory, leaves it if it is the current one already, and copies it otherwise.
    ///
    /// # Errors
    /// Those of the file system.
    pub(crate) fn adopt(
        &self,
        meta: &SnapshotMeta,
        file: &SnapshotFile,
    ) -> io::Result<SnapshotFile> {
        if file.path == self.inner.dir.join(name(meta)) {
            return Ok(file.clone());
        }
        if file.path.parent() == Some(&self.inner.dir) {
            return self.publish(&file.path, meta);
        }
        let temporary = self.temporary("copy");
        let mut source = At::new(&file.file);
        let mut copy = File::create(&temporary)?;
        io::copy(&mut source, &mut copy)?;
        copy.sync_all()?;
        self.publish(&temporary, meta)
    }

    /// Checks a file from its first byte to its last, and whose it is.
    ///
    /// # Errors
    /// If it is damaged, of another version, or of another cluster.
    pub(crate) fn verify(&self, file: &File) -> Result<SnapshotMeta, SnapshotError> {
        let reader = Reader::<_, RaftSnapshotHeader>::new(BufReader::new(At::new(file)))?;
        let header = reader.verify()?;
        if header.cluster_id != self.inner.cluster_id {
            return Err(SnapshotError::Foreign {
                found: header.cluster_id,
                expected: self.inner.cluster_id.clone(),
            });
        }
        codec::header_from_proto(header).map_err(|error| SnapshotError::Damaged(error.to_string()))
    }

    /// A name for an unfinished file. Such files are removed at the next start.
    pub(super) fn temporary(&self, purpose: &str) -> PathBuf {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let unique = NEXT.fetch_add(1, Ordering::Relaxed);
        self.inner
            .dir
            .join(format!("{purpose}-{unique}{TEMPORARY}"))
    }

    /// Gives a synced file its name, syncs the name, then removes older snapshots.
    fn publish(&self, temporary: &Path, meta: &SnapshotMeta) -> io::Result<SnapshotFile> {
        let path = self.inner.dir.join(name(meta));
        let mut current = self.lock();
        fs::rename(temporary, &path)?;
        File::open(&self.inner.dir)?.sync_all()?;
        let file = open(&path)?;
        let newer = current
            .as_ref()
            .is_some_and(|(now, _)| now.last_log_id > meta.last_log_id);
        if newer {
            // A slow build finished after a newer snapshot was installed: it is of no use.
            fs::remove_file(&path)?;
            return Ok(file);
        }
        let older = current.replace((meta.clone(), file.clone()));
        if let Some((_, older)) = older
            && older.path != path
        {
            fs::remove_file(&older.path)?;
        }
        Ok(file)
    }

    fn newest(
        &self,
        mut names: Vec<PathBuf>,
        purged: Option<u64>,
    ) -> Result<Option<(SnapshotMeta, SnapshotFile)>, SnapshotError> {
        let mut found = None;
        while let Some(path) = names.pop() {
            if found.is_some() {
                fs::remove_file(&path)?;
                continue;
            }
            let file = open(&path)?;
            match self.verify(&file.file) {
                Ok(meta) => found = Some((meta, file)),
                Err(error) if purged.is_some() => return Err(error),
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "setting a damaged snapshot aside; the log is complete");
                    fs::rename(&path, path.with_extension(SET_ASIDE))?;
                }
            }
        }
        Ok(found)
    }

    fn set(&self, snapshot: Option<(SnapshotMeta, SnapshotFile)>) {
        *self.lock() = snapshot;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<(SnapshotMeta, SnapshotFile)>> {
        self.inner
            .current
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl SnapshotFile {
    /// The state inside, verified as it is read.
    ///
    /// # Errors
    /// If the head of the file is damaged.
    pub(crate) fn body(&self) -> Result<impl io::Read, SnapshotError> {
        Ok(Reader::<_, RaftSnapshotHeader>::new(BufReader::new(
            At::new(&self.file),
        ))?)
    }
}

fn open(path: &Path) -> io::Result<SnapshotFile> {
    let file = File::open(path)?;
    let length = file.metadata()?.len();
    Ok(SnapshotFile {
        file: Arc::new(file),
        path: path.to_owned(),
        length,
    })
}

fn name(meta: &SnapshotMeta) -> String {
    let (index, term, leader) = meta.last_log_id.map_or((0, 0, 0), |id| {
        let leader = id.committed_leader_id();
        (id.index, leader.term, leader.node_id)
    });
    format!("{index:020}-{term:020}-{leader}{SUFFIX}")
}

/// Reads a shared file from its start, without moving the position others may use.
struct At<'a> {
    file: &'a File,
    offset: u64,
}

impl<'a> At<'a> {
    fn new(file: &'a File) -> Self {
        Self { file, offset: 0 }
    }
}

impl io::Read for At<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        use std::os::unix::fs::FileExt;
        let read = self.file.read_at(out, self.offset)?;
        self.offset += read as u64;
        Ok(read)
    }
}
