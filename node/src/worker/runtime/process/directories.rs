//! The directories of a frontend, and whether its user can get to them and to its code.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::super::{Error, FrontendKey};
use crate::holder::{ProcessId, User};

/// Others may pass through, but not look.
const PASS: u32 = 0o011;

/// What belongs to one frontend alone.
pub(super) struct Own {
    /// Its `HOME`; kept until the frontend is removed.
    pub(super) data: PathBuf,
    /// Its `TMPDIR`.
    pub(super) tmp: PathBuf,
}

pub(super) struct Directories {
    data_dir: PathBuf,
    frontends: PathBuf,
}

impl Directories {
    pub(super) fn new(data_dir: PathBuf) -> Self {
        let frontends = data_dir.join("worker").join("frontends");
        Self {
            data_dir,
            frontends,
        }
    }

    /// Makes what is missing, owned by the user of the frontend, and lets that user through to it
    /// and to `code`.
    pub(super) fn make(
        &self,
        id: FrontendKey,
        user: Option<User>,
        code: &Path,
    ) -> Result<Own, Error> {
        let home = self.frontends.join(id.to_string());
        self.make_in(&home, user, &[code, &self.frontends])
    }

    /// As [`make`](Self::make), in a directory of its own that `user` reaches by way of `through`.
    pub(super) fn make_in(
        &self,
        home: &Path,
        user: Option<User>,
        through: &[&Path],
    ) -> Result<Own, Error> {
        let own = Own {
            data: home.join("data"),
            tmp: home.join("tmp"),
        };
        for dir in [home, &own.data, &own.tmp] {
            let made = fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir);
            made.map_err(failed("make directory", dir))?;
            if let Some(User { uid, gid }) = user {
                std::os::unix::fs::chown(dir, Some(uid), Some(gid))
                    .map_err(failed("give away directory", dir))?;
            }
        }
        if let Some(user) = user {
            for path in through {
                self.let_through(path, user)?;
            }
        }
        Ok(own)
    }

    /// Where the holder keeps the log of a process.
    pub(super) fn log(&self, process: &ProcessId) -> PathBuf {
        self.data_dir.join("logs").join(process.as_str())
    }

    pub(super) async fn remove(&self, id: FrontendKey) -> Result<(), Error> {
        let home = self.frontends.join(id.to_string());
        // It may hold as many files as the frontend liked.
        match tokio::fs::remove_dir_all(&home).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(failed("remove directory", &home)(error))
            }
            _ => Ok(()),
        }
    }

    /// Checks that `user` can enter every directory down to `path`. Those inside the data directory
    /// are ours and are opened for passing; one above it is not ours to change.
    fn let_through(&self, path: &Path, user: User) -> Result<(), Error> {
        let mut dirs: Vec<&Path> = path.ancestors().collect();
        dirs.reverse();
        for dir in dirs {
            let found = fs::metadata(dir).map_err(failed("look at", dir))?;
            let mode = found.mode();
            let enters = match (found.uid() == user.uid, found.gid() == user.gid) {
                (true, _) => mode & 0o100,
                (_, true) => mode & 0o010,
                _ => mode & 0o001,
            };
            if enters != 0 {
                continue;
            }
            if !dir.starts_with(&self.data_dir) {
                return Err(Error::Impossible(format!(
                    "frontends run as uid {} and cannot enter {} (mode {:o}), above the data directory {}; \
                     let others pass (chmod o+x) or move the data directory",
                    user.uid,
                    dir.display(),
                    mode & 0o7777,
                    self.data_dir.display()
                )));
            }
            let mode = fs::Permissions::from_mode(mode & 0o7777 | PASS);
            fs::set_permissions(dir, mode).map_err(failed("let frontends pass through", dir))?;
        }
        Ok(())
    }
}

/// Makes `user` the owner of all of a tree, in which nobody may be at work.
pub(super) fn give_away(tree: &Path, user: User) -> Result<(), Error> {
    let own = std::os::unix::fs::lchown(tree, Some(user.uid), Some(user.gid));
    own.map_err(failed("give away", tree))?;
    let about = fs::symlink_metadata(tree).map_err(failed("look at", tree))?;
    if about.is_dir() {
        for entry in fs::read_dir(tree).map_err(failed("read directory", tree))? {
            let entry = entry.map_err(failed("read directory", tree))?;
            give_away(&entry.path(), user)?;
        }
    }
    Ok(())
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    let path = path.to_owned();
    move |source| Error::Files {
        doing,
        path,
        source,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const USER: User = User {
        uid: 700_001,
        gid: 700_001,
    };

    #[test]
    fn directories_inside_are_opened_for_passing_and_one_outside_is_named() {
        let outside = tempfile::tempdir().unwrap();
        let data_dir = outside.path().join("node");
        let code = data_dir.join("worker/code");
        fs::create_dir_all(&code).unwrap();
        fs::set_permissions(&data_dir, fs::Permissions::from_mode(0o700)).unwrap();
        let directories = Directories::new(data_dir.clone());

        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let error = directories
            .let_through(&code, USER)
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(&format!(
                "cannot enter {} (mode 700)",
                outside.path().display()
            )),
            "{error}"
        );

        fs::set_permissions(outside.path(), fs::Permissions::from_mode(0o711)).unwrap();
        directories.let_through(&code, USER).unwrap();
        assert_eq!(fs::metadata(&data_dir).unwrap().mode() & 0o777, 0o711);
    }
}
