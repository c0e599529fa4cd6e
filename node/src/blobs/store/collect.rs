//! Removal of what nothing refers to.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{Duration, SystemTime},
};

use super::{Digest, Error, Object, Store, entries};

/// How long damaged bytes are kept for inspection: a long weekend and the days around it.
pub const QUARANTINE_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// What a collection removed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    pub removed: Vec<Object>,
    /// Of them, bytes.
    pub freed: u64,
}

impl Store {
    /// Removes every object that is not in `referenced` and older than `grace`. An upload is
    /// younger than the command that will refer to it; the grace is what lets that command arrive.
    ///
    /// `now` is compared with file times. An object from the future is kept: a clock that was
    /// wrong must not cost an artefact.
    pub fn collect(
        &self,
        referenced: &BTreeSet<Digest>,
        grace: Duration,
        now: SystemTime,
    ) -> Result<Collected, Error> {
        let mut collected = Collected::default();
        for object in self.list()? {
            if !referenced.contains(&object.digest) && self.remove_aged(&object, grace, now)? {
                collected.freed += object.size;
                collected.removed.push(object);
            }
        }
        for path in entries(&self.inner.quarantine)? {
            if aged(&path, QUARANTINE_KEPT, now)? {
                fs::remove_file(&path).map_err(Error::io("remove", &path))?;
            }
        }
        self.collect_partial(now)?;
        Ok(collected)
    }

    /// Looks at the age and removes under one lock, so that an upload of the same content comes
    /// either before (and makes it young) or after (and stores it again).
    fn remove_aged(
        &self,
        object: &Object,
        grace: Duration,
        now: SystemTime,
    ) -> Result<bool, Error> {
        let _names = self.names();
        let path = self.path(&object.digest);
        let goes = aged(&path, grace, now)?;
        if goes {
            fs::remove_file(&path).map_err(Error::io("remove", &path))?;
        }
        Ok(goes)
    }
}

/// Whether `path` is still there and was last touched more than `age` before `now`.
pub(super) fn aged(path: &Path, age: Duration, now: SystemTime) -> Result<bool, Error> {
    match fs::metadata(path).and_then(|found| found.modified()) {
        Ok(touched) => Ok(now.duration_since(touched).is_ok_and(|since| since > age)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::io("look at", path)(error)),
    }
}
