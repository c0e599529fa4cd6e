//! The loop: one thread that waits for signals, calls, output and deadlines, and never for anything
//! else.

mod connections;
mod dispatch;

use std::{
    fs::{self, File},
    io::{self, Write as _},
    mem::ManuallyDrop,
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::FlockOperation,
    process::{Pid, set_child_subreaper},
};
use sha2::{Digest as _, Sha256};

use self::connections::Connections;
use super::{
    capabilities,
    cgroup::Place,
    clock::Now,
    poll::{Poll, Source},
    sys,
    table::{Paths, Table},
    wire,
};

/// Why the holder ended, or never began.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("{} cannot be made", path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("{} cannot be locked", path.display())]
    Lock { path: PathBuf, source: io::Error },
    #[error("socket cannot be opened in {}", run_dir.display())]
    Socket { run_dir: PathBuf, source: io::Error },
    #[error("holder cannot be set up")]
    SetUp(#[source] io::Error),
    #[error("waiting for events failed")]
    Wait(#[source] io::Error),
}

/// How unlikely the out-of-memory killer is to choose the holder (-1000 is never). Processes it
/// starts do not inherit it.
const OOM_SCORE: &str = "-900";

pub(super) fn run(data_dir: &Path) -> Result<(), RunError> {
    let run_dir = data_dir.join("run");
    // Frontends pass through the data directory to their own; what they may not see is closed one
    // level below.
    make_dir(data_dir, 0o711)?;
    for dir in [
        run_dir.clone(),
        run_dir.join("fifos"),
        data_dir.join("logs"),
    ] {
        make_dir(&dir, 0o700)?;
    }
    let Some(lock) = lock(&run_dir.join("holder.lock"))? else {
        tracing::info!("another holder serves this data directory");
        return Ok(());
    };
    // Not closed before the process has ended: whoever sees the lock free shall see no holder either.
    let _lock = ManuallyDrop::new(lock);
    let data_dir = data_dir
        .canonicalize()
        .map_err(|source| RunError::Directory {
            path: data_dir.to_owned(),
            source,
        })?;
    let mut holder = Holder::set_up(&data_dir).map_err(RunError::SetUp)?;
    // Only now: whoever can connect finds everything adopted.
    let run_dir = data_dir.join("run");
    let failed = |source| RunError::Socket {
        run_dir: run_dir.clone(),
        source,
    };
    holder
        .connections
        .listen(&run_dir, &mut holder.table.poll)
        .map_err(failed)?;
    tracing::info!(pid = std::process::id(), "holder is ready");
    holder.serve().map_err(RunError::Wait)?;
    // A socket that nobody answers would be taken for a holder that died.
    let _ = fs::remove_file(run_dir.join(wire::SOCKET));
    Ok(())
}

struct Holder {
    table: Table,
    connections: Connections,
    signals: OwnedFd,
}

impl Holder {
    /// Becomes what a holder is (own session, subreaper, hard to kill) and adopts what is there.
    fn set_up(data_dir: &Path) -> io::Result<Self> {
        // Fails only for one that leads a group already, which nothing of ours depends on.
        let _ = rustix::process::setsid();
        set_child_subreaper(Some(Pid::INIT))?;
        // Refused to all but root.
        let _ = fs::write("/proc/self/oom_score_adj", OOM_SCORE);
        std::env::set_current_dir("/")?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
        let signals = sys::signal_fd()?;
        let node = node_name(data_dir);
        let place = Place::find(&node);
        let capabilities = capabilities::probe(&place);
        if let Err(problem) = &place {
            tracing::warn!(%problem, "cgroups are not used");
        }
        let run_dir = data_dir.join("run");
        let paths = Paths {
            logs: data_dir.join("logs"),
            fifos: run_dir.join("fifos"),
            processes: run_dir.join("processes"),
            listeners: run_dir.join("listeners"),
            tenure: run_dir.join("tenure"),
        };
        let mut poll = Poll::new()?;
        poll.watch(&signals, Source::Signals)?;
        let mut table = Table::new(poll, paths, place.ok(), node, capabilities)?;
        table.adopt(Now::read())?;
        Ok(Self {
            table,
            connections: Connections::default(),
            signals,
        })
    }

    fn serve(&mut self) -> io::Result<()> {
        loop {
            let ready = self.table.poll.wait(self.table.due())?;
            let now = Now::read();
            for (token, source) in ready {
                if self.table.poll.is_current(token) {
                    self.handle(source, now);
                }
            }
            self.table.tick(now);
            let over = self.table.is_shut_down();
            self.connections
                .send(std::mem::take(&mut self.table.outbox), &mut self.table.poll);
            if over {
                self.connections.flush();
                return Ok(());
            }
        }
    }

    fn handle(&mut self, source: Source, now: Now) {
        match source {
            Source::Signals => {
                for signal in sys::pending_signals(&self.signals) {
                    match signal {
                        libc::SIGCHLD => self.table.reap(now),
                        // The machine or its service manager wants everything to end.
                        _ => self.table.shut_down(None, None, now),
                    }
                }
            }
            Source::Accept => self.connections.accept(&mut self.table.poll),
            Source::Connection(connection) => {
                for call in self.connections.receive(connection, &mut self.table.poll) {
                    dispatch::dispatch(
                        &mut self.table,
                        &mut self.connections,
                        connection,
                        call,
                        now,
                    );
                }
            }
            Source::Output(id, stream) => self.table.output(&id, stream, now),
            Source::Notify(id) => self.table.notified(&id, now),
            Source::Exec(id) => self.table.exec_outcome(&id, now),
            Source::Exit(id) => self.table.adopted_ended(&id, now),
            Source::Tenure => self.table.tenure_moved(now),
        }
    }
}

fn make_dir(path: &Path, mode: u32) -> Result<(), RunError> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path);
    made.map_err(|source| RunError::Directory {
        path: path.to_owned(),
        source,
    })
}

/// The lock that makes this holder the only one; `None` when another has it. Released by the
/// kernel with the process, never by us.
fn lock(path: &Path) -> Result<Option<File>, RunError> {
    let failed = |source| RunError::Lock {
        path: path.to_owned(),
        source,
    };
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(path)
        .map_err(failed)?;
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => {
            // For people who look for the holder, and for `fleetd stop`, which waits for its end.
            let _ = file
                .set_len(0)
                .and_then(|()| writeln!(&file, "{}", std::process::id()));
            Ok(Some(file))
        }
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

/// Names this node's cgroups: several nodes may run on one machine.
fn node_name(data_dir: &Path) -> String {
    let hash = Sha256::digest(data_dir.as_os_str().as_encoded_bytes());
    format!(
        "fleet-{:02x}{:02x}{:02x}{:02x}",
        hash[0], hash[1], hash[2], hash[3]
    )
}
