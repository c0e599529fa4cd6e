//! Power cuts and failing disks: what was acknowledged stays, what was not may go, and after one
//! failed fsync nothing is acknowledged again.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use openraft::RaftLogReader;
use openraft::entry::RaftEntry;
use openraft::storage::{IOFlushed, RaftLogStorage};
use openraft::type_config::TypeConfigExt;
use openraft::vote::{RaftLeaderId, RaftVote};

use super::harness::{Journal, PATIENCE, no_fatal};
use crate::consensus::log_store::{LogIo, LogStore, MemoryDisk, MetaKey, Op};
use crate::consensus::options::Fatal;
use crate::consensus::types::{Entry, LeaderId, LogId, Payload, Proposal, TypeConfig, Vote};
use crate::consensus::{Consensus, OpenError, Options, ProposeError, identity};

fn log_id(term: u64, index: u64) -> LogId {
    LogId::new(LeaderId::new(term, 1), index)
}

fn entry(term: u64, index: u64) -> Entry {
    let payload = format!("{term}.{index}").into_bytes().into();
    Entry {
        log_id: log_id(term, index),
        payload: Payload::Normal(Proposal {
            time_ms: index,
            payload,
        }),
    }
}

fn vote(term: u64) -> Vote {
    Vote::from_leader_id(LeaderId::new(term, 1), false)
}

fn open(disk: &MemoryDisk) -> LogStore {
    let (store, found) = LogStore::open(Arc::new(disk.clone()), no_fatal()).unwrap();
    assert!(!found.lost_data(), "{found:?}");
    store
}

type Flushed = tokio::sync::oneshot::Receiver<std::io::Result<()>>;

/// Appends and returns what tells of the flush.
async fn append(store: &mut LogStore, entries: Vec<Entry>) -> std::io::Result<Flushed> {
    let (tx, rx) = TypeConfig::oneshot();
    store.append(entries, IOFlushed::signal(tx)).await?;
    Ok(rx)
}

async fn indexes(store: &mut LogStore) -> Vec<u64> {
    let entries = store
        .get_log_reader()
        .await
        .try_get_log_entries(..)
        .await
        .unwrap();
    entries.iter().map(RaftEntry::index).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_takes_a_suffix_and_never_what_was_acknowledged() {
    for kept in 0..=3 {
        let disk = MemoryDisk::new();
        let mut store = open(&disk);
        store.save_vote(&vote(1)).await.unwrap();
        let flushed = append(&mut store, (1..=3).map(|index| entry(1, index)).collect())
            .await
            .unwrap();
        flushed.await.unwrap().unwrap();

        disk.hold_syncs(true);
        let mut waiting = Vec::new();
        for index in 4..=6 {
            waiting.push(append(&mut store, vec![entry(1, index)]).await.unwrap());
        }
        assert_eq!(
            indexes(&mut store).await,
            [1, 2, 3, 4, 5, 6],
            "readable before it is durable"
        );
        for flushed in &mut waiting {
            assert!(flushed.try_recv().is_err(), "acknowledged before the sync");
        }

        let found = disk.crash(kept);
        disk.hold_syncs(false);
        let mut store = open(&found);
        let expected: Vec<u64> = (1..=3 + kept as u64).collect();
        assert_eq!(indexes(&mut store).await, expected);
        assert_eq!(
            store.get_log_reader().await.read_vote().await.unwrap(),
            Some(vote(1))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_is_not_cast_before_it_is_durable() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    store.save_vote(&vote(1)).await.unwrap();
    disk.hold_syncs(true);
    let newer = vote(2);
    let saving = store.save_vote(&newer);
    let waited = tokio::time::timeout(Duration::from_millis(50), saving).await;
    assert!(waited.is_err(), "saved without a sync");
    let found = disk.crash(0);
    disk.hold_syncs(false);
    let mut store = open(&found);
    assert_eq!(
        store.get_log_reader().await.read_vote().await.unwrap(),
        Some(vote(1))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_durable_vote_means_everything_before_it_is_durable() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    let _flushed = append(&mut store, vec![entry(1, 1), entry(1, 2)])
        .await
        .unwrap();
    store.save_vote(&vote(2)).await.unwrap();
    let mut store = open(&disk.crash(0));
    assert_eq!(indexes(&mut store).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_sync_serves_all_that_wait() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    let meter = store.meter();
    disk.hold_syncs(true);
    let first = append(&mut store, vec![entry(1, 1)]).await.unwrap();
    let mut last = None;
    for index in 2..=200 {
        last = Some(append(&mut store, vec![entry(1, index)]).await.unwrap());
    }
    disk.hold_syncs(false);
    first.await.unwrap().unwrap();
    last.unwrap().await.unwrap().unwrap();
    let counters = meter.counters();
    assert_eq!((counters.appended_entries, counters.batches), (200, 200));
    // One for whatever the flusher took first, one for the rest.
    assert!(counters.fsyncs <= 3, "{counters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_sync_poisons_the_store_for_good() {
    let disk = MemoryDisk::new();
    let reasons: Arc<Mutex<Vec<String>>> = Arc::default();
    let seen = reasons.clone();
    let fatal: Fatal = Arc::new(move |reason| seen.lock().unwrap().push(reason.to_owned()));
    let (mut store, _) = LogStore::open(Arc::new(disk.clone()), fatal).unwrap();
    append(&mut store, vec![entry(1, 1)])
        .await
        .unwrap()
        .await
        .unwrap()
        .unwrap();

    disk.fail_sync_after(0);
    let flushed = append(&mut store, vec![entry(1, 2)])
        .await
        .unwrap()
        .await
        .unwrap();
    assert!(flushed.is_err(), "acknowledged what failed");
    // The disk pretends to be well again. Nobody may believe it.
    let refused = store.save_vote(&vote(2)).await;
    assert!(refused.is_err(), "voted on a failed disk");
    assert!(
        append(&mut store, vec![entry(1, 3)]).await.is_err(),
        "appended to a failed disk"
    );
    assert_eq!(disk.syncs(), 1, "synced again after a failure");
    assert_eq!(reasons.lock().unwrap().len(), 1, "told exactly once");
    let mut store = open(&disk.crash(9));
    assert_eq!(indexes(&mut store).await, [1]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn holes_are_refused_and_conflicts_are_cut() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    append(&mut store, (1..=5).map(|index| entry(1, index)).collect())
        .await
        .unwrap();
    assert!(
        append(&mut store, vec![entry(1, 7)]).await.is_err(),
        "a hole"
    );
    store.truncate_after(Some(log_id(1, 2))).await.unwrap();
    append(&mut store, vec![entry(2, 3)])
        .await
        .unwrap()
        .await
        .unwrap()
        .unwrap();
    let mut store = open(&disk.crash(0));
    assert_eq!(indexes(&mut store).await, [1, 2, 3]);
    let state = store.get_log_state().await.unwrap();
    assert_eq!(state.last_log_id, Some(log_id(2, 3)));
    store.purge(log_id(1, 2)).await.unwrap();
    append(&mut store, vec![entry(2, 4)])
        .await
        .unwrap()
        .await
        .unwrap()
        .unwrap();
    let mut store = open(&disk.crash(0));
    // The first crash took a copy: this disk was purged by nobody.
    assert_eq!(indexes(&mut store).await, [1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_mark_follows_a_cut_log_down_before_it_is_cut() {
    let disk = MemoryDisk::new();
    let mut store = open(&disk);
    append(&mut store, (1..=9).map(|index| entry(1, index)).collect())
        .await
        .unwrap()
        .await
        .unwrap()
        .unwrap();
    // Within two seconds the mark has followed the log up, without further traffic.
    super::harness::until(|| async { (disk.read_mark().unwrap().index == 9).then_some(()) }).await;
    store.truncate_after(Some(log_id(1, 4))).await.unwrap();
    assert_eq!(disk.read_mark().unwrap().index, 4);
    for kept in 0..=1 {
        let found = LogStore::open(Arc::new(disk.crash(kept)), no_fatal())
            .unwrap()
            .1;
        assert!(!found.lost_data(), "{found:?} after a cut that was meant");
    }
}

fn options(dir: &tempfile::TempDir) -> Options {
    let path = dir.path();
    let mut options = Options::new(
        path.join("raft"),
        path.join("snapshots"),
        "c",
        1,
        "127.0.0.1:1",
    );
    options.on_fatal = no_fatal();
    options
}

/// A founded node on a disk in memory.
async fn founded(options: Options) -> (MemoryDisk, Consensus) {
    let disk = MemoryDisk::new();
    identity::write(&disk, &options.cluster_id, options.node_id).unwrap();
    let node = Consensus::start(options, Arc::new(disk.clone()), Journal::default())
        .await
        .unwrap();
    node.handle().bootstrap().await.unwrap();
    let mut leadership = node.handle().leadership();
    tokio::time::timeout(PATIENCE, leadership.wait_for(|now| now.is_self))
        .await
        .unwrap()
        .unwrap();
    (disk, node)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_fails_stops_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let (told, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let mut options = options(&dir);
    options.on_fatal = Arc::new(move |reason| drop(told.send(reason.to_owned())));
    let (disk, node) = founded(options).await;
    let handle = node.handle();
    handle
        .propose(Bytes::from_static(b"before"), PATIENCE)
        .await
        .unwrap();
    disk.fail_sync_after(0);
    let result = handle.propose(Bytes::from_static(b"after"), PATIENCE).await;
    assert!(
        matches!(result, Err(ProposeError::Unknown { .. })),
        "{result:?}"
    );
    let reason = tokio::time::timeout(PATIENCE, hears.recv())
        .await
        .unwrap()
        .unwrap();
    assert!(reason.contains("injected"), "{reason}");
    tokio::time::timeout(PATIENCE, handle.failed())
        .await
        .expect("nobody was told");
    assert!(!handle.leadership().borrow().is_self);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_machine_that_panics_stops_the_node() {
    let dir = tempfile::tempdir().unwrap();
    let (_disk, node) = founded(options(&dir)).await;
    let handle = node.handle();
    let result = handle.propose(Bytes::from_static(b"panic"), PATIENCE).await;
    assert!(
        matches!(result, Err(ProposeError::Unknown { .. })),
        "{result:?}"
    );
    let reason = tokio::time::timeout(PATIENCE, handle.failed())
        .await
        .expect("nobody was told");
    assert!(reason.to_string().contains("asked to panic"), "{reason}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_lost_what_was_durable_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, node) = founded(options(&dir)).await;
    let index = node
        .handle()
        .propose(Bytes::from_static(b"kept"), PATIENCE)
        .await
        .unwrap()
        .index;
    super::harness::until(|| async { (disk.read_mark().unwrap().index >= index).then_some(()) })
        .await;
    node.shutdown().await;
    let rotten = disk.crash(0);
    rotten
        .write(vec![Op::TruncateEntries(index..index + 9)])
        .unwrap();
    let result = Consensus::start(options(&dir), Arc::new(rotten), Journal::default()).await;
    let error = result.err().expect("voted with a shorter log than it had");
    assert!(matches!(error, OpenError::LostTail { .. }), "{error}");
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_that_cannot_be_read_is_fatal() {
    let dir = tempfile::tempdir().unwrap();
    let (disk, node) = founded(options(&dir)).await;
    node.shutdown().await;
    for rot in [&b""[..], b"\x01\xff\xff\xff", b"\x07\x08\x01"] {
        let rotten = disk.crash(0);
        rotten.corrupt_meta(MetaKey::Vote, Bytes::from_static(rot));
        let result = Consensus::start(options(&dir), Arc::new(rotten), Journal::default()).await;
        let error = result.err().expect("started without its vote");
        assert!(matches!(error, OpenError::Corrupt { .. }), "{error}");
    }
}
