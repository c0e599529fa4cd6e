#![allow(clippy::unwrap_used)]

use fleet_model::{Command, Entry, State, Time, command::NewBuild, command::Registration};
use fleet_model::{manifest::Manifest, node::Role};
use tempfile::TempDir;

use super::*;

/// A small cluster, and a store with one artefact of it.
fn cluster(dir: &TempDir) -> (State, Store, Object) {
    let store = Store::open(&dir.path().join("blobs"), 1 << 20).unwrap();
    let stored = store.put(&b"the artefact"[..]).unwrap();
    let mut state = State::genesis();
    let registration = Registration {
        name: "one".to_owned(),
        address: "127.0.0.1:7400".to_owned(),
        roles: Role::ALL.into(),
        labels: [].into(),
        architecture: "x86_64".to_owned(),
        id: Some(NodeId(1)),
    };
    let build = NewBuild {
        app: fleet_model::ids::AppName::parse("shop").unwrap(),
        name: "aaaa111".to_owned(),
        message: String::new(),
        digest: stored.digest.clone(),
        size: stored.size,
        manifest: Manifest::default().into(),
        holder: NodeId(1),
        environment: None,
        description: None,
    };
    let commands = [
        Command::InitCluster {
            id: "c1".to_owned(),
            name: "demo".to_owned(),
            domain: "localhost".to_owned(),
        },
        Command::RegisterNode(registration),
        Command::CreateApp {
            name: "shop".to_owned(),
        },
        Command::CreateBuild(build),
    ];
    for (index, command) in (1..).zip(commands) {
        let entry = Entry {
            index,
            time: Time(index),
            request: None,
            actor: "test".into(),
            command,
        };
        state.apply(entry).unwrap();
    }
    let object = Object {
        digest: stored.digest,
        size: stored.size,
    };
    (state, store, object)
}

fn written(state: &State, store: &Store, artefacts: Option<Vec<Object>>) -> Vec<u8> {
    let subject = Subject {
        state: state.clone(),
        term: 3,
        node: NodeId(1),
        taken: Time(9),
        artefacts,
    };
    subject.write(&subject.header(), store, Vec::new()).unwrap()
}

fn opened(dir: &TempDir, bytes: &[u8]) -> Result<Backup, BackupError> {
    let path = dir.path().join("file");
    std::fs::write(&path, bytes).unwrap();
    Backup::open(&path)
}

fn refusal(dir: &TempDir, bytes: &[u8]) -> String {
    opened(dir, bytes).err().unwrap().to_string()
}

#[test]
fn what_was_backed_up_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let (state, store, object) = cluster(&dir);
    let bytes = written(&state, &store, Some(vec![object.clone()]));
    let mut backup = opened(&dir, &bytes).unwrap();
    assert_eq!(backup.state, state);
    assert_eq!(backup.hash(), hex(&codec::hash(&state)));
    let other = Store::open(&dir.path().join("other"), 1 << 20).unwrap();
    assert_eq!(backup.artefacts_into(&other).unwrap(), 1);
    assert!(other.open_verified(&object.digest).unwrap().is_some());
    let bare = opened(&dir, &written(&state, &store, None)).unwrap();
    assert_eq!(
        (bare.header.with_artefacts, bare.header.artefacts),
        (false, 0)
    );
}

#[test]
fn every_damage_has_its_own_sentence() {
    let dir = tempfile::tempdir().unwrap();
    let (state, store, object) = cluster(&dir);
    let bytes = written(&state, &store, Some(vec![object]));
    assert_eq!(
        refusal(&dir, b"#!/bin/sh\nexit 1\n"),
        "this is not a backup file"
    );
    assert_eq!(
        refusal(&dir, &bytes[..bytes.len() - 20]),
        "the backup is damaged: it ends within its trailer"
    );
    assert_eq!(
        refusal(&dir, &bytes[..bytes.len() / 2]),
        "the backup is damaged: it ends within its block"
    );
    let mut newer = bytes.clone();
    newer[8] = 2;
    assert_eq!(
        refusal(&dir, &newer),
        "the backup is of format 2, only 1 is known"
    );
    for at in 0..bytes.len() {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        assert!(
            opened(&dir, &flipped).is_err(),
            "a flip at {at} went unnoticed"
        );
    }
}

#[test]
fn a_state_that_is_not_the_one_in_the_header_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (state, store, _) = cluster(&dir);
    let subject = Subject {
        state,
        term: 1,
        node: NodeId(1),
        taken: Time(9),
        artefacts: None,
    };
    let mut header = subject.header();
    header.state_hash = vec![0; 32].into();
    let bytes = subject.write(&header, &store, Vec::new()).unwrap();
    assert!(matches!(
        opened(&dir, &bytes),
        Err(BackupError::Hash { .. })
    ));
    let mut header = subject.header();
    header.index += 1;
    let bytes = subject.write(&header, &store, Vec::new()).unwrap();
    assert!(matches!(
        opened(&dir, &bytes),
        Err(BackupError::Index { .. })
    ));
}

#[test]
fn an_artefact_that_is_not_there_is_told_when_the_backup_is_taken() {
    let dir = tempfile::tempdir().unwrap();
    let (state, store, object) = cluster(&dir);
    store.remove(&object.digest).unwrap();
    let subject = Subject {
        state,
        term: 1,
        node: NodeId(1),
        taken: Time(9),
        artefacts: Some(vec![object]),
    };
    let written = subject.write(&subject.header(), &store, Vec::new());
    assert!(matches!(written, Err(BackupError::Missing { .. })));
}
