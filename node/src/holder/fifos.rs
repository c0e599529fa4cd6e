//! The three FIFOs of a process: stdout, stderr and readiness.
//!
//! They have names, and the process's end is opened for reading *and* writing, so that a FIFO
//! always has a reader: a process whose holder was killed does not get SIGPIPE, it fills the FIFO
//! (1 MiB) until the next holder opens it by name and reads on. The holder's own end is a separate
//! opening, because O_NONBLOCK belongs to an opening and no program expects it on its stdout.

use std::{
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use rustix::fs::{FileType, Mode, OFlags};

use super::{
    logs::Stream,
    spec::{ProcessId, User},
};

/// What an unread FIFO may hold; the most Linux gives without privileges.
const CAPACITY: usize = 1 << 20;

pub(super) struct Fifos {
    out: PathBuf,
    err: PathBuf,
    notify: PathBuf,
}

impl Fifos {
    pub(super) fn new(dir: &Path, id: &ProcessId) -> Self {
        let path = |end: &str| dir.join(format!("{id}~{end}"));
        Self {
            out: path("out"),
            err: path("err"),
            notify: path("notify"),
        }
    }

    /// Makes those that are missing, owned by the user of the process: programs open
    /// `/dev/stderr`, which is the FIFO once more.
    pub(super) fn make(&self, user: Option<User>, notify: bool) -> io::Result<()> {
        let wanted = [
            Some(&self.out),
            Some(&self.err),
            notify.then_some(&self.notify),
        ];
        for path in wanted.into_iter().flatten() {
            match rustix::fs::mknodat(
                rustix::fs::CWD,
                path,
                FileType::Fifo,
                Mode::RUSR | Mode::WUSR,
                0,
            ) {
                Err(error) if error != rustix::io::Errno::EXIST => return Err(error.into()),
                _ => {}
            }
            if let Some(user) = user {
                std::os::unix::fs::chown(path, Some(user.uid), Some(user.gid))?;
            }
        }
        Ok(())
    }

    pub(super) fn outputs(&self) -> [&Path; 2] {
        [&self.out, &self.err]
    }

    pub(super) fn output(&self, stream: Stream) -> &Path {
        match stream {
            Stream::Out => &self.out,
            Stream::Err => &self.err,
        }
    }

    pub(super) fn notify(&self) -> &Path {
        &self.notify
    }

    pub(super) fn remove(&self) {
        for path in [&self.out, &self.err, &self.notify] {
            // What stays is made new by the next process of this name.
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The end the holder reads.
pub(super) fn reading_end(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let fd = rustix::fs::open(path, flags, Mode::empty())?;
    // Refused to those who already have much in pipes; the default is 64 KiB.
    let _ = rustix::pipe::fcntl_setpipe_size(&fd, CAPACITY);
    Ok(fd)
}

/// The end a process gets.
pub(super) fn process_end(path: &Path) -> io::Result<OwnedFd> {
    Ok(rustix::fs::open(
        path,
        OFlags::RDWR | OFlags::CLOEXEC,
        Mode::empty(),
    )?)
}
