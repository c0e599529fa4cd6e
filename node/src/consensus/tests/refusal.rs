//! Disks and calls that must be refused.

use bytes::Bytes;
use fleet_proto::internal::RaftVoteRequest;
use fleet_proto::stored::RaftVote;
use tonic::Code;

use super::harness::{Home, Journal, PATIENCE, until};
use crate::consensus::transport::{Credentials, Lane, Pool};
use crate::consensus::{Consensus, MAX_PROPOSAL_BYTES, OpenError, ProposeError};

async fn refused(home: &Home) -> OpenError {
    home.try_open().await.err().expect("it was not refused")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_disk_is_refused() {
    let home = Home::new(1);
    let error = refused(&home).await;
    assert!(
        matches!(error, OpenError::Wiped { node_id: 1, .. }),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
    assert!(
        !home.log_dir().exists(),
        "refusing must leave nothing behind"
    );

    let node = home.create().await;
    node.shutdown().await;
    std::fs::remove_dir_all(home.log_dir()).unwrap();
    assert!(matches!(refused(&home).await, OpenError::Wiped { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_disk_is_refused_and_a_used_one_is_not_founded_again() {
    let mut home = Home::new(1);
    home.create().await.shutdown().await;
    let again = Consensus::create(home.options(), Journal::default()).await;
    let error = again.err().expect("founded twice");
    assert!(matches!(error, OpenError::NotEmpty { .. }), "{error}");
    let mut options = home.options();
    options.cluster_id = "another".to_owned();
    let foreign = Consensus::open(options, Journal::default()).await;
    assert!(matches!(foreign.err(), Some(OpenError::Foreign { .. })));
    home.id = 2;
    let error = refused(&home).await;
    assert!(
        matches!(
            error,
            OpenError::Foreign {
                found_node: 1,
                node_id: 2,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.exit_code(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_comes_back_with_everything_and_founds_only_once() {
    let home = Home::new(1);
    let node = home.create().await;
    node.handle.bootstrap().await.unwrap();
    node.wait_leads().await;
    for n in 0..20 {
        node.propose(&format!("entry {n}")).await;
    }
    let before = node.journal.lines();
    node.shutdown().await;
    let node = home.open().await;
    node.wait_leads().await;
    node.barrier().await;
    assert_eq!(node.journal.lines(), before);
    assert!(node.handle.bootstrap().await.is_err(), "founded twice");
    node.propose("killed").await;
    node.kill().await;
    let node = home.open().await;
    node.wait_leads().await;
    node.barrier().await;
    assert_eq!(node.journal.texts().last().unwrap(), "killed");
    assert_eq!(node.journal.lines().len(), before.len() + 1);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_snapshot_that_is_needed_and_damaged_is_refused() {
    let mut home = Home::new(1);
    home.snapshot_every = 20;
    let node = home.create().await;
    node.handle.bootstrap().await.unwrap();
    node.wait_leads().await;
    for n in 0..100 {
        node.propose(&format!("entry {n}")).await;
    }
    let before = node.journal.lines();
    until(|| async { (node.handle.snapshot_index()? >= 80).then_some(()) }).await;
    node.shutdown().await;

    // Intact, it carries the state: the log below it is gone.
    let node = home.open().await;
    node.wait_leads().await;
    node.barrier().await;
    assert_eq!(node.journal.lines(), before);
    node.shutdown().await;

    let snapshots: Vec<_> = std::fs::read_dir(home.snapshot_dir()).unwrap().collect();
    assert_eq!(snapshots.len(), 1, "older snapshots stay: {snapshots:?}");
    let path = snapshots[0].as_ref().unwrap().path();
    let intact = std::fs::read(&path).unwrap();
    let mut torn = intact.clone();
    torn.truncate(intact.len() - 7);
    let mut flipped = intact.clone();
    flipped[intact.len() / 2] ^= 1;
    for bad in [torn, flipped] {
        std::fs::write(&path, bad).unwrap();
        let error = refused(&home).await;
        assert!(matches!(error, OpenError::NoSnapshot { .. }), "{error}");
    }
    std::fs::write(&path, intact).unwrap();
    home.open().await.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_snapshot_is_refused_once_the_log_below_it_is_gone() {
    let mut home = Home::new(1);
    home.snapshot_every = 20;
    let node = home.create().await;
    node.handle.bootstrap().await.unwrap();
    node.wait_leads().await;
    for n in 0..100 {
        node.propose(&format!("entry {n}")).await;
    }
    until(|| async { (node.handle.snapshot_index()? >= 80).then_some(()) }).await;
    node.shutdown().await;
    std::fs::remove_dir_all(home.snapshot_dir()).unwrap();
    let error = refused(&home).await;
    assert!(matches!(error, OpenError::NoSnapshot { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_meant_for_others_are_refused() {
    let home = Home::new(1);
    let node = home.create().await;
    let pool = Pool::new(&home.options());
    let vote = || RaftVoteRequest {
        vote: Some(RaftVote {
            term: 99,
            node_id: 2,
            committed: false,
        }),
        ..Default::default()
    };
    let cases = [
        ("test-cluster", 7, Code::FailedPrecondition),
        ("elsewhere", 1, Code::FailedPrecondition),
    ];
    for (cluster, to, code) in cases {
        let caller = Credentials::new(cluster, 2).unwrap();
        let mut client = pool.client(1, &node.address, Lane::Control).unwrap();
        let status = client.vote(caller.request(to, vote())).await.unwrap_err();
        assert_eq!(status.code(), code, "{status}");
    }
    node.handle.bootstrap().await.unwrap();
    node.wait_leads().await;
    assert!(
        node.handle.leadership().borrow().term < 99,
        "a refused vote raised the term"
    );
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_have_a_largest_size() {
    let home = Home::new(1);
    let node = home.create().await;
    node.handle.bootstrap().await.unwrap();
    node.wait_leads().await;
    let propose = |size| node.handle.propose(Bytes::from(vec![b'x'; size]), PATIENCE);
    propose(MAX_PROPOSAL_BYTES).await.unwrap();
    let error = propose(MAX_PROPOSAL_BYTES + 1).await.unwrap_err();
    assert!(matches!(error, ProposeError::TooLarge { .. }), "{error}");
    node.shutdown().await;
}
