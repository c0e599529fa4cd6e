//! One thread that makes writes durable, in order, many at a time.
//!
//! The consensus library keeps only the newest completion it was told of: "append 7 is durable"
//! means that everything before is. So there is exactly one lane. The thread takes whatever is
//! waiting, syncs once, and completes in the order of submission. While it syncs, the next batch
//! gathers: that is the whole of group commit, and it needs no timer.
//!
//! After a failed sync nothing is known about the disk, and a second sync that succeeds would prove
//! nothing. The failure is latched, everything waiting fails, and the process is told to die.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use openraft::storage::IOFlushed;
use tokio::sync::oneshot;

use super::OpenIo;
use super::io::Mark;
use crate::consensus::options::Fatal;
use crate::consensus::types::TypeConfig;

/// At most this often the mark is written: it costs an fsync of its own.
const MARK_INTERVAL: Duration = Duration::from_secs(1);
/// Most requests completed by one sync; bounds how long the first of them waits for the last.
const MAX_BATCH: usize = 4096;

/// What waits for the next sync.
pub(super) enum Request {
    /// Entries up to an index.
    Append {
        last_index: u64,
        entries: u64,
        done: IOFlushed<TypeConfig>,
    },
    /// A vote.
    Vote {
        term: u64,
        done: oneshot::Sender<io::Result<()>>,
    },
    /// The log is about to be cut after `last_index`: the mark must not promise more.
    Lower {
        last_index: u64,
        done: oneshot::Sender<io::Result<()>>,
    },
}

/// Numbers of the log since the store was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Syncs of the write-ahead log that succeeded.
    pub fsyncs: u64,
    /// Entries made durable.
    pub appended_entries: u64,
    /// Appends made durable: several may share an fsync.
    pub batches: u64,
}

/// State shared by the store and its flusher.
#[derive(Default)]
pub(super) struct Health {
    poison: OnceLock<String>,
    fsyncs: AtomicU64,
    entries: AtomicU64,
    batches: AtomicU64,
}

impl Health {
    /// Fails if the disk ever failed.
    pub(super) fn check(&self) -> io::Result<()> {
        match self.poison.get() {
            None => Ok(()),
            Some(reason) => Err(poisoned(reason)),
        }
    }

    /// Latches the first failure and calls the hook for it.
    pub(super) fn fail(&self, reason: String, fatal: &Fatal) {
        if self.poison.set(reason.clone()).is_ok() {
            fatal(&reason);
        }
    }

    pub(super) fn counters(&self) -> Counters {
        Counters {
            fsyncs: self.fsyncs.load(Ordering::Relaxed),
            appended_entries: self.entries.load(Ordering::Relaxed),
            batches: self.batches.load(Ordering::Relaxed),
        }
    }
}

/// The store's end of the queue. Dropping it ends the thread once the queue is empty.
pub(super) struct Flusher {
    // `Sender` is not `Sync`; the lock is never contended, since the library writes from one task.
    queue: Mutex<Sender<Request>>,
}

impl Flusher {
    pub(super) fn start(
        io: OpenIo,
        health: Arc<Health>,
        fatal: Fatal,
        mark: Mark,
    ) -> io::Result<Self> {
        let (queue, requests) = channel();
        let lane = Lane {
            io,
            health,
            fatal,
            mark,
            written: mark,
            written_at: Instant::now(),
        };
        std::thread::Builder::new()
            .name("raft-flush".to_owned())
            .spawn(move || lane.run(&requests))?;
        Ok(Self {
            queue: Mutex::new(queue),
        })
    }

    /// Queues a request behind all earlier ones. What it covers must already be written.
    pub(super) fn submit(&self, request: Request) -> io::Result<()> {
        let queue = self
            .queue
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        queue
            .send(request)
            .map_err(|_| io::Error::other("the flusher has stopped"))
    }
}

struct Lane {
    io: OpenIo,
    health: Arc<Health>,
    fatal: Fatal,
    // What is durable, and what the mark on disk says.
    mark: Mark,
    written: Mark,
    written_at: Instant,
}

impl Lane {
    fn run(mut self, requests: &Receiver<Request>) {
        let mut batch = Vec::new();
        while self.gather(requests, &mut batch) {
            match self.flush(&batch) {
                Ok(()) => batch.drain(..).for_each(|request| complete(request, None)),
                Err(error) => {
                    let reason = format!("the raft log cannot be made durable: {error}");
                    // Waiters first: the hook may never return.
                    for request in batch.drain(..) {
                        complete(request, Some(&reason));
                    }
                    self.health.fail(reason, &self.fatal);
                }
            }
        }
    }

    /// Waits for requests and takes all there are. False: nobody will ever send again.
    fn gather(&mut self, requests: &Receiver<Request>, batch: &mut Vec<Request>) -> bool {
        let first = if self.mark == self.written || self.health.check().is_err() {
            requests.recv().map_err(|_| RecvTimeoutError::Disconnected)
        } else {
            requests.recv_timeout(MARK_INTERVAL.saturating_sub(self.written_at.elapsed()))
        };
        match first {
            Ok(request) => batch.push(request),
            Err(RecvTimeoutError::Timeout) => return true,
            Err(RecvTimeoutError::Disconnected) => return false,
        }
        while batch.len() < MAX_BATCH {
            match requests.try_recv() {
                Ok(request) => batch.push(request),
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        true
    }

    fn flush(&mut self, batch: &[Request]) -> io::Result<()> {
        self.health.check()?;
        let mut lowered = false;
        if batch
            .iter()
            .any(|request| !matches!(request, Request::Lower { .. }))
        {
            self.io.sync()?;
            self.health.fsyncs.fetch_add(1, Ordering::Relaxed);
        }
        for request in batch {
            match request {
                Request::Append {
                    last_index,
                    entries,
                    ..
                } => {
                    self.mark.index = *last_index;
                    self.health.entries.fetch_add(*entries, Ordering::Relaxed);
                    self.health.batches.fetch_add(1, Ordering::Relaxed);
                }
                Request::Vote { term, .. } => self.mark.term = self.mark.term.max(*term),
                Request::Lower { last_index, .. } => {
                    self.mark.index = self.mark.index.min(*last_index);
                    lowered |= self.mark.index < self.written.index;
                }
            }
        }
        // A mark that promises too much must be gone before the log is cut; one that promises too
        // little is merely less useful.
        let due = self.mark != self.written && self.written_at.elapsed() >= MARK_INTERVAL;
        if lowered || due {
            self.io.write_mark(self.mark)?;
            self.written = self.mark;
            self.written_at = Instant::now();
        }
        Ok(())
    }
}

fn complete(request: Request, failure: Option<&str>) {
    let result = failure.map_or(Ok(()), |reason| Err(poisoned(reason)));
    match request {
        Request::Append { done, .. } => done.io_completed(result),
        // A receiver that is gone no longer cares.
        Request::Vote { done, .. } | Request::Lower { done, .. } => drop(done.send(result)),
    }
}

fn poisoned(reason: &str) -> io::Error {
    io::Error::other(reason.to_owned())
}
