//! The raft log and the vote, on a [`LogIo`].
//!
//! Appending writes to the page cache, makes the entries readable and returns; the flusher calls
//! back when they are durable. The vote waits for its fsync in the same queue. Cutting and purging
//! need no fsync of their own: they lie in the same write-ahead log before whatever follows.

mod flusher;
mod io;
mod mark;
mod memory;
mod reader;
mod recent;
mod rocks;

use std::convert::Infallible;
use std::io::Result;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard};

use fleet_proto::stored;
use openraft::OptionalSend;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use openraft::vote::RaftLeaderId;
use tokio::sync::{mpsc, oneshot};

pub use flusher::Counters;
pub use io::{LogIo, Mark, MetaKey, Op, Visit};
pub use memory::MemoryDisk;
pub(crate) use reader::LogReader;
pub use rocks::Rocks;

use super::codec;
use super::options::Fatal;
use super::types::{Entry, LogId, TypeConfig, Vote};
use flusher::{Flusher, Health, Request};
use recent::Recent;

/// The log store the consensus library writes to.
pub(crate) struct LogStore {
    shared: Arc<Shared>,
    flusher: Flusher,
    fatal: Fatal,
    closed: Option<mpsc::Receiver<Infallible>>,
}

/// What readers, which outlive no store by long, share with it.
struct Shared {
    log: Mutex<Log>,
    health: Arc<Health>,
    io: OpenIo,
}

/// The disk, in use. Once every clone is gone the disk is closed, and [`Closed`] resolves.
#[derive(Clone)]
struct OpenIo {
    io: Arc<dyn LogIo>,
    // Never sent on; dropped after `io`, in the order of the fields.
    _open: mpsc::Sender<Infallible>,
}

impl Deref for OpenIo {
    type Target = dyn LogIo;

    fn deref(&self) -> &Self::Target {
        self.io.as_ref()
    }
}

/// Resolves when the store and all its readers are gone, and with them the disk's lock.
pub(crate) struct Closed(Option<mpsc::Receiver<Infallible>>);

impl Closed {
    /// Waits for it.
    pub(crate) async fn wait(&mut self) {
        if let Some(open) = &mut self.0 {
            // Nothing is ever sent: this returns when the last sender is gone.
            let _: Option<Infallible> = open.recv().await;
        }
    }
}

/// The log as it reads now, durable or not.
#[derive(Default)]
struct Log {
    vote: Option<Vote>,
    purged: Option<LogId>,
    // Of the last entry; none if every entry was purged or none was ever written.
    last: Option<LogId>,
    first_index: u64,
    recent: Recent,
}

/// What a store held when it was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    /// Index of the last entry, or of the last purged one.
    pub(crate) last_index: u64,
    /// Index of the last purged entry.
    pub(crate) purged_index: Option<u64>,
    /// Term of the vote.
    pub(crate) term: u64,
    /// What had been durable.
    pub(crate) mark: Mark,
}

impl Found {
    /// Whether something that was once durable is gone.
    pub(crate) fn lost_data(&self) -> bool {
        self.last_index < self.mark.index || self.term < self.mark.term
    }
}

/// Numbers of a log, for as long as anyone asks.
#[derive(Clone)]
pub(super) struct LogMeter(Arc<Health>);

impl LogMeter {
    pub(super) fn counters(&self) -> Counters {
        self.0.counters()
    }
}

impl LogStore {
    /// Reads what `io` holds and starts the flusher.
    ///
    /// # Errors
    /// If anything cannot be read. A vote that cannot be decoded is an error, never "no vote".
    pub(crate) fn open(io: Arc<dyn LogIo>, fatal: Fatal) -> Result<(Self, Found)> {
        let log = load(io.as_ref())?;
        let mark = io.read_mark()?;
        let found = found(&log, mark);
        let health = Arc::new(Health::default());
        let (open, closed) = mpsc::channel(1);
        let io = OpenIo { io, _open: open };
        let flusher = Flusher::start(io.clone(), health.clone(), fatal.clone(), mark)?;
        let shared = Arc::new(Shared {
            log: Mutex::new(log),
            health,
            io,
        });
        Ok((
            Self {
                shared,
                flusher,
                fatal,
                closed: Some(closed),
            },
            found,
        ))
    }

    /// What tells when this store is closed; only the first call gets it.
    pub(super) fn closed(&mut self) -> Closed {
        Closed(self.closed.take())
    }

    pub(super) fn meter(&self) -> LogMeter {
        LogMeter(self.shared.health.clone())
    }

    /// Writes, and poisons the store if that fails: a batch that failed half-way must not be
    /// followed by another one.
    fn write(&self, ops: Vec<Op>) -> Result<()> {
        self.shared.health.check()?;
        self.shared.io.write(ops).inspect_err(|error| {
            self.shared.health.fail(
                format!("the raft log cannot be written: {error}"),
                &self.fatal,
            );
        })
    }

    async fn wait(
        &self,
        request: impl FnOnce(oneshot::Sender<Result<()>>) -> Request,
    ) -> Result<()> {
        let (done, answer) = oneshot::channel();
        self.flusher.submit(request(done))?;
        answer
            .await
            .map_err(|_| std::io::Error::other("the flusher has stopped"))?
    }
}

impl RaftLogStorage<TypeConfig> for LogStore {
    type LogReader = LogReader;

    async fn get_log_state(&mut self) -> Result<LogState<TypeConfig>> {
        let log = self.shared.lock();
        Ok(LogState {
            last_purged_log_id: log.purged,
            last_log_id: log.last_id(),
        })
    }

    async fn get_log_reader(&mut self) -> LogReader {
        LogReader::new(self.shared.clone())
    }

    async fn save_vote(&mut self, vote: &Vote) -> Result<()> {
        let value = codec::to_value(&codec::vote_to_proto(vote));
        self.write(vec![Op::PutMeta(MetaKey::Vote, value)])?;
        let term = vote.leader_id().term();
        self.wait(|done| Request::Vote { term, done }).await?;
        self.shared.lock().vote = Some(*vote);
        Ok(())
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> Result<()> {
        let Some(committed) = committed else {
            return Ok(());
        };
        // A hint for the next start: it becomes durable with whatever is synced next.
        let value = codec::to_value(&codec::log_id_to_proto(&committed));
        self.write(vec![Op::PutMeta(MetaKey::Committed, value)])
    }

    async fn read_committed(&mut self) -> Result<Option<LogId>> {
        log_id(&*self.shared.io, MetaKey::Committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<TypeConfig>) -> Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let Some(last) = entries.last().map(|entry| entry.log_id) else {
            callback.io_completed(Ok(()));
            return Ok(());
        };
        self.shared.lock().check_contiguous(&entries)?;
        let put = |entry: &Entry| {
            Op::PutEntry(
                entry.index(),
                codec::to_value(&codec::entry_to_proto(entry)),
            )
        };
        let count = entries.len() as u64;
        self.write(entries.iter().map(put).collect())?;
        self.shared.lock().append(entries);
        self.flusher.submit(Request::Append {
            last_index: last.index,
            entries: count,
            done: callback,
        })
    }

    async fn truncate_after(&mut self, last_log_id: Option<LogId>) -> Result<()> {
        let keep_until = last_log_id.map(|id| id.index);
        let from = keep_until.map_or(0, |index| index + 1);
        let Some(end) = self.shared.lock().last.map(|id| id.index + 1) else {
            return Ok(());
        };
        if from >= end {
            return Ok(());
        }
        let last_index = keep_until.unwrap_or(0);
        self.wait(|done| Request::Lower { last_index, done })
            .await?;
        let from = from.max(self.shared.lock().first_index);
        self.write(vec![Op::TruncateEntries(from..end)])?;
        let last = self.shared.last_before(from)?;
        self.shared.lock().truncate(from, last);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> Result<()> {
        let first = {
            let log = self.shared.lock();
            if log.purged.is_some_and(|purged| purged.index >= upto.index) {
                return Ok(());
            }
            log.first_index
        };
        let purged = codec::to_value(&codec::log_id_to_proto(&upto));
        self.write(vec![
            Op::PutMeta(MetaKey::Purged, purged),
            Op::PurgeEntries(first..upto.index + 1),
        ])?;
        self.shared.lock().purge(upto);
        Ok(())
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The id of the entry just before `index`, if there is one.
    fn last_before(&self, index: u64) -> Result<Option<LogId>> {
        let Some(before) = index.checked_sub(1) else {
            return Ok(None);
        };
        let entries = reader::read(self, before, index, usize::MAX)?;
        Ok(entries.last().map(|entry| entry.log_id))
    }
}

impl Log {
    fn last_id(&self) -> Option<LogId> {
        self.last.or(self.purged)
    }

    fn check_contiguous(&self, entries: &[Entry]) -> Result<()> {
        let mut expected = self.last.map(|id| id.index + 1);
        for entry in entries {
            let index = entry.index();
            if expected.is_some_and(|expected| expected != index) {
                return Err(std::io::Error::new(
                    std::io::ErrorKind::InvalidInput,
                    format!(
                        "append of index {index} would leave a hole after {:?}",
                        self.last
                    ),
                ));
            }
            expected = Some(index + 1);
        }
        Ok(())
    }

    fn append(&mut self, entries: Vec<Entry>) {
        for entry in entries {
            if self.last.is_none() {
                self.first_index = entry.index();
            }
            self.last = Some(entry.log_id);
            self.recent.push(entry);
        }
    }

    fn truncate(&mut self, from: u64, last: Option<LogId>) {
        self.last = last;
        self.recent.truncate_from(from);
    }

    fn purge(&mut self, upto: LogId) {
        self.purged = Some(upto);
        self.first_index = upto.index + 1;
        self.recent.purge_before(self.first_index);
        if self.last.is_some_and(|last| last.index <= upto.index) {
            self.last = None;
        }
    }
}

fn load(io: &dyn LogIo) -> Result<Log> {
    let vote = match io.meta(MetaKey::Vote)? {
        None => None,
        Some(value) => {
            let vote: stored::RaftVote = codec::from_value(value)?;
            Some(codec::vote_from_proto(&vote))
        }
    };
    let purged = log_id(io, MetaKey::Purged)?;
    let last = match io.last()? {
        None => None,
        Some((_, value)) => Some(codec::entry_from_proto(codec::from_value(value)?)?.log_id),
    };
    let mut first_index = purged.map_or(0, |id| id.index + 1);
    io.scan(first_index..u64::MAX, &mut |index, _| {
        first_index = index;
        Ok(std::ops::ControlFlow::Break(()))
    })?;
    // Entries at or below the purge point can only be left over from a store that is damaged.
    if let (Some(last), Some(purged)) = (last, purged)
        && last.index <= purged.index
    {
        return Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!(
                "the log ends at {} although everything up to {} was purged",
                last.index, purged.index
            ),
        ));
    }
    Ok(Log {
        vote,
        purged,
        last,
        first_index,
        recent: Recent::default(),
    })
}

/// What a store holds, and the index of its first entry or, without one, of the next. Nothing is
/// started on it.
pub(super) fn survey(io: &dyn LogIo) -> Result<(Found, u64)> {
    let log = load(io)?;
    Ok((found(&log, io.read_mark()?), log.first_index))
}

fn found(log: &Log, mark: Mark) -> Found {
    Found {
        last_index: log.last_id().map_or(0, |id| id.index),
        purged_index: log.purged.map(|id| id.index),
        term: log.vote.as_ref().map_or(0, |vote| vote.leader_id().term()),
        mark,
    }
}

fn log_id(io: &dyn LogIo, key: MetaKey) -> Result<Option<LogId>> {
    let Some(value) = io.meta(key)? else {
        return Ok(None);
    };
    let id: stored::RaftLogId = codec::from_value(value)?;
    Ok(Some(codec::log_id_from_proto(&id)))
}
