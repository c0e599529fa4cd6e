//! What of a manifest reaches the worker.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use fleet_model::{
    Time,
    build::{Build, BuildStatus},
    environment::{Loaded, LoadedStatus},
    frontend::Observed,
    ids::{AppName, BuildId, Digest, EnvironmentKey, EnvironmentName, LoadedKey, ReleaseId},
};

use super::*;
use crate::manifest;

const MANIFEST: &str = "
environment: [GREETING, LEVEL=info]
services:
  web:
    command: [./serve, '--port=${PORT}', '--key=${KEY}']
    port: 3000
    agent: true
    scale: {memory: 64, limit: {cpu: 500}}
    initContainer: {command: ./migrate}
    lifecycle: {preStop: ./leave}
    liveness: {path: /alive, failureThreshold: 4}
    startupProbe: {tcpSocketPort: 3000, grace: 0}
  plain:
    command: ./work
";

/// A state in which node 1 runs one frontend of the service.
pub(in crate::control) fn state(service: &str) -> State {
    let key = LoadedKey {
        environment: EnvironmentKey {
            app: AppName::parse("shop").unwrap(),
            name: EnvironmentName::parse("prod").unwrap(),
        },
        release: ReleaseId::from_index(1),
    };
    let manifest = Arc::new(manifest::parse(MANIFEST).unwrap());
    let (now, id) = (Time::default(), BuildId::from_index(1));
    let build = Build {
        step: None,
        log: None,
        id: id.clone(),
        app: key.environment.app.clone(),
        name: "037205f".to_owned(),
        message: "first".to_owned(),
        digest: Digest::parse(&"ab".repeat(32)).unwrap(),
        size: 10,
        manifest: manifest.clone(),
        status: BuildStatus::Complete,
        holders: imbl::OrdSet::new(),
        created: now,
        updated: now,
        revision: 1,
    };
    let variables = [("GREETING", "hello"), ("KEY", "k"), ("OTHER", "o")];
    let loaded = Loaded {
        release: key.release.clone(),
        build: id.clone(),
        name: "037205f".to_owned(),
        status: LoadedStatus::Running,
        loaded: now,
        updated: now,
        since: now,
        manifest,
        variables: variables
            .map(|(name, value)| (Arc::<str>::from(name), Arc::<str>::from(value)))
            .into_iter()
            .collect(),
        desired: imbl::OrdMap::new(),
        slots: imbl::OrdMap::new(),
        failures: 0,
        restarts: imbl::OrdMap::new(),
        scaling: imbl::OrdMap::new(),
        revision: 1,
    };
    let mut state = State::default();
    state.builds.insert(id, build);
    state.loaded.insert(key.clone(), loaded);
    state.put_frontend(Frontend {
        id: FrontendId(1),
        loaded: key,
        service: fleet_model::ids::ServiceName::parse(service).unwrap(),
        slot: 1,
        incarnation: 1,
        node: NodeId(1),
        placed: now,
        desired: Desired::Run,
        desired_since: now,
        observed: Observed::assigned(now),
        revision: 1,
    });
    state
}

fn assigned(service: &str) -> Assignment {
    let (_, order) = Said::full(&state(service), NodeId(1));
    let Order::Full(mut full) = order else {
        panic!("{order:?}");
    };
    full.assignments.pop().unwrap()
}

fn line(line: &str) -> Option<internal::Command> {
    Some(command(&Run::Shell(line.to_owned())))
}

#[test]
fn a_service_reaches_the_worker_with_all_it_asks_for() {
    let found = assigned("web");
    assert_eq!(
        found.limits,
        Some(Limits {
            memory_bytes: 64 << 20,
            cpu_millicores: 500,
            pids: 0
        })
    );
    // Declared, defaulted, and named in the command; not what is only set.
    let given: Vec<_> = found
        .variables
        .iter()
        .map(|(k, v)| format!("{k}={v}"))
        .collect();
    assert_eq!(given, ["GREETING=hello", "KEY=k", "LEVEL=info"]);
    // Filled in where the port is known, and where nobody reads it along.
    let words = ["./serve", "--port=${PORT}", "--key=${KEY}"].map(String::from);
    assert_eq!(found.command, Some(command(&Run::Argv(words.to_vec()))));
    assert_eq!(found.init_step, line("./migrate"));
    assert_eq!((found.post_start, found.pre_stop), (None, line("./leave")));
    let liveness = found.liveness.unwrap();
    assert_eq!(
        (liveness.kind(), liveness.path.as_str()),
        (health_check::Kind::Http, "/alive")
    );
    assert_eq!(
        (liveness.grace_ms, liveness.success, liveness.failure),
        (10_000, 1, 4)
    );
    let startup = found.startup.unwrap();
    assert_eq!(
        (startup.kind(), startup.path.as_str()),
        (health_check::Kind::Tcp, "")
    );
    assert_eq!(
        (startup.grace_ms, startup.failure),
        (0, 4),
        "what it does not say is as liveness"
    );
    assert!(found.agent);
}

#[test]
fn a_plain_service_asks_for_nothing() {
    let found = assigned("plain");
    assert_eq!(found.limits, Some(Limits::default()));
    assert_eq!(
        (found.init_step, found.post_start, found.pre_stop),
        (None, None, None)
    );
    assert_eq!((found.liveness, found.startup), (None, None));
    assert!(!found.agent && !found.wants_port);
}
