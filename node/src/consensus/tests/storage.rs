//! The consensus library's storage suite, on both disks.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio::sync::watch;

use super::harness::{Journal, no_fatal};
use crate::consensus::applier::Applier;
use crate::consensus::log_store::{Closed, LogIo, LogStore, MemoryDisk, Rocks};
use crate::consensus::snapshot::SnapshotDir;
use crate::consensus::types::TypeConfig;

/// Outlives the stores of one case, and waits until they are closed: a database that is still
/// closing when the process exits aborts it.
struct Guard {
    _dir: TempDir,
    closed: Closed,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let closed = &mut self.closed;
        // On a thread of its own: this one belongs to a runtime, which must not be blocked on.
        std::thread::scope(|scope| {
            scope.spawn(|| futures::executor::block_on(closed.wait()));
        });
    }
}

struct OnRocks;
struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, Applier, Guard> for OnRocks {
    async fn build(&self) -> Result<(Guard, LogStore, Applier), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let io = Arc::new(Rocks::open(&dir.path().join("raft"), true).unwrap());
        Ok(stores(dir, io))
    }
}

impl StoreBuilder<TypeConfig, LogStore, Applier, Guard> for InMemory {
    async fn build(&self) -> Result<(Guard, LogStore, Applier), StorageError<TypeConfig>> {
        Ok(stores(
            tempfile::tempdir().unwrap(),
            Arc::new(MemoryDisk::new()),
        ))
    }
}

fn stores(dir: TempDir, io: Arc<dyn LogIo>) -> (Guard, LogStore, Applier) {
    let (mut store, found) = LogStore::open(io, no_fatal()).unwrap();
    assert!(!found.lost_data());
    let snapshots = SnapshotDir::open(&dir.path().join("snapshots"), "suite", None).unwrap();
    let applier = Applier::new(Journal::default(), snapshots, watch::channel(0).0);
    let closed = store.closed();
    (Guard { _dir: dir, closed }, store, applier)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_librarys_suite_passes_on_rocksdb() {
    Suite::test_all(OnRocks).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_librarys_suite_passes_on_the_disk_in_memory() {
    Suite::test_all(InMemory).await.unwrap();
}
