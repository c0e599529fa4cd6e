#![allow(clippy::unwrap_used)]

use fleet_model::{
    Command, Entry, Time,
    command::{NewAuthority, NodeChange, Registration, TrustChange},
};
use fleet_trust::{Authority, NodeName};
use tonic::Code;

use super::*;

const TOKEN: &str = "Bearer sesame";

/// Node 1 controls, node 3 works; node 4 was removed.
fn state() -> State {
    let mut state = State::genesis();
    let mut index = 0;
    let mut apply = |command| {
        index += 1;
        let entry = Entry {
            index,
            time: Time(1000),
            request: None,
            actor: "test".into(),
            command,
        };
        state.apply(entry).unwrap();
    };
    let registration = |name: &str, role, id| Registration {
        name: name.to_owned(),
        address: format!("{name}:7400"),
        roles: [role].into(),
        labels: std::collections::BTreeMap::new(),
        architecture: "x86_64".to_owned(),
        id,
    };
    let found = TrustChange::Found {
        authority: NewAuthority {
            certificate: [1].into(),
            sealed_key: [2].into(),
        },
        operator: operator_digest(b"sesame"),
    };
    apply(Command::Trust(Box::new(found)));
    let first = registration("n1", Role::Control, Some(NodeId(1)));
    apply(Command::RegisterNode(first));
    apply(Command::RegisterNode(registration(
        "n3",
        Role::Worker,
        None,
    )));
    apply(Command::RegisterNode(registration(
        "n4",
        Role::Control,
        None,
    )));
    apply(Command::ChangeNode {
        node: NodeId(4),
        change: NodeChange::Remove { force: true },
    });
    state
}

fn peer(node: u64, roles: &[&str]) -> Peer {
    let authority = Authority::found("c1", std::time::SystemTime::now()).unwrap();
    Peer {
        name: NodeName {
            cluster: "c1".to_owned(),
            node,
            roles: roles.iter().map(|role| (*role).to_owned()).collect(),
        },
        authority: authority.fingerprint(),
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&'static str, &str)| {
        (http::HeaderName::from_static(name), value.parse().unwrap())
    };
    pairs.iter().map(pair).collect()
}

/// What a call comes to; `None` when it is let through.
fn refused(path: &str, peer: Option<&Peer>, pairs: &[(&'static str, &str)]) -> Option<Code> {
    let answer = admit(&state(), true, path, peer, &headers(pairs));
    answer.err().map(|status| status.code())
}

const VOTE: &str = "/fleet.internal.Raft/Vote";
const WORK: &str = "/fleet.internal.WorkerSessions/Session";
const ROUTE: &str = "/fleet.internal.IngressSessions/Session";
const FETCH: &str = "/fleet.internal.Blobs/Fetch";
const RENEW: &str = "/fleet.internal.Membership/Renew";
const APPS: &str = "/fleet.v1.Apps/List";
const UPLOAD: &str = "/fleet.v1.Blobs/Upload";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

#[test]
fn strangers_may_ask_for_health_and_to_join() {
    for open in [
        "/grpc.health.v1.Health/Check",
        "/fleet.internal.Membership/Register",
    ] {
        assert_eq!(refused(open, None, &[]), None, "{open}");
    }
    for path in [
        VOTE, WORK, ROUTE, FETCH, RENEW, APPS, UPLOAD, REFLECT, "/x.Y/Z", "",
    ] {
        assert_eq!(
            refused(path, None, &[]),
            Some(Code::Unauthenticated),
            "{path}"
        );
    }
}

#[test]
fn nobody_is_called_wrong_by_a_node_that_cannot_know() {
    let operator = |token| {
        let headers = headers(&[("authorization", token)]);
        let answer = admit(&state(), false, APPS, None, &headers);
        answer.err().map(|status| status.code())
    };
    // The token of the cluster a backup was taken of opens nothing while that one's state stands.
    for token in [TOKEN, "Bearer sesam"] {
        assert_eq!(operator(token), Some(Code::Unavailable), "{token}");
    }
}

#[test]
fn an_operator_has_the_public_api_and_nothing_between_nodes() {
    let token = [("authorization", TOKEN)];
    for path in [APPS, UPLOAD, REFLECT] {
        assert_eq!(refused(path, None, &token), None, "{path}");
        for wrong in ["Bearer sesam", "bearer sesame", "sesame", "Bearer "] {
            let wrong = [("authorization", wrong)];
            assert_eq!(
                refused(path, None, &wrong),
                Some(Code::Unauthenticated),
                "{path}"
            );
        }
    }
    for path in [VOTE, WORK, ROUTE, FETCH, RENEW] {
        assert_eq!(
            refused(path, None, &token),
            Some(Code::Unauthenticated),
            "{path}"
        );
    }
}

#[test]
fn a_certificate_opens_what_its_roles_need() {
    let (control, worker) = (peer(1, &["control"]), peer(3, &["worker"]));
    for (path, by_control, by_worker) in [
        (VOTE, true, false),
        (WORK, false, true),
        (ROUTE, false, false),
        (FETCH, true, true),
        (RENEW, true, true),
        (APPS, true, false),
        (UPLOAD, true, true),
        (REFLECT, true, false),
        ("/fleet.internal.Unheard/Of", true, false),
    ] {
        for (peer, admitted) in [(&control, by_control), (&worker, by_worker)] {
            let expected = (!admitted).then_some(Code::PermissionDenied);
            let node = peer.name.node;
            assert_eq!(
                refused(path, Some(peer), &[]),
                expected,
                "node {node}: {path}"
            );
        }
    }
}

#[test]
fn a_certificate_says_no_more_than_the_state() {
    // It was given roles that the node no longer has.
    let before = peer(3, &["control", "worker"]);
    assert_eq!(
        refused(VOTE, Some(&before), &[]),
        Some(Code::PermissionDenied)
    );
    assert_eq!(refused(WORK, Some(&before), &[]), None);
    let removed = peer(4, &["control", "worker", "ingress"]);
    for path in [VOTE, WORK, ROUTE, FETCH, RENEW, APPS, UPLOAD] {
        let code = refused(path, Some(&removed), &[]);
        assert_eq!(code, Some(Code::PermissionDenied), "{path}");
    }
    // The state here has not come so far yet.
    assert_eq!(refused(VOTE, Some(&peer(6, &["control"])), &[]), None);
}

#[test]
fn nobody_speaks_in_the_name_of_another() {
    let control = peer(1, &["control"]);
    for (claimed, code) in [
        ("1", None),
        ("3", Some(Code::PermissionDenied)),
        ("", Some(Code::PermissionDenied)),
        ("one", Some(Code::PermissionDenied)),
    ] {
        assert_eq!(
            refused(VOTE, Some(&control), &[(FROM, claimed)]),
            code,
            "{claimed:?}"
        );
    }
}
