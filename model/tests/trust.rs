//! Join tokens, certificates and the replacement of the authority: what is decided when commands
//! are applied.

use std::collections::BTreeSet;

use fleet_model::{
    Command, Detail, Outcome, Rejection, Time,
    command::{Code, NewAuthority, NewToken, Presented, TrustChange},
    ids::NodeId,
    node::{Lease, Role},
    plan::{Load, plan},
    time::Millis,
    trust::{Stage, TOKEN_KEPT},
};

use crate::common::{Checked, digest, registration, removal};

/// A cluster of one node that has an authority; everything at time 1000.
fn cluster() -> Checked {
    let mut checked = Checked::new();
    let found = TrustChange::Found {
        authority: authority(1),
        operator: digest(1),
    };
    change(&mut checked, 1000, found).unwrap();
    let founder = Command::RegisterNode(registration(1, Some(1)));
    checked.commit(Time(1000), founder).unwrap();
    checked
}

fn change(checked: &mut Checked, now: u64, change: TrustChange) -> Result<Outcome, Rejection> {
    checked.commit(Time(now), Command::Trust(Box::new(change)))
}

fn authority(number: u8) -> NewAuthority {
    NewAuthority {
        certificate: [number].into(),
        sealed_key: [number, number].into(),
    }
}

fn token(id: &str, roles: &[Role], uses: u32, ttl: u64) -> TrustChange {
    TrustChange::CreateToken(NewToken {
        id: id.into(),
        digest: digest(7),
        roles: roles.iter().copied().collect(),
        uses,
        ttl: Millis(ttl),
    })
}

/// Node `number`, which wants all roles, with the secret of digest `secret` and the key `number`.
fn join(number: u64, id: &str, secret: u64) -> TrustChange {
    TrustChange::Join {
        registration: registration(number, None),
        token: Presented {
            id: id.into(),
            digest: digest(secret),
        },
        key: digest(number),
        expires: Time(90),
    }
}

fn code(answer: Result<Outcome, Rejection>) -> Option<Code> {
    answer.err().map(|rejection| rejection.code)
}

#[test]
fn a_token_lets_in_as_often_as_it_says() {
    let mut checked = cluster();
    change(&mut checked, 1000, token("a", &Role::ALL, 2, 500)).unwrap();
    let joined = change(&mut checked, 1100, join(2, "a", 7)).unwrap();
    let Detail::Node(node) = joined.detail else {
        panic!("{joined:?}");
    };
    assert_eq!(node, NodeId(joined.index), "ids come from the log");
    assert_eq!(checked.state.trust.held[&node].key, digest(2));
    change(&mut checked, 1100, join(3, "a", 7)).unwrap();
    let used_up = change(&mut checked, 1100, join(4, "a", 7));
    assert_eq!(code(used_up), Some(Code::TokenRefused));
}

#[test]
fn wrong_unknown_expired_and_used_up_are_one_answer() {
    let mut checked = cluster();
    change(&mut checked, 1000, token("once", &Role::ALL, 1, 500)).unwrap();
    change(&mut checked, 1000, token("later", &Role::ALL, 1, 500)).unwrap();
    change(&mut checked, 1100, join(2, "once", 7)).unwrap();
    let mut answers = vec![
        change(&mut checked, 1100, join(3, "later", 8)),
        change(&mut checked, 1100, join(3, "never", 7)),
        change(&mut checked, 1100, join(3, "once", 7)),
        change(&mut checked, 1500, join(3, "later", 7)),
    ];
    assert!(answers.iter().all(Result::is_err));
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[test]
fn no_clock_that_runs_backwards_makes_a_token_live_longer() {
    let mut checked = cluster();
    change(&mut checked, 1000, token("a", &Role::ALL, 1, 500)).unwrap();
    // The next leader's clock is slow; the log's time stands still meanwhile.
    change(&mut checked, 1600, token("b", &Role::ALL, 1, 500)).unwrap();
    let refused = change(&mut checked, 1100, join(2, "a", 7));
    assert_eq!(code(refused), Some(Code::TokenRefused));
    change(&mut checked, 1100, join(2, "b", 7)).unwrap();
}

#[test]
fn a_token_is_for_its_roles_and_a_refused_join_does_not_spend_it() {
    let mut checked = cluster();
    change(&mut checked, 1000, token("a", &[Role::Worker], 1, 500)).unwrap();
    let refused = change(&mut checked, 1000, join(2, "a", 7)).unwrap_err();
    assert_eq!(refused.code, Code::TokenRefused);
    assert!(refused.message.contains("not for control"), "{refused}");
    change(&mut checked, 1000, token("b", &Role::ALL, 1, 500)).unwrap();
    // The name is taken.
    let twin = change(&mut checked, 1000, join(1, "b", 7));
    assert_eq!(code(twin), Some(Code::AlreadyExists));
    change(&mut checked, 1000, join(2, "b", 7)).unwrap();
}

#[test]
fn a_repeated_request_joins_once_and_keeps_the_first_key() {
    let mut checked = cluster();
    change(&mut checked, 1000, token("a", &Role::ALL, 1, 500)).unwrap();
    let first = Command::Trust(Box::new(join(2, "a", 7)));
    let mut other = join(2, "a", 7);
    if let TrustChange::Join { key, .. } = &mut other {
        *key = digest(66);
    }
    let answer = checked.ask(Time(1000), Some("join-1"), first).unwrap();
    let again = Command::Trust(Box::new(other));
    let repeated = checked.ask(Time(1000), Some("join-1"), again).unwrap();
    assert_eq!(answer, repeated);
    let held: Vec<_> = checked.state.trust.held.values().collect();
    assert!(held.iter().any(|held| held.key == digest(2)));
    assert!(!held.iter().any(|held| held.key == digest(66)));
}

#[test]
fn tokens_that_make_no_sense_are_refused_and_old_ones_forgotten() {
    let mut checked = cluster();
    for odd in [
        token("a", &[], 1, 500),
        token("a", &Role::ALL, 0, 500),
        token("a", &Role::ALL, 1001, 500),
        token("a", &Role::ALL, 1, 0),
        token("a", &Role::ALL, 1, 8 * 86_400_000),
    ] {
        assert_eq!(
            code(change(&mut checked, 1000, odd)),
            Some(Code::InvalidValue)
        );
    }
    change(&mut checked, 1000, token("a", &Role::ALL, 1, 500)).unwrap();
    let twin = change(&mut checked, 1000, token("a", &Role::ALL, 1, 500));
    assert_eq!(code(twin), Some(Code::AlreadyExists));
    let later = 1501 + TOKEN_KEPT.0;
    change(&mut checked, later, token("b", &Role::ALL, 1, 500)).unwrap();
    let listed: Vec<_> = checked.state.trust.tokens.keys().map(|id| &**id).collect();
    assert_eq!(listed, ["b"]);
    let revoke = |id: &str| TrustChange::RevokeToken { id: id.into() };
    change(&mut checked, later, revoke("b")).unwrap();
    assert_eq!(
        code(change(&mut checked, later, revoke("b"))),
        Some(Code::UnknownToken)
    );
}

#[test]
fn a_removed_node_may_not_call_and_one_that_is_not_known_yet_may() {
    let mut checked = cluster();
    change(&mut checked, 1000, token("a", &Role::ALL, 1, 500)).unwrap();
    let joined = change(&mut checked, 1000, join(2, "a", 7)).unwrap().index;
    let node = NodeId(joined);
    assert!(checked.state.may_call(node));
    checked.commit(Time(1000), removal(node)).unwrap();
    assert!(!checked.state.may_call(node));
    assert!(!checked.state.trust.held.contains_key(&node));
    assert!(checked.state.may_call(NodeId(checked.state.index + 1)));
}

/// The founder and two that joined, all of whom have a certificate of the first authority.
fn three() -> (Checked, Vec<NodeId>) {
    let mut checked = cluster();
    change(&mut checked, 1000, token("a", &Role::ALL, 2, 500)).unwrap();
    for number in [2, 3] {
        change(&mut checked, 1000, join(number, "a", 7)).unwrap();
    }
    let founder = TrustChange::Issue {
        node: NodeId(1),
        key: digest(1),
        expires: Time(90),
    };
    change(&mut checked, 1000, founder).unwrap();
    let nodes: Vec<NodeId> = checked.state.nodes.keys().copied().collect();
    for node in &nodes {
        confirm(&mut checked, *node, 1, &[1]);
    }
    (checked, nodes)
}

fn confirm(checked: &mut Checked, node: NodeId, shown: u64, believes: &[u64]) {
    let confirm = TrustChange::Confirm {
        node,
        shown,
        believes: believes.iter().copied().collect(),
    };
    change(checked, 1000, confirm).unwrap();
}

/// What the planner makes of it, workers being heard all the time.
fn settle(checked: &mut Checked) -> Option<Stage> {
    let nodes = checked.state.nodes.keys();
    let load = Load {
        workers: nodes.map(|id| (*id, Time(1000))).collect(),
        ..Load::default()
    };
    checked.settle(&load, Time(1000));
    assert_eq!(plan(&checked.state, &load, Time(1000)).commands, []);
    checked
        .state
        .trust
        .rotation
        .as_ref()
        .map(|rotation| rotation.stage)
}

#[test]
fn an_authority_is_dropped_only_when_no_live_node_needs_it() {
    let (mut checked, nodes) = three();
    let authority = authority(2);
    let begun = change(&mut checked, 1000, TrustChange::Rotate { authority }).unwrap();
    let (old, new) = (1, begun.index);
    let twice = TrustChange::Rotate {
        authority: self::authority(3),
    };
    assert_eq!(
        code(change(&mut checked, 1000, twice)),
        Some(Code::RolloutInProgress)
    );

    // Nodes learn to believe both; the old one signs until the last of them does.
    for (at, node) in nodes.iter().enumerate() {
        assert_eq!(settle(&mut checked), Some(Stage::Dual));
        assert_eq!(checked.state.rotation_awaits(), &nodes[at..]);
        let signing = checked.state.trust.signing().unwrap().0;
        assert_eq!(signing, old);
        confirm(&mut checked, *node, old, &[old, new]);
    }
    // Nodes get new certificates; the old authority is believed until the last of them has.
    for node in &nodes {
        assert_eq!(settle(&mut checked), Some(Stage::Reissue));
        assert_eq!(checked.state.trust.signing().unwrap().0, new);
        assert_eq!(checked.state.trust.authorities.len(), 2);
        confirm(&mut checked, *node, new, &[old, new]);
    }
    assert_eq!(settle(&mut checked), None);
    let left: BTreeSet<u64> = checked.state.trust.authorities.keys().copied().collect();
    assert_eq!(left, [new].into());
}

#[test]
fn a_lost_node_does_not_hold_a_rotation_back_and_a_silent_one_does() {
    let (mut checked, nodes) = three();
    settle(&mut checked);
    let authority = authority(2);
    let new = change(&mut checked, 1000, TrustChange::Rotate { authority }).unwrap();
    for node in &nodes[..2] {
        confirm(&mut checked, *node, 1, &[1, new.index]);
    }
    assert_eq!(settle(&mut checked), Some(Stage::Dual));
    for (from, to) in [
        (Lease::Ready, Lease::Suspect),
        (Lease::Suspect, Lease::Lost),
    ] {
        assert_eq!(checked.state.rotation_awaits(), &nodes[2..]);
        let node = nodes[2];
        let mark = checked.mark(node, from, to);
        checked.commit(Time(1000), mark).unwrap();
    }
    assert_eq!(checked.state.rotation_awaits(), []);
    // Nobody may say that it is over but the state itself.
    let early = TrustChange::Advance {
        from: Stage::Reissue,
    };
    assert_eq!(code(change(&mut checked, 1000, early)), Some(Code::Stale));
    let due = TrustChange::Advance { from: Stage::Dual };
    change(&mut checked, 1000, due).unwrap();
    assert_eq!(checked.state.trust.signing().unwrap().0, new.index);
}
