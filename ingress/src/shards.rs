//! Cells that threads do not fight over: one per shard, each on cache lines of its own.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

/// More shards than this cost memory and buy nothing: neighbours collide rarely already.
const MAX_SHARDS: usize = 8;

/// A value alone on its cache lines. 128 and not 64: x86 prefetches lines in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct Padded<T>(pub(super) T);

/// A value per shard.
#[derive(Debug)]
pub(super) struct Sharded<T>(Box<[Padded<T>]>);

impl<T: Default> Sharded<T> {
    pub(super) fn new() -> Self {
        Self((0..count()).map(|_| Padded(T::default())).collect())
    }

    /// The cell of the calling thread.
    pub(super) fn mine(&self) -> &T {
        &self.0[mine()].0
    }

    pub(super) fn at(&self, shard: usize) -> &T {
        &self.0[shard].0
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.0.iter_mut().map(|cell| &mut cell.0)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|cell| &cell.0)
    }
}

/// Shards of every sharded value of this process.
fn count() -> usize {
    static COUNT: OnceLock<usize> = OnceLock::new();
    *COUNT.get_or_init(|| {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores.min(MAX_SHARDS)
    })
}

/// The shard of the calling thread, given out in turn.
pub(super) fn mine() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
    }
    MINE.with(|mine| {
        if mine.get() == usize::MAX {
            mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % count());
        }
        mine.get()
    })
}
