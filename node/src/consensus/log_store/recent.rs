//! The last entries, decoded. Replication and applying read each entry again right after it was
//! appended; without this every one would be read and decoded from the database several times.

use std::collections::VecDeque;

use crate::consensus::types::{Entry, Payload};

/// Most bytes of payload kept. With entries of the largest size that is 64 of them.
const MAX_BYTES: usize = 32 << 20;
/// Most entries kept.
const MAX_ENTRIES: usize = 8192;

/// A contiguous run of entries that ends with the last entry of the log.
#[derive(Debug, Default)]
pub(super) struct Recent {
    entries: VecDeque<Entry>,
    bytes: usize,
}

impl Recent {
    /// Adds the entry after the last one.
    pub(super) fn push(&mut self, entry: Entry) {
        self.bytes += size(&entry);
        self.entries.push_back(entry);
        while self.entries.len() > MAX_ENTRIES || (self.bytes > MAX_BYTES && self.entries.len() > 1)
        {
            self.drop_front();
        }
    }

    /// Forgets every entry from `index` on.
    pub(super) fn truncate_from(&mut self, index: u64) {
        while let Some(last) = self.entries.back()
            && last.log_id.index >= index
        {
            self.bytes -= size(last);
            self.entries.pop_back();
        }
    }

    /// Forgets every entry before `index`.
    pub(super) fn purge_before(&mut self, index: u64) {
        while let Some(first) = self.entries.front()
            && first.log_id.index < index
        {
            self.drop_front();
        }
    }

    /// The entries from `start` up to, not including, `end`, if `start` is still here.
    pub(super) fn range(&self, start: u64, end: u64) -> Option<impl Iterator<Item = &Entry>> {
        let first = self.entries.front()?.log_id.index;
        if start < first {
            return None;
        }
        let skip = (start - first) as usize;
        let take = end.saturating_sub(start) as usize;
        Some(self.entries.iter().skip(skip).take(take))
    }

    fn drop_front(&mut self) {
        if let Some(entry) = self.entries.pop_front() {
            self.bytes -= size(&entry);
        }
    }
}

/// Bytes an entry takes on the wire, roughly: what bounds a batch.
pub(super) fn size(entry: &Entry) -> usize {
    const OVERHEAD: usize = 64;
    match &entry.payload {
        Payload::Normal(proposal) => OVERHEAD + proposal.payload.len(),
        Payload::Blank | Payload::Membership(_) => OVERHEAD,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::consensus::types::{LeaderId, LogId, Proposal};
    use openraft::vote::RaftLeaderId;

    fn entry(index: u64, bytes: usize) -> Entry {
        let payload = Payload::Normal(Proposal {
            time_ms: 0,
            payload: vec![0; bytes].into(),
        });
        Entry {
            log_id: LogId::new(LeaderId::new(1, 1), index),
            payload,
        }
    }

    fn indexes(recent: &Recent, start: u64, end: u64) -> Option<Vec<u64>> {
        Some(
            recent
                .range(start, end)?
                .map(|entry| entry.log_id.index)
                .collect(),
        )
    }

    #[test]
    fn it_serves_ranges_it_covers_and_no_others() {
        let mut recent = Recent::default();
        assert_eq!(indexes(&recent, 0, 9), None);
        for index in 5..10 {
            recent.push(entry(index, 1));
        }
        assert_eq!(indexes(&recent, 4, 6), None);
        assert_eq!(indexes(&recent, 5, 7), Some(vec![5, 6]));
        assert_eq!(indexes(&recent, 8, 99), Some(vec![8, 9]));
        recent.truncate_from(8);
        assert_eq!(indexes(&recent, 6, 99), Some(vec![6, 7]));
        recent.purge_before(7);
        assert_eq!(indexes(&recent, 6, 99), None);
        assert_eq!(indexes(&recent, 7, 99), Some(vec![7]));
    }

    #[test]
    fn it_is_bounded_in_entries_and_bytes() {
        let mut recent = Recent::default();
        for index in 0..(MAX_ENTRIES as u64 + 10) {
            recent.push(entry(index, 0));
        }
        assert_eq!(recent.entries.len(), MAX_ENTRIES);
        for index in 0..100 {
            recent.push(entry(MAX_ENTRIES as u64 + 10 + index, 512 * 1024));
        }
        assert!(recent.bytes <= MAX_BYTES, "{} bytes kept", recent.bytes);
        assert!(recent.entries.len() >= 60);
    }
}
