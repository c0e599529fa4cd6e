//! Logs that begin with a state: read out of a store that is left alone, gone on with in another.

use std::collections::BTreeMap;
use std::path::Path;

use super::harness::{Home, Journal, Node, until};
use crate::consensus::{
    Consensus, OpenError, Options, Position, StateMachine as _, begin_with, read_remains,
};

/// Every file below a directory with its bytes.
fn image(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut image = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            image.insert(name, std::fs::read(&path).unwrap());
        }
    }
    image
}

/// The store of the next generation of a home.
fn next(home: &Home) -> Options {
    let mut options = home.options();
    options.dir = home.dir.path().join("raft-1");
    options.snapshot_dir = home.dir.path().join("snapshots-1");
    options.cluster_id.push_str("~1");
    options
}

async fn founded(home: &Home) -> Node {
    let node = home.create().await;
    node.handle.bootstrap().await.unwrap();
    node.wait_leads().await;
    node
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_survivor_goes_on_with_its_whole_log() {
    // With a snapshot in the middle and entries behind it.
    let mut home = Home::new(1);
    home.snapshot_every = 10;
    let node = founded(&home).await;
    for turn in 0..25 {
        node.propose(&format!("line {turn}")).await;
    }
    let lines = node.journal.lines();
    let term = node.handle.leadership().borrow().term;
    node.kill().await;
    // A snapshot that was being written is finished all the same, and takes the place of the last.
    let alone = || async {
        let names: Vec<String> = image(&home.snapshot_dir()).into_keys().collect();
        (names.len() == 1 && names[0].ends_with(".snap")).then_some(())
    };
    until(alone).await;
    let before = (image(&home.log_dir()), image(&home.snapshot_dir()));

    let mut found = Journal::default();
    let remains = read_remains(&home.options(), &mut found).unwrap();
    assert_eq!(found.lines(), lines);
    assert_eq!(remains.voters, BTreeMap::from([(1, home.address())]));
    assert!(remains.last.index >= lines.last().unwrap().index);
    let options = next(&home);
    begin_with(&options, remains.last, remains.term, found.view().as_ref()).unwrap();
    let after = (image(&home.log_dir()), image(&home.snapshot_dir()));
    assert!(after == before, "the old store was touched");

    let journal = Journal::default();
    let consensus = Consensus::open(options.clone(), journal.clone()).await;
    let node = Node::run(&home, consensus.unwrap(), journal).await;
    node.wait_leads().await;
    node.barrier().await;
    assert_eq!(node.journal.lines(), lines);
    assert!(node.handle.leadership().borrow().term > term + 1_000);
    let index = node.propose("and on").await;
    assert!(
        index > remains.last.index + 1,
        "the first entry is the leader's own"
    );
    let lines = node.journal.lines();
    node.kill().await;
    // It survives restarts like any other, and can itself be read again.
    let mut again = Journal::default();
    read_remains(&options, &mut again).unwrap();
    assert_eq!(again.lines(), lines);
    let journal = Journal::default();
    let consensus = Consensus::open(options, journal.clone()).await;
    let node = Node::run(&home, consensus.unwrap(), journal).await;
    node.wait_leads().await;
    node.barrier().await;
    assert_eq!(node.journal.lines(), lines);
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_two_logs_refuse_each_others_stores() {
    let home = Home::new(1);
    let node = founded(&home).await;
    node.propose("one").await;
    node.shutdown().await;
    let mut found = Journal::default();
    let remains = read_remains(&home.options(), &mut found).unwrap();
    let options = next(&home);
    begin_with(&options, remains.last, remains.term, found.view().as_ref()).unwrap();
    // Complete, it is not made a second time.
    let twice = begin_with(&options, remains.last, remains.term, found.view().as_ref());
    assert!(
        matches!(twice, Err(OpenError::NotEmpty { .. })),
        "{twice:?}"
    );
    let mut crossed = options;
    crossed.cluster_id = home.options().cluster_id;
    let opened = Consensus::open(crossed, Journal::default()).await;
    assert!(matches!(opened.err(), Some(OpenError::Foreign { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_from_elsewhere_founds_a_log() {
    let source = Home::new(7);
    let node = founded(&source).await;
    node.propose("from elsewhere").await;
    let view = node.journal.view();
    let index = node.journal.lines()[0].index;
    node.shutdown().await;
    let home = Home::new(index + 1);
    let at = Position {
        index,
        term: 4,
        leader: 7,
    };
    begin_with(&home.options(), at, 4, view.as_ref()).unwrap();
    let node = home.open().await;
    node.wait_leads().await;
    let next = node.propose("here").await;
    assert!(next > index + 1);
    assert_eq!(node.journal.texts(), ["from elsewhere", "here"]);
    node.shutdown().await;
}

#[test]
fn a_store_that_is_not_there_or_not_ours_is_not_read() {
    let home = Home::new(1);
    let none = read_remains(&home.options(), &mut Journal::default());
    assert!(matches!(none, Err(OpenError::Wiped { .. })), "{none:?}");
}
