//! The consensus library's storage suite, on both disks.

use std::sync::Arc;

use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};
use tempfile::TempDir;
use tokio::sync::watch;

use super::harness::{Journal, no_fatal};
use crate::consensus::applier::Applier;
use crate::consensus::log_store::{LogIo, LogStore, MemoryDisk, Rocks};
use crate::consensus::snapshot::SnapshotDir;
use crate::consensus::types::TypeConfig;

struct OnRocks;
struct InMemory;

impl StoreBuilder<TypeConfig, LogStore, Applier, TempDir> for OnRocks {
    async fn build(&self) -> Result<(TempDir, LogStore, Applier), StorageError<TypeConfig>> {
        let dir = tempfile::tempdir().unwrap();
        let io = Arc::new(Rocks::open(&dir.path().join("raft"), true).unwrap());
        Ok(stores(dir, io))
    }
}

impl StoreBuilder<TypeConfig, LogStore, Applier, TempDir> for InMemory {
    async fn build(&self) -> Result<(TempDir, LogStore, Applier), StorageError<TypeConfig>> {
        Ok(stores(
            tempfile::tempdir().unwrap(),
            Arc::new(MemoryDisk::new()),
        ))
    }
}

fn stores(dir: TempDir, io: Arc<dyn LogIo>) -> (TempDir, LogStore, Applier) {
    let (store, found) = LogStore::open(io, no_fatal()).unwrap();
    assert!(!found.lost_data());
    let snapshots = SnapshotDir::open(&dir.path().join("snapshots"), "suite", None).unwrap();
    let applier = Applier::new(Journal::default(), snapshots, watch::channel(0).0);
    (dir, store, applier)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_librarys_suite_passes_on_rocksdb() {
    Suite::test_all(OnRocks).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_librarys_suite_passes_on_the_disk_in_memory() {
    Suite::test_all(InMemory).await.unwrap();
}
