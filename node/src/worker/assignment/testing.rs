//! Assignments for tests: plain ones, to be changed where a test cares.
#![allow(clippy::unwrap_used)]

use super::*;

pub(crate) fn assignment(id: u64) -> Assignment {
    Assignment {
        id: FrontendId(id),
        app: "shop".into(),
        environment: "prod".into(),
        release_id: "RABCDEFGHIJ".into(),
        release_name: "8ef9d2f".into(),
        build_id: "B1".into(),
        build_description: "first".into(),
        service: "www".into(),
        slot: 1,
        incarnation: 2,
        desired: Desired::Run,
        artefact: Artefact {
            digest: Digest::parse(&"ab".repeat(32)).unwrap(),
            size_bytes: 10,
            holders: vec!["127.0.0.1:7400".parse().unwrap()],
        },
        command: Command::Line("./shop".into()),
        variables: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
        wants_port: true,
        health: HealthCheck {
            kind: CheckKind::Http("/health".into()),
            interval: HealthCheck::INTERVAL,
            timeout: HealthCheck::TIMEOUT,
            start_deadline: HealthCheck::START_DEADLINE,
        },
        termination_grace: Duration::from_secs(30),
        limits: Limits {
            memory_bytes: Some(64 << 20),
            ..Limits::default()
        },
        init_step: None,
        post_start: None,
        pre_stop: None,
        liveness: None,
        startup: None,
        agent: false,
        singleton: false,
    }
}

/// Asked every 10 ms from the start; three failures in a row end it.
pub(crate) fn check(path: &str) -> RepeatedCheck {
    RepeatedCheck {
        kind: CheckKind::Http(path.into()),
        grace: Duration::ZERO,
        interval: Duration::from_millis(10),
        timeout: Duration::from_secs(1),
        success: 1,
        failure: 3,
    }
}

#[test]
fn an_assignment_survives_the_ledger() {
    let mut all = vec![assignment(1)];
    all.push(Assignment {
        command: Command::Words(vec!["a".into(), "b c".into()]),
        desired: Desired::Stop,
        health: HealthCheck {
            kind: CheckKind::Tcp,
            ..assignment(2).health
        },
        ..assignment(2)
    });
    all.push(Assignment {
        health: HealthCheck {
            kind: CheckKind::Settle,
            ..assignment(3).health
        },
        limits: Limits::default(),
        ..assignment(3)
    });
    all.push(Assignment {
        init_step: Some(Command::Line("./migrate".into())),
        post_start: Some(Command::Words(vec!["a".into()])),
        pre_stop: Some(Command::Line("./drain".into())),
        liveness: Some(check("/alive")),
        startup: Some(RepeatedCheck {
            kind: CheckKind::Tcp,
            grace: Duration::from_secs(3),
            ..check("")
        }),
        agent: true,
        ..assignment(4)
    });
    for assignment in all {
        let wire = wire::Assignment::from(&assignment);
        assert_eq!(Assignment::try_from(wire).unwrap(), assignment);
    }
}

#[test]
fn what_cannot_be_carried_out_is_named() {
    type Spoil = fn(&mut wire::Assignment);
    let cases: [(Spoil, &str); 9] = [
        (|wire| wire.desired = 0, "no desired state"),
        (|wire| wire.artefact = None, "no artefact"),
        (|wire| wire.command = None, "no command"),
        (
            |wire| wire.artefact.as_mut().unwrap().sha256 = "../x".into(),
            "not a sha256",
        ),
        (
            |wire| wire.health.as_mut().unwrap().path = "//evil/".into(),
            "health path",
        ),
        (
            |wire| wire.health.as_mut().unwrap().path = "@host".into(),
            "health path",
        ),
        (
            |wire| wire.health.as_mut().unwrap().path = "/a\r\nX: y".into(),
            "health path",
        ),
        (
            |wire| drop(wire.variables.insert("A=B".into(), String::new())),
            "variable name",
        ),
        (
            |wire| drop(wire.variables.insert("A".into(), "\0".into())),
            "NUL",
        ),
    ];
    for (spoil, expected) in cases {
        let mut wire = wire::Assignment::from(&assignment(1));
        spoil(&mut wire);
        let error = Assignment::try_from(wire).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
