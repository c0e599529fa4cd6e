//! Without a quorum: refuse, quickly and honestly, and work again when it is back.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::harness::{Node, PATIENCE, Trio, until};
use crate::consensus::{ProposeError, ReadError};

/// The limit users are promised, with room for a machine that runs other tests.
const PROMPT: Duration = Duration::from_secs(4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_refuses_and_recovers() {
    let mut trio = Trio::start().await;
    let leader = trio.leader().await;
    let index = trio.node(leader).propose("before").await;
    trio.agree(index).await;
    let others: Vec<u64> = (1..=3).filter(|id| *id != leader).collect();
    for id in &others {
        trio.kill(*id).await;
    }

    // In the first moments the leader does not know yet that it is alone: whatever it says, it must
    // not say that the proposal was applied, nor be silent for long.
    let alone = trio.node(leader);
    let asked = Instant::now();
    let result = alone
        .handle
        .propose(Bytes::from_static(b"alone"), PATIENCE)
        .await;
    assert!(result.is_err(), "committed without a quorum");
    assert!(
        asked.elapsed() < PROMPT,
        "answered after {:?}",
        asked.elapsed()
    );

    // Once its lease has run out it refuses what it has not appended.
    let mut attempts = 0;
    let refused = until(|| {
        attempts += 1;
        propose_promptly(alone, format!("attempt {attempts}"))
    })
    .await;
    let asked = Instant::now();
    let read = alone.handle.read_barrier().await;
    assert!(
        matches!(read, Err(ReadError::Unavailable { .. })),
        "{read:?}"
    );
    assert!(
        asked.elapsed() < PROMPT,
        "answered after {:?}",
        asked.elapsed()
    );

    trio.restart(others[0]).await;
    let index = trio.node(others[0]).insist("after").await;
    let texts: Vec<String> = trio
        .agree(index)
        .await
        .into_iter()
        .map(|line| line.text)
        .collect();
    assert_eq!(texts.first().map(String::as_str), Some("before"));
    assert!(!texts.contains(&refused), "applied what it refused");
}

/// Proposes where there is no quorum. Returns the text if it was refused for certain.
async fn propose_promptly(node: &Node, text: String) -> Option<String> {
    let asked = Instant::now();
    let result = node.handle.propose(text.clone().into(), PATIENCE).await;
    assert!(
        asked.elapsed() < PROMPT,
        "answered after {:?}",
        asked.elapsed()
    );
    match result {
        Err(ProposeError::Unavailable { .. }) => Some(text),
        Err(ProposeError::Unknown { .. }) => None,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_without_a_leader_refuses() {
    let mut trio = Trio::start().await;
    let leader = trio.leader().await;
    let follower = (1..=3).find(|id| *id != leader).unwrap();
    let third = 6 - leader - follower;
    trio.kill(third).await;
    trio.kill(leader).await;
    let node = trio.node(follower);
    let asked = Instant::now();
    let result = node
        .handle
        .propose(Bytes::from_static(b"lost"), PATIENCE)
        .await;
    // The leader died before it was asked: no connection could be made, so nothing was appended.
    assert!(
        matches!(result, Err(ProposeError::Unavailable { .. })),
        "{result:?}"
    );
    assert!(
        asked.elapsed() < PROMPT,
        "answered after {:?}",
        asked.elapsed()
    );
    let read = node.handle.read_barrier().await;
    assert!(
        matches!(read, Err(ReadError::Unavailable { .. })),
        "{read:?}"
    );
}
