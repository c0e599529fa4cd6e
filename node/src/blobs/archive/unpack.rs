//! Writes an archive's entries into a new directory, and nowhere else.
//!
//! The kernel is never given a path: every directory is opened from the one above it by a single
//! name, refusing links (`O_NOFOLLOW`), so that even a mistake in the checks could not lead
//! outside. The tree is built beside its place under a hidden name and renamed when it is complete
//! and on disk: whoever finds the directory finds all of it.

use std::{
    ffi::OsStr,
    fs,
    io::{self, Read},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Mode as Permissions, OFlags, Timespec, Timestamps};

use super::{
    Error, Limits, Totals,
    name::Name,
    stream::Body,
    walk::{Mode, Sink, walk},
};

/// What unfinished trees are called, before a number that is free.
const UNFINISHED: &str = ".unpacking-";

/// Unpacks `reader` as the directory `dir`, which must not exist while its parent must.
///
/// All files belong to the caller and are readable by everyone (0644, or 0755 when executable),
/// directories are 0755. On any error nothing stays.
pub fn unpack(reader: impl Read, dir: &Path, limits: &Limits) -> Result<Totals, Error> {
    if fs::symlink_metadata(dir).is_ok() {
        return Err(Error::Exists {
            path: dir.to_owned(),
        });
    }
    let failed = |action| move |source| write_error(action, &dir.display().to_string(), source);
    let unfinished = Unfinished::create(dir).map_err(failed("create"))?;
    let mut writer = Writer::new(&unfinished.path).map_err(failed("open"))?;
    let totals = walk(reader, limits, &mut writer)?;
    writer.seal().map_err(failed("sync"))?;
    match fs::rename(&unfinished.path, dir) {
        Ok(()) => {}
        Err(error) if fs::symlink_metadata(dir).is_ok() => {
            tracing::debug!(%error, "unpacked by another at the same time");
            return Err(Error::Exists {
                path: dir.to_owned(),
            });
        }
        Err(error) => return Err(failed("name")(error)),
    }
    unfinished.finished();
    sync_parent(dir).map_err(failed("sync"))?;
    Ok(totals)
}

/// Removes from `parent` what unpackings left there that were killed. Only while none is under way.
pub fn remove_leftovers(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        if entry
            .file_name()
            .as_bytes()
            .starts_with(UNFINISHED.as_bytes())
        {
            fs::remove_dir_all(entry.path())?;
        }
    }
    Ok(())
}

/// A tree that goes again unless it is [`Unfinished::finished`].
struct Unfinished {
    path: PathBuf,
    keep: bool,
}

impl Unfinished {
    fn create(dir: &Path) -> io::Result<Self> {
        let parent = parent(dir);
        for number in 0_u32.. {
            let path = parent.join(format!("{UNFINISHED}{number}"));
            // Nobody else may look inside before it is complete.
            match rustix::fs::mkdir(&path, Permissions::RWXU) {
                Ok(()) => return Ok(Self { path, keep: false }),
                Err(rustix::io::Errno::EXIST) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }

    fn finished(mut self) {
        self.keep = true;
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // `remove_dir_all` does not follow links.
        if let Err(error) = fs::remove_dir_all(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "failed removing an unpacking");
        }
    }
}

fn parent(dir: &Path) -> &Path {
    match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn sync_parent(dir: &Path) -> io::Result<()> {
    fs::File::open(parent(dir))?.sync_all()
}

const DIRECTORY: Permissions = Permissions::from_raw_mode(0o755);
const FILE: Permissions = Permissions::from_raw_mode(0o644);
const PROGRAM: Permissions = Permissions::from_raw_mode(0o755);

/// The sink that writes.
struct Writer {
    root: OwnedFd,
    /// The directories open now, each inside the one before: where the last entry went.
    open: Vec<(Vec<u8>, OwnedFd)>,
    buffer: Vec<u8>,
}

impl Writer {
    fn new(root: &Path) -> io::Result<Self> {
        let root = rustix::fs::openat(CWD, root, OPEN_DIRECTORY, Permissions::empty())?;
        Ok(Self {
            root,
            open: Vec::new(),
            buffer: vec![0; 256 << 10],
        })
    }

    /// Opens the directory `path`, creating what is missing of it.
    fn enter(&mut self, path: &[u8]) -> io::Result<BorrowedFd<'_>> {
        let parts = || {
            path.split(|byte| *byte == b'/')
                .filter(|part| !part.is_empty())
        };
        let shared = self
            .open
            .iter()
            .zip(parts())
            .take_while(|((open, _), part)| open == part);
        let shared = shared.count();
        self.open.truncate(shared);
        for part in parts().skip(shared) {
            let next = open_or_create(self.innermost(), OsStr::from_bytes(part))?;
            self.open.push((part.to_vec(), next));
        }
        Ok(self.innermost())
    }

    fn innermost(&self) -> BorrowedFd<'_> {
        self.open
            .last()
            .map_or(self.root.as_fd(), |(_, fd)| fd.as_fd())
    }

    /// Makes all of it durable. One call for the whole file system instead of one for each of many
    /// files; a rename that survives a power cut without the content would pass for complete.
    fn seal(self) -> io::Result<()> {
        rustix::fs::fchmod(&self.root, DIRECTORY)?;
        Ok(rustix::fs::syncfs(&self.root)?)
    }

    fn create(&mut self, name: &Name, mode: Mode) -> io::Result<OwnedFd> {
        let (parent, own) = name.split();
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let parent = self.enter(parent)?;
        let file = rustix::fs::openat(parent, OsStr::from_bytes(own), flags, Permissions::RUSR)?;
        rustix::fs::fchmod(&file, if mode.executable { PROGRAM } else { FILE })?;
        Ok(file)
    }
}

const OPEN_DIRECTORY: OFlags = OFlags::RDONLY
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

fn open_or_create(parent: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let made = match rustix::fs::mkdirat(parent, name, Permissions::RWXU) {
        Ok(()) => true,
        Err(rustix::io::Errno::EXIST) => false,
        Err(errno) => return Err(errno.into()),
    };
    let dir = rustix::fs::openat(parent, name, OPEN_DIRECTORY, Permissions::empty())?;
    if made {
        // Set here, since the umask cuts what `mkdir` is given.
        rustix::fs::fchmod(&dir, DIRECTORY)?;
    }
    Ok(dir)
}

impl Sink for Writer {
    fn directory(&mut self, name: &Name) -> Result<(), Error> {
        match self.enter(name.bytes()) {
            Ok(_) => Ok(()),
            Err(error) => Err(write_error("create", &name.printable(), error)),
        }
    }

    fn file(&mut self, name: &Name, mode: Mode, body: &mut Body<'_, '_>) -> Result<(), Error> {
        let failed = |action| move |error| write_error(action, &name.printable(), error);
        let mut file = fs::File::from(self.create(name, mode).map_err(failed("create"))?);
        loop {
            match body.read(&mut self.buffer)? {
                0 => break,
                read => io::Write::write_all(&mut file, &self.buffer[..read])
                    .map_err(failed("write"))?,
            }
        }
        set_modified(&file, mode.modified).map_err(failed("date"))
    }

    fn symlink(&mut self, name: &Name, target: &[u8]) -> Result<(), Error> {
        let (parent, own) = name.split();
        self.enter(parent)
            .and_then(|parent| {
                let (target, own) = (OsStr::from_bytes(target), OsStr::from_bytes(own));
                Ok(rustix::fs::symlinkat(target, parent, own)?)
            })
            .map_err(|error| write_error("link", &name.printable(), error))
    }

    fn hard_link(&mut self, name: &Name, target: &Name) -> Result<(), Error> {
        self.link(name, target)
            .map_err(|error| write_error("link", &name.printable(), error))
    }
}

impl Writer {
    fn link(&mut self, name: &Name, target: &Name) -> io::Result<()> {
        let (target_parent, target_own) = target.split();
        let from = self.enter(target_parent)?.try_clone_to_owned()?;
        let (parent, own) = name.split();
        let to = self.enter(parent)?;
        let (target_own, own) = (OsStr::from_bytes(target_own), OsStr::from_bytes(own));
        Ok(rustix::fs::linkat(
            &from,
            target_own,
            to,
            own,
            AtFlags::empty(),
        )?)
    }
}

/// Dates survive, because web servers and interpreters compare them; an odd one is no reason to
/// refuse a file, so it is bent to what every file system stores (until 2106).
fn set_modified(file: &fs::File, seconds: u64) -> io::Result<()> {
    let tv_sec = i64::from(u32::try_from(seconds).unwrap_or(u32::MAX));
    let stamp = Timespec { tv_sec, tv_nsec: 0 };
    let times = Timestamps {
        last_access: stamp,
        last_modification: stamp,
    };
    Ok(rustix::fs::futimens(file, &times)?)
}

fn write_error(action: &'static str, entry: &str, source: io::Error) -> Error {
    let entry = entry.to_owned();
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::NoSpace { entry, source }
        }
        _ => Error::Write {
            action,
            entry,
            source,
        },
    }
}
