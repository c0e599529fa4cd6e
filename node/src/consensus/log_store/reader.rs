//! Reading the log: from memory when the entries are recent, else from disk.

use std::fmt::Debug;
use std::io;
use std::ops::{Bound, ControlFlow, RangeBounds};
use std::sync::Arc;

use openraft::{OptionalSend, RaftLogReader};

use super::Shared;
use super::recent::size;
use crate::consensus::codec;
use crate::consensus::types::{Entry, TypeConfig, Vote};

/// Most bytes of entries sent in one append. Far below the decode limit of the receiver
/// ([`crate::consensus::transport::MAX_MESSAGE_BYTES`]), so that one entry more never hurts.
const MAX_BATCH_BYTES: usize = 4 << 20;

/// A handle for reading the log.
#[derive(Clone)]
pub(crate) struct LogReader {
    shared: Arc<Shared>,
}

impl LogReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }
}

impl RaftLogReader<TypeConfig> for LogReader {
    async fn try_get_log_entries<RB>(&mut self, range: RB) -> io::Result<Vec<Entry>>
    where
        RB: RangeBounds<u64> + Clone + Debug + OptionalSend,
    {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start.saturating_add(1),
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        read(&self.shared, start, end, usize::MAX)
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.shared.lock().vote)
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        read(&self.shared, start, end, MAX_BATCH_BYTES)
    }
}

/// The entries of `start..end` that the log holds, in order and without holes; at least one, and
/// then as many as fit into `max_bytes`.
pub(super) fn read(
    shared: &Shared,
    start: u64,
    end: u64,
    max_bytes: usize,
) -> io::Result<Vec<Entry>> {
    shared.health.check()?;
    let (start, end) = {
        let log = shared.lock();
        let end = end.min(log.last.map_or(0, |last| last.index + 1));
        let start = start.max(log.first_index);
        if start >= end {
            return Ok(Vec::new());
        }
        if let Some(entries) = log.recent.range(start, end) {
            return Ok(limit(entries.cloned(), max_bytes));
        }
        (start, end)
    };
    from_disk(shared, start, end, max_bytes)
}

fn from_disk(shared: &Shared, start: u64, end: u64, max_bytes: usize) -> io::Result<Vec<Entry>> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut bytes = 0;
    shared.io.scan(start..end, &mut |index, value| {
        if let Some(last) = entries.last()
            && last.log_id.index + 1 != index
        {
            return Err(damaged(format!(
                "no entry between {} and {index}",
                last.log_id.index
            )));
        }
        let entry = codec::entry_from_proto(codec::from_value(value)?)?;
        if entry.log_id.index != index {
            return Err(damaged(format!(
                "entry {} stored at {index}",
                entry.log_id.index
            )));
        }
        bytes += size(&entry);
        if bytes > max_bytes && !entries.is_empty() {
            return Ok(ControlFlow::Break(()));
        }
        entries.push(entry);
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(entries)
}

fn limit(entries: impl Iterator<Item = Entry>, max_bytes: usize) -> Vec<Entry> {
    let mut bytes = 0;
    let mut taken = Vec::new();
    for entry in entries {
        bytes += size(&entry);
        if bytes > max_bytes && !taken.is_empty() {
            break;
        }
        taken.push(entry);
    }
    taken
}

fn damaged(what: String) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the raft log is damaged: {what}"),
    )
}
