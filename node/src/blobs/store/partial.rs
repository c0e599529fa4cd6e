//! Objects that arrive in several attempts.
//!
//! The first bytes of an object whose digest is known beforehand lie in `incoming/<digest>`, also
//! after the sender is gone or this process was killed. Whoever comes next says from which byte on
//! it goes on. There is one writer at a time: a newcomer takes over, and what the one before it
//! still had on its way is refused, since its connection may be dead long before anybody notices.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use super::{CHUNK, Digest, Error, Hasher, Store, Upload, collect::aged, entries};

/// How long the beginning of an object waits for its rest: somebody who goes on the next morning
/// still finds it.
pub const PARTIAL_KEPT: Duration = Duration::from_secs(24 * 3600);

/// Silence after which a writer's connection is presumed dead: a few times the round trip between
/// any two places, and short for somebody who waits.
const SILENT: Duration = Duration::from_secs(3);

/// Who may write to which unfinished object.
#[derive(Default)]
pub(super) struct Claims(Mutex<BTreeMap<Digest, Arc<Mutex<Held>>>>);

/// The right to write, until somebody else takes it.
#[derive(Clone)]
pub(super) struct Claim {
    number: u64,
    holder: Arc<Mutex<Held>>,
}

pub(super) struct Held {
    /// Of the claim that counts.
    number: u64,
    /// When it was last made use of.
    used: Instant,
}

impl Default for Held {
    fn default() -> Self {
        Self {
            number: 0,
            used: Instant::now(),
        }
    }
}

impl Claims {
    /// Takes the right from whoever has it, after a write of theirs that is under way.
    fn take(&self, digest: &Digest) -> Claim {
        let holder = {
            let mut claims = lock(&self.0);
            // Those of finished uploads are held by nobody but the map.
            claims.retain(|_, holder| Arc::strong_count(holder) > 1);
            claims.entry(digest.clone()).or_default().clone()
        };
        let number = {
            let mut held = lock(&holder);
            held.number += 1;
            held.number
        };
        Claim { number, holder }
    }

    /// For how long the one who has the right has not made use of it; `None` when nobody has it.
    fn idle(&self, digest: &Digest) -> Option<Duration> {
        let holder = lock(&self.0).get(digest).cloned()?;
        // The map's and this one: no claim is left.
        (Arc::strong_count(&holder) > 2).then(|| lock(&holder).used.elapsed())
    }
}

impl Claim {
    /// Keeps the right for as long as the guard lives.
    pub(super) fn hold(&self) -> Result<MutexGuard<'_, Held>, Error> {
        let mut held = lock(&self.holder);
        if held.number == self.number {
            held.used = Instant::now();
            Ok(held)
        } else {
            Err(Error::TakenOver)
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Neither a map nor a number can be left half changed by a panic.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Store {
    /// How many of the first bytes of `digest` are on disk, safe from a power cut.
    pub fn received(&self, digest: &Digest) -> Result<u64, Error> {
        let path = self.inner.incoming.join(digest.as_str());
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(error) => return Err(Error::io("open", &path)(error)),
        };
        // The length first: it may grow meanwhile, and what grows is not synced yet.
        let length = file.metadata().map_err(Error::io("look at", &path))?.len();
        file.sync_data().map_err(Error::io("sync", &path))?;
        Ok(length)
    }

    /// Whether `digest` is on its way in just now: it is better waited for than sent twice. A writer
    /// that has been silent for [`SILENT`] is presumed gone.
    #[must_use]
    pub fn arriving(&self, digest: &Digest) -> bool {
        let idle = self.inner.claims.idle(digest);
        idle.is_some_and(|idle| idle < SILENT)
    }

    /// Goes on with taking in `digest` at byte `offset`; what lies beyond is sent again. Dropped
    /// before [`Upload::finish`], what was written waits [`PARTIAL_KEPT`] for the rest.
    ///
    /// # Errors
    /// [`Error::Gap`] when fewer than `offset` bytes are here.
    pub fn resume(&self, digest: &Digest, offset: u64) -> Result<Upload, Error> {
        let claim = self.inner.claims.take(digest);
        let path = self.inner.incoming.join(digest.as_str());
        let held = claim.hold()?;
        let mut file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(Error::io("open", &path))?;
        let received = file.metadata().map_err(Error::io("look at", &path))?.len();
        if offset > received {
            return Err(Error::Gap { received });
        }
        file.set_len(offset).map_err(Error::io("cut", &path))?;
        let hasher = hashed(&mut file).map_err(Error::io("read", &path))?;
        file.seek(io::SeekFrom::End(0))
            .map_err(Error::io("seek in", &path))?;
        drop(held);
        Ok(Upload::resumed(
            self.clone(),
            file,
            path,
            hasher,
            offset,
            claim,
        ))
    }

    /// Removes beginnings whose rest did not come.
    pub(super) fn collect_partial(&self, now: SystemTime) -> Result<(), Error> {
        for path in entries(&self.inner.incoming)? {
            let name = path.file_name().and_then(|name| name.to_str());
            if name.and_then(Digest::parse).is_some() && aged(&path, PARTIAL_KEPT, now)? {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        Ok(())
    }
}

/// The digest in the making of all that is in `file`.
fn hashed(file: &mut File) -> io::Result<Hasher> {
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; CHUNK];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher),
            Ok(read) => hasher.update(&buffer[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::blobs::digest;

    const CONTENT: &[u8] = b"0123456789";

    fn store() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path(), 100).unwrap();
        (dir, store)
    }

    #[test]
    fn an_upload_goes_on_where_it_broke_off_also_after_a_restart() {
        let (dir, store) = store();
        let name = digest::of(CONTENT);
        assert_eq!(store.received(&name).unwrap(), 0);
        let mut first = store.resume(&name, 0).unwrap();
        first.write(&CONTENT[..6]).unwrap();
        drop(first);
        assert_eq!(store.received(&name).unwrap(), 6);
        drop(store);

        let store = Store::open(dir.path(), 100).unwrap();
        assert_eq!(store.received(&name).unwrap(), 6);
        // Fewer than it holds may be counted on; what lies beyond is replaced.
        let mut second = store.resume(&name, 4).unwrap();
        assert_eq!(second.written(), 4);
        second.write(&CONTENT[4..]).unwrap();
        let stored = second.finish(Some(&name)).unwrap();
        assert_eq!((stored.digest, stored.size), (name.clone(), 10));
        assert!(store.open_verified(&name).unwrap().is_some());
        assert_eq!(store.received(&name).unwrap(), 0);
    }

    #[test]
    fn the_second_takes_over_from_the_first() {
        let (_dir, store) = store();
        let name = digest::of(CONTENT);
        let mut first = store.resume(&name, 0).unwrap();
        first.write(&CONTENT[..6]).unwrap();
        let mut second = store.resume(&name, 6).unwrap();
        assert!(store.arriving(&name));
        assert!(matches!(first.write(b"junk"), Err(Error::TakenOver)));
        drop(first);
        second.write(&CONTENT[6..]).unwrap();
        second.finish(Some(&name)).unwrap();
        assert!(!store.arriving(&name));
        assert!(store.open_verified(&name).unwrap().is_some());
    }

    #[test]
    fn gaps_and_wrong_bytes_are_refused_and_wrong_bytes_forgotten() {
        let (_dir, store) = store();
        let name = digest::of(CONTENT);
        let gap = store.resume(&name, 1).map(|_| ());
        assert!(matches!(gap, Err(Error::Gap { received: 0 })), "{gap:?}");
        let mut wrong = store.resume(&name, 0).unwrap();
        wrong.write(b"something else").unwrap();
        assert!(matches!(
            wrong.finish(Some(&name)),
            Err(Error::Mismatch { .. })
        ));
        assert_eq!(store.received(&name).unwrap(), 0, "the bad start is gone");
        let mut large = store.resume(&name, 0).unwrap();
        assert!(matches!(
            large.write(&[0; 101]),
            Err(Error::TooLarge { .. })
        ));
        drop(large);
        assert!(!store.has(&name));
    }

    #[test]
    fn a_beginning_waits_a_day() {
        let (_dir, store) = store();
        let name = digest::of(CONTENT);
        store.resume(&name, 0).unwrap().write(b"01").unwrap();
        store.collect_partial(SystemTime::now()).unwrap();
        assert_eq!(store.received(&name).unwrap(), 2);
        let later = SystemTime::now() + PARTIAL_KEPT + Duration::from_secs(60);
        store.collect_partial(later).unwrap();
        assert_eq!(store.received(&name).unwrap(), 0);
    }
}
