//! Who votes, on clusters made by hand, and that changes come to an end.

use proptest::prelude::*;

use super::*;
use crate::{Time, node::Lease};

fn node(id: u64, zone: &str) -> Node {
    Node {
        id: NodeId(id),
        name: format!("n{id}"),
        address: format!("10.0.0.{id}:7400"),
        roles: Role::ALL.into(),
        labels: match zone {
            "" => BTreeMap::new(),
            zone => [("zone".to_owned(), zone.to_owned())].into(),
        },
        architecture: String::new(),
        joined: Time::default(),
        lease: Lease::Ready,
        lease_since: Time::default(),
        draining: false,
        drain_until: None,
        leaving: false,
        vote: Vote::Automatic,
        mute: None,
        relapses: 0,
        returned: None,
        facts: None,
        revision: 0,
    }
}

/// A cluster whose members are all heard and have everything, until told otherwise.
struct Cluster {
    state: State,
    membership: Membership,
}

impl Cluster {
    fn of(zones: &[&str]) -> Self {
        let nodes = (1..).zip(zones).map(|(id, zone)| node(id, zone));
        let state = State {
            nodes: nodes.map(|node| (node.id, node)).collect(),
            ..State::default()
        };
        let membership = Membership {
            leader: Some(NodeId(1)),
            voters: [NodeId(1)].into(),
            ..Membership::default()
        };
        let mut cluster = Self { state, membership };
        cluster.settle();
        cluster
    }

    fn change(&mut self, id: u64, change: impl FnOnce(&mut Node)) -> &mut Self {
        change(self.state.nodes.get_mut(&NodeId(id)).unwrap());
        self
    }

    /// Carries out what is due until nothing is; the changes in words.
    fn settle(&mut self) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..40 {
            let Some(change) = next(&self.state, &self.membership) else {
                return said;
            };
            said.push(format!("{change:?}"));
            self.carry_out(change);
        }
        panic!("no end of changes: {said:#?}");
    }

    fn carry_out(&mut self, change: Change) {
        let members = &mut self.membership;
        match change {
            Change::AddLearner { node, .. } => {
                members.learners.insert(node);
                members.behind.entry(node).or_insert(0);
            }
            Change::SetVoters(voters) => {
                let leader = members.leader.unwrap();
                assert!(voters.contains(&leader), "the leader puts itself out");
                let all: BTreeSet<NodeId> =
                    members.voters.union(&members.learners).copied().collect();
                assert!(voters.is_subset(&all), "{voters:?} of {all:?}");
                members.learners = all.difference(&voters).copied().collect();
                for id in &all {
                    members.behind.entry(*id).or_insert(0);
                }
                members.voters = voters;
                members.joint = false;
            }
            Change::HandOver(successor) => {
                assert!(members.voters.contains(&successor));
                members.behind.insert(members.leader.unwrap(), 0);
                members.leader = Some(successor);
            }
            Change::Remove(node) => {
                members.learners.remove(&node);
            }
        }
    }

    fn voters(&self) -> Vec<u64> {
        self.membership.voters.iter().map(|id| id.0).collect()
    }
}

#[test]
fn one_three_or_five_vote() {
    let voters = [1, 2, 3, 4, 5, 6, 9].map(|count| Cluster::of(&vec![""; count]).voters().len());
    assert_eq!(voters, [1, 1, 3, 3, 5, 5, 5]);
}

#[test]
fn zones_come_before_ids() {
    let spread = Cluster::of(&["a", "a", "a", "b", "c"]);
    assert_eq!(spread.voters(), [1, 2, 3, 4, 5]);
    let spread = Cluster::of(&["a", "a", "b", "c"]);
    assert_eq!(spread.voters(), [1, 3, 4]);
    // Without labels every node is a zone of its own.
    assert_eq!(Cluster::of(&["", "", "", ""]).voters(), [1, 2, 3]);
}

#[test]
fn a_leader_that_goes_hands_over_first() {
    for go in [
        (|node: &mut Node| node.draining = true) as fn(&mut Node),
        |node| node.leaving = true,
        |node| node.vote = Vote::Never,
    ] {
        let mut cluster = Cluster::of(&[""; 4]);
        let said = cluster.change(1, go).settle();
        assert_eq!(said[0], "HandOver(NodeId(2))");
        assert_eq!(cluster.membership.leader, Some(NodeId(2)));
    }
}

#[test]
fn whoever_leaves_is_followed_by_who_waited() {
    let mut cluster = Cluster::of(&[""; 4]);
    let said = cluster.change(2, |node| node.leaving = true).settle();
    assert_eq!(
        said,
        [
            "SetVoters({NodeId(1), NodeId(3), NodeId(4)})",
            "Remove(NodeId(2))"
        ]
    );
}

#[test]
fn a_place_is_not_given_up_while_somebody_catches_up() {
    let mut cluster = Cluster::of(&[""; 4]);
    cluster.membership.behind.insert(NodeId(4), CAUGHT_UP + 1);
    let said = cluster.change(2, |node| node.leaving = true).settle();
    assert_eq!(said, Vec::<String>::new());
    cluster.membership.behind.insert(NodeId(4), CAUGHT_UP);
    cluster.settle();
    assert_eq!(cluster.voters(), [1, 3, 4]);
}

#[test]
fn a_silent_voter_is_replaced_by_one_that_waits_and_else_keeps_its_place() {
    let mute = |node: &mut Node| node.mute = Some(Time(1));
    let mut waiting = Cluster::of(&[""; 4]);
    waiting.change(2, mute).settle();
    assert_eq!(waiting.voters(), [1, 3, 4]);
    for count in [3, 5] {
        let mut alone = Cluster::of(&vec![""; count]);
        let before = alone.voters();
        assert_eq!(alone.change(2, mute).settle(), Vec::<String>::new());
        assert_eq!(alone.voters(), before, "a dead voter still counts");
    }
}

#[test]
fn silence_is_news_after_ten_minutes_and_its_end_at_once() {
    let mut cluster = Cluster::of(&[""; 3]);
    let mute = |on| {
        vec![Command::ChangeNode {
            node: NodeId(2),
            change: NodeChange::Mute(on),
        }]
    };
    let silent = |cluster: &mut Cluster, span| {
        cluster.membership.silent.insert(NodeId(2), span);
        news(&cluster.state, &cluster.membership)
    };
    assert_eq!(silent(&mut cluster, Millis(MUTE_AFTER.0 - 1)), []);
    assert_eq!(silent(&mut cluster, MUTE_AFTER), mute(true));
    cluster.change(2, |node| node.mute = Some(Time(1)));
    assert_eq!(silent(&mut cluster, MUTE_AFTER), []);
    assert_eq!(silent(&mut cluster, Millis(200)), mute(false));
}

#[test]
fn wishes_come_first() {
    let mut cluster = Cluster::of(&[""; 4]);
    cluster.change(4, |node| node.vote = Vote::Always).settle();
    assert_eq!(cluster.voters(), [1, 2, 4]);
    cluster.change(2, |node| node.vote = Vote::Never).settle();
    assert_eq!(cluster.voters(), [1, 3, 4]);
}

#[test]
fn a_change_left_half_done_is_finished() {
    let mut cluster = Cluster::of(&[""; 4]);
    cluster.membership.joint = true;
    cluster.membership.voters.insert(NodeId(4));
    cluster.membership.learners.clear();
    let said = cluster.settle();
    assert_eq!(said, ["SetVoters({NodeId(1), NodeId(2), NodeId(3)})"]);
}

fn any_node() -> impl Strategy<Value = (u8, u8, bool, bool, bool, u64)> {
    let rarely = || proptest::bool::weighted(0.2);
    (0..4_u8, 0..6_u8, rarely(), rarely(), rarely(), 0..200_u64)
}

proptest! {
    /// Whatever is asked of the nodes and whoever is silent: changes end, somebody votes, and the
    /// voters are as many as there should be of those who can.
    #[test]
    fn changes_come_to_an_end(nodes in proptest::collection::vec(any_node(), 1..9)) {
        let mut cluster = Cluster::of(&vec![""; nodes.len()]);
        for (id, (zone, vote, draining, leaving, mute, behind)) in (1..).zip(nodes) {
            cluster.change(id, |node| {
                node.labels = [("zone".to_owned(), zone.to_string())].into();
                node.vote = match vote {
                    0 => Vote::Always,
                    1 => Vote::Never,
                    _ => Vote::Automatic,
                };
                node.draining = draining || leaving;
                node.leaving = leaving;
                node.mute = mute.then_some(Time(1));
            });
            if mute {
                cluster.membership.silent.insert(NodeId(id), MUTE_AFTER);
            } else {
                cluster.membership.behind.insert(NodeId(id), behind);
            }
        }
        let before = cluster.voters().len();
        cluster.settle();
        let after = cluster.voters().len();
        prop_assert!(after > 0);
        let heard = |id: &NodeId| cluster.membership.heard(*id);
        let able = members(&cluster.state).filter(|n| n.vote != Vote::Never && heard(&n.id)).count();
        prop_assert!(after >= target(able).min(before), "{after} of {able} able, {before} before");
    }
}
