//! A disk in memory that forgets what was not synced.

use std::collections::BTreeMap;
use std::io;
use std::ops::{ControlFlow, Range};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use bytes::Bytes;

use super::io::{LogIo, Mark, MetaKey, Op, Visit};

/// A disk with a written and a synced state. Clones share the disk: keep one to crash it.
#[derive(Debug, Clone, Default)]
pub struct MemoryDisk {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<State>,
    released: Condvar,
}

#[derive(Debug, Default)]
struct State {
    written: Image,
    synced: Image,
    // Writes since the last sync, in order: a crash may keep any prefix of them.
    unsynced: Vec<Vec<Op>>,
    mark: Mark,
    syncs: u64,
    fail_after: Option<u64>,
    failed: bool,
    held: bool,
}

#[derive(Debug, Clone, Default)]
struct Image {
    entries: BTreeMap<u64, Bytes>,
    meta: BTreeMap<MetaKey, Bytes>,
}

impl MemoryDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// The disk as it is found after a power cut: of the writes that were never synced, only the
    /// first `kept` survived. This one stays as it is, for whoever still writes to it in vain.
    pub fn crash(&self, kept: usize) -> MemoryDisk {
        let state = self.lock();
        let mut image = state.synced.clone();
        for ops in state.unsynced.iter().take(kept) {
            image.apply(ops);
        }
        let found = State {
            written: image.clone(),
            synced: image,
            mark: state.mark,
            ..State::default()
        };
        MemoryDisk {
            shared: Arc::new(Shared {
                state: Mutex::new(found),
                ..Shared::default()
            }),
        }
    }

    /// Writes that were never synced.
    pub fn unsynced(&self) -> usize {
        self.lock().unsynced.len()
    }

    /// Lets syncs wait until they are released: a disk that is busy.
    pub fn hold_syncs(&self, held: bool) {
        self.lock().held = held;
        self.shared.released.notify_all();
    }

    /// Lets the next `good` syncs succeed and fails the one after. A failed disk then pretends that
    /// all is well again, as kernels do: whoever goes on writing loses data.
    pub fn fail_sync_after(&self, good: u64) {
        self.lock().fail_after = Some(good);
    }

    /// Overwrites a value beside the log, durably: bit rot.
    pub fn corrupt_meta(&self, key: MetaKey, value: Bytes) {
        let mut state = self.lock();
        state.written.meta.insert(key, value.clone());
        state.synced.meta.insert(key, value);
    }

    /// How many syncs succeeded.
    pub fn syncs(&self) -> u64 {
        self.lock().syncs
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl LogIo for MemoryDisk {
    fn write(&self, ops: Vec<Op>) -> io::Result<()> {
        let mut state = self.lock();
        state.written.apply(&ops);
        state.unsynced.push(ops);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let state = self
            .shared
            .released
            .wait_while(self.lock(), |state| state.held);
        let mut state = state.unwrap_or_else(|poisoned| poisoned.into_inner());
        if let Some(left) = state.fail_after {
            if left == 0 {
                state.fail_after = None;
                state.failed = true;
                // The kernel marks the pages clean: these writes will never reach the disk.
                state.unsynced.clear();
                return Err(io::Error::other("injected: sync failed"));
            }
            state.fail_after = Some(left - 1);
        }
        state.syncs += 1;
        if !state.failed {
            state.synced = state.written.clone();
        }
        state.unsynced.clear();
        Ok(())
    }

    fn scan(&self, range: Range<u64>, visit: &mut Visit<'_>) -> io::Result<()> {
        if range.is_empty() {
            return Ok(());
        }
        let entries: Vec<(u64, Bytes)> = self
            .lock()
            .written
            .entries
            .range(range)
            .map(|(index, value)| (*index, value.clone()))
            .collect();
        for (index, value) in entries {
            if let ControlFlow::Break(()) = visit(index, value)? {
                break;
            }
        }
        Ok(())
    }

    fn last(&self) -> io::Result<Option<(u64, Bytes)>> {
        let state = self.lock();
        Ok(state
            .written
            .entries
            .last_key_value()
            .map(|(index, value)| (*index, value.clone())))
    }

    fn meta(&self, key: MetaKey) -> io::Result<Option<Bytes>> {
        Ok(self.lock().written.meta.get(&key).cloned())
    }

    fn read_mark(&self) -> io::Result<Mark> {
        Ok(self.lock().mark)
    }

    fn write_mark(&self, mark: Mark) -> io::Result<()> {
        self.lock().mark = mark;
        Ok(())
    }
}

impl Image {
    fn apply(&mut self, ops: &[Op]) {
        for op in ops {
            match op {
                Op::PutEntry(index, value) => {
                    self.entries.insert(*index, value.clone());
                }
                Op::TruncateEntries(range) | Op::PurgeEntries(range) => {
                    self.entries.retain(|index, _| !range.contains(index));
                }
                Op::PutMeta(key, value) => {
                    self.meta.insert(*key, value.clone());
                }
            }
        }
    }
}
