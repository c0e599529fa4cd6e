//! Three nodes over loopback: commit, fail over, catch up, change.

use std::sync::Arc;

use futures::future::join_all;

use super::harness::{Home, Node, PATIENCE, Trio, join, set_voters, until};
use crate::consensus::{Consensus, MembershipError};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_node_proposes_and_reads_what_was_acknowledged() {
    let trio = Trio::start().await;
    let mut last = 0;
    for round in 0..5 {
        for id in 1..=3 {
            let text = format!("round {round} by {id}");
            last = trio.node(id).propose(&text).await;
            for reader in trio.living() {
                let applied = reader.barrier().await;
                assert!(applied >= last, "node {} read before {last}", reader.id);
                assert_eq!(
                    reader.journal.texts().last(),
                    Some(&text),
                    "node {}",
                    reader.id
                );
            }
        }
    }
    assert_eq!(trio.agree(last).await.len(), 15);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_proposals_share_their_fsyncs() {
    let trio = Trio::start().await;
    let leader = trio.node(trio.leader().await);
    let before = leader.handle.counters();
    let proposals = (0..300).map(|n| leader.propose_owned(format!("entry {n}")));
    let last = join_all(proposals).await.into_iter().max().unwrap();
    assert_eq!(trio.agree(last).await.len(), 300);
    // The followers may have committed all of it before the leader's own disk was done.
    let (entries, fsyncs) = until(|| async {
        let after = leader.handle.counters();
        let entries = after.appended_entries - before.appended_entries;
        (entries >= 300).then_some((entries, after.fsyncs - before.fsyncs))
    })
    .await;
    assert!(
        fsyncs < entries / 2,
        "{fsyncs} fsyncs for {entries} entries"
    );
    trio.stop().await;
}

impl Node {
    async fn propose_owned(&self, text: String) -> u64 {
        self.propose(&text).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_dies_and_nothing_acknowledged_is_lost() {
    let mut trio = Trio::start().await;
    let mut acknowledged = Vec::new();
    for round in 0..3 {
        let leader = trio.leader().await;
        for n in 0..10 {
            let text = format!("round {round} entry {n}");
            trio.node(leader).propose(&text).await;
            acknowledged.push(text);
        }
        trio.kill(leader).await;
        let survivor = trio.living().next().unwrap();
        let text = format!("round {round} after the kill");
        let index = survivor.insist(&text).await;
        acknowledged.push(text);
        let texts: Vec<String> = trio
            .agree(index)
            .await
            .into_iter()
            .map(|line| line.text)
            .collect();
        // An attempt whose outcome was unknown may be there twice; nothing may be missing.
        let mut missing = acknowledged.clone();
        missing.retain(|text| !texts.contains(text));
        assert!(missing.is_empty(), "lost {missing:?}");
        trio.restart(leader).await;
        let index = trio
            .node(leader)
            .insist(&format!("round {round} by the restarted"))
            .await;
        trio.agree(index).await;
    }
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_die_at_once_and_come_back_with_everything() {
    let mut trio = Trio::start().await;
    let mut last = 0;
    for n in 0..30 {
        last = trio.node(1 + n % 3).propose(&format!("entry {n}")).await;
    }
    let before = trio.agree(last).await;
    for id in 1..=3 {
        trio.kill(id).await;
    }
    for id in 1..=3 {
        trio.restart(id).await;
    }
    let leader = trio.leader().await;
    trio.node(leader).barrier().await;
    assert_eq!(trio.agree(last).await, before);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_learner_far_behind_gets_a_snapshot() {
    let mut homes: Vec<Home> = (1..=2).map(Home::new).collect();
    for home in &mut homes {
        home.snapshot_every = 50;
    }
    let leader = homes[0].create().await;
    leader.handle.bootstrap().await.unwrap();
    leader.wait_leads().await;
    // Large enough for several messages, and too random to compress away.
    for n in 0..200u64 {
        let noise: String = (0..400)
            .map(|k| {
                format!(
                    "{:x}",
                    n.wrapping_mul(2654435761).wrapping_add(k * 40503) % 9973
                )
            })
            .collect();
        leader.propose(&format!("{n}-{noise}")).await;
    }
    until(|| async { (leader.handle.snapshot_index()? >= 150).then_some(()) }).await;

    let learner = homes[1].create().await;
    join(&leader, &learner).await;
    let last = leader.propose("after").await;
    learner.handle.wait_applied(last, PATIENCE).await.unwrap();
    assert_eq!(learner.journal.lines(), leader.journal.lines());
    assert!(
        learner.handle.snapshot_index().unwrap() >= 150,
        "caught up without a snapshot"
    );

    // What it installed carries it over a restart of its own.
    let lines = learner.journal.lines();
    learner.kill().await;
    let learner = homes[1].open().await;
    learner.barrier().await;
    assert_eq!(learner.journal.lines(), lines);
    set_voters(&leader, &[1, 2]).await;
    let members = learner.handle.members();
    assert_eq!(members.voters.keys().copied().collect::<Vec<_>>(), [1, 2]);
    learner.kill().await;
    leader.kill().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_is_handed_over_and_members_are_removed() {
    let mut trio = Trio::start().await;
    let first = trio.leader().await;
    let next = if first == 3 { 2 } else { 3 };
    trio.node(first).handle.transfer_leader(next).await.unwrap();
    trio.node(next).wait_leads().await;
    let refused = trio.node(first).handle.add_learner(9, "127.0.0.1:1").await;
    match refused {
        Err(MembershipError::NotLeader { leader }) => assert_eq!(leader.unwrap().id, next),
        other => panic!("{other:?}"),
    }
    trio.node(next).handle.remove(first).await.unwrap();
    let members = trio.node(next).handle.members();
    assert!(!members.voters.contains_key(&first) && !members.learners.contains_key(&first));
    trio.kill(first).await;
    let index = trio.node(next).propose("by two").await;
    trio.agree(index).await;
    let unknown = trio.node(next).handle.remove(77).await;
    assert_eq!(unknown, Err(MembershipError::UnknownNode { id: 77 }));
    let voters = trio.node(next).handle.set_voters([next, 88].into()).await;
    assert_eq!(voters, Err(MembershipError::UnknownNode { id: 88 }));
    let moved = trio
        .node(next)
        .handle
        .add_learner(next, "127.0.0.1:1")
        .await;
    assert!(
        matches!(moved, Err(MembershipError::AddressTaken { .. })),
        "{moved:?}"
    );
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_that_removes_itself_hands_over_first() {
    let trio = Trio::start().await;
    let leader = trio.leader().await;
    trio.node(leader).handle.remove(leader).await.unwrap();
    let other = trio.living().find(|node| node.id != leader).unwrap();
    until(|| async {
        let now = other.handle.leadership().borrow().leader.clone()?;
        (now.id != leader).then_some(())
    })
    .await;
    other.insist("by two").await;
    assert_eq!(other.handle.members().voters.len(), 2);
    trio.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_leader_stamps_the_time_also_of_forwarded_proposals() {
    let homes: Vec<Home> = (1..=2).map(Home::new).collect();
    let mut nodes = Vec::new();
    for home in &homes {
        let mut options = home.options();
        let stamp = 1_000 * home.id;
        options.clock = Arc::new(move || stamp);
        let journal = super::harness::Journal::default();
        let consensus = Consensus::create(options, journal.clone()).await.unwrap();
        nodes.push(Node::run(home, consensus, journal).await);
    }
    nodes[0].handle.bootstrap().await.unwrap();
    nodes[0].wait_leads().await;
    join(&nodes[0], &nodes[1]).await;
    assert_eq!(nodes[1].wait_leader().await, 1);
    let index = nodes[1].propose("from the learner").await;
    nodes[1].handle.wait_applied(index, PATIENCE).await.unwrap();
    let line = nodes[1].journal.lines().pop().unwrap();
    assert_eq!((line.index, line.time_ms), (index, 1_000));
    for node in nodes {
        node.kill().await;
    }
}
