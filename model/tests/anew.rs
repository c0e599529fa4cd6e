//! Logs that begin anew: who is a member afterwards, what is placed, which builds have no copy left,
//! and that a generation begins once. And the schedule of backups.

use fleet_model::{
    Command, Time,
    backup::Schedule,
    build::BuildStatus,
    command::{BackupResult, Code, Recovered, Report, Restored, SKIPPED},
    frontend::Phase,
    ids::{FrontendId, NodeId},
    node::Role,
    plan::{Load, plan},
    state::Origin,
    time::Millis,
};

use crate::common::{Checked, build_of, digest, environment, registration};

/// Nodes 1, 3 and 4 with everything and 5 that only works; a build with copies on 1 and 4 whose
/// frontends are placed; a build with a copy on 1 alone.
fn cluster() -> Checked {
    let mut checked = Checked::new();
    let only_worker = {
        let mut asked = registration(4, None);
        asked.roles = [Role::Worker].into();
        asked
    };
    for command in [
        Command::InitCluster {
            id: "c1".to_owned(),
            name: "demo".to_owned(),
            domain: "localhost".to_owned(),
        },
        Command::RegisterNode(registration(1, Some(1))),
        Command::RegisterNode(registration(2, None)),
        Command::RegisterNode(registration(3, None)),
        Command::RegisterNode(only_worker),
        Command::CreateApp {
            name: "shop".to_owned(),
        },
        build_of("aaaa111", 1),
        Command::RecordCopy {
            digest: digest(1),
            node: NodeId(4),
        },
        build_of("bbbb222", 2),
        Command::Load {
            environment: environment("shop/prod"),
            reference: "aaaa111".to_owned(),
        },
    ] {
        checked.commit(Time(10), command).unwrap();
    }
    let load = Load {
        workers: checked
            .state
            .nodes
            .keys()
            .map(|id| (*id, Time(10)))
            .collect(),
        ..Load::default()
    };
    checked.settle(&load, Time(10));
    checked
}

fn status(checked: &Checked, name: &str) -> BuildStatus {
    let mut builds = checked.state.builds.values();
    builds
        .find(|build| build.name == name)
        .unwrap()
        .status
        .clone()
}

fn restored(generation: u64) -> Command {
    Command::RestoreCluster(Restored {
        id: "c2".to_owned(),
        generation,
        taken: Time(10),
        founder: registration(9, Some(11)),
        held: [digest(1)].into(),
    })
}

#[test]
fn a_restored_cluster_has_one_node_and_places_everything_anew() {
    let mut checked = cluster();
    let frontends = checked.state.frontends.len();
    assert!(frontends > 0);
    checked.commit(Time(20), restored(1)).unwrap();
    let state = &checked.state;
    assert_eq!(
        (state.cluster.id.as_str(), state.cluster.generation),
        ("c2", 1)
    );
    let origin = state.cluster.origin.clone().unwrap();
    assert_eq!(
        origin,
        Origin {
            cluster: "c1".to_owned(),
            index: state.index,
            taken: Time(10)
        }
    );
    assert_eq!(
        state.nodes.keys().copied().collect::<Vec<_>>(),
        [NodeId(11)]
    );
    assert!(state.frontends.is_empty());
    // One artefact came along, one did not.
    assert_eq!(status(&checked, "aaaa111"), BuildStatus::Complete);
    assert!(matches!(
        status(&checked, "bbbb222"),
        BuildStatus::Failed { .. }
    ));
    let load = Load {
        workers: [(NodeId(11), Time(20))].into(),
        ..Load::default()
    };
    checked.settle(&load, Time(20));
    assert_eq!(checked.state.frontends.len(), frontends);
    let newest = checked.state.frontends.keys().min().unwrap();
    assert!(newest.0 > frontends as u64, "ids are not given twice");
    // After a crash it is asked again, and nothing happens twice.
    assert_eq!(
        checked.commit(Time(21), restored(1)).unwrap_err().code,
        Code::Stale
    );
    checked.replay();
}

#[test]
fn an_upload_of_the_same_content_brings_a_lost_build_back() {
    let mut checked = cluster();
    checked.commit(Time(20), restored(1)).unwrap();
    let Command::CreateBuild(mut again) = build_of("cccc333", 2) else {
        unreachable!();
    };
    again.holder = NodeId(11);
    checked
        .commit(Time(21), Command::CreateBuild(again))
        .unwrap();
    assert_eq!(status(&checked, "bbbb222"), BuildStatus::Complete);
}

#[test]
fn the_survivor_keeps_what_runs_on_it_and_on_pure_workers() {
    let mut checked = cluster();
    let kept: Vec<FrontendId> = checked
        .state
        .frontends
        .values()
        .filter(|frontend| matches!(frontend.node.0, 4 | 5))
        .map(|frontend| frontend.id)
        .collect();
    let survivor = checked
        .state
        .nodes
        .values()
        .find(|node| node.name == "n3")
        .unwrap()
        .id;
    let recover = Command::RecoverCluster(Recovered {
        generation: 1,
        survivor,
    });
    checked.commit(Time(20), recover.clone()).unwrap();
    let state = &checked.state;
    assert_eq!(
        (state.cluster.id.as_str(), state.cluster.generation),
        ("c1", 1)
    );
    // Whatever the lost may have given out is not given again.
    assert!(state.next_frontend > SKIPPED && state.generation > SKIPPED);
    let slots = state
        .loaded
        .values()
        .flat_map(|loaded| loaded.slots.values());
    assert!(slots.map(|slot| slot.incarnation).min() > Some(SKIPPED));
    let names: Vec<_> = state
        .nodes
        .values()
        .map(|node| node.name.as_str())
        .collect();
    assert_eq!(names, ["n3", "n4"]);
    assert!(kept.iter().all(|id| state.frontends.contains_key(id)));
    // Its copy is the last one; the other build had its only copy on a node that is gone.
    assert!(!matches!(
        status(&checked, "aaaa111"),
        BuildStatus::Failed { .. }
    ));
    assert!(matches!(
        status(&checked, "bbbb222"),
        BuildStatus::Failed { .. }
    ));
    assert_eq!(
        checked.commit(Time(21), recover).unwrap_err().code,
        Code::Stale
    );
    let unknown = Command::RecoverCluster(Recovered {
        generation: 2,
        survivor: NodeId(1),
    });
    assert_eq!(
        checked.commit(Time(22), unknown).unwrap_err().code,
        Code::UnknownNode
    );
    // A worker of before is nobody: what it says changes nothing.
    let report = Command::Observe {
        node: NodeId(1),
        reports: vec![Report {
            frontend: FrontendId(1),
            phase: Phase::Healthy,
            address: None,
            pid: None,
            reason: String::new(),
            exit: None,
        }],
    };
    let before = checked.state.frontends.clone();
    let _ = checked.commit(Time(23), report);
    assert_eq!(checked.state.frontends, before);
    // And nobody of before is asked to vote again.
    let next = plan(&checked.state, &Load::default(), Time(24));
    assert!(!format!("{:?}", next.commands).contains("NodeId(1)"));
}

#[test]
fn backups_are_due_by_their_schedule_and_kept_in_count() {
    let mut checked = cluster();
    let set = |every, keep, directory: Option<&str>| Command::SetBackupSchedule {
        schedule: Some(Schedule {
            every: Millis::seconds(every),
            keep,
            directory: directory.map(str::to_owned),
        }),
    };
    let taken = |at, node| Command::RecordBackup {
        node: NodeId(node),
        at: Time(at),
        result: BackupResult::Taken {
            index: at,
            path: format!("/b/{at}"),
            bytes: 1,
            hash: "ab".to_owned(),
        },
    };
    let unasked = checked.commit(Time(20), taken(20, 1)).unwrap_err();
    assert_eq!(unasked.code, Code::Stale);
    for (bad, why) in [
        (set(59, 1, None), "too often"),
        (set(40_000_000, 1, None), "too rarely"),
        (set(60, 0, None), "none kept"),
        (set(60, 1, Some("backups")), "relative"),
    ] {
        let refused = checked.commit(Time(20), bad).unwrap_err();
        assert_eq!(refused.code, Code::InvalidValue, "{why}");
    }
    checked.commit(Time(20), set(60, 2, None)).unwrap();
    for (at, node) in [(100, 1), (200, 1), (300, 1), (400, 3)] {
        checked.commit(Time(at), taken(at, node)).unwrap();
    }
    let kept: Vec<_> = checked.state.backups.taken.iter().map(|t| t.at.0).collect();
    assert_eq!(kept, [200, 300, 400], "two of each node");
    assert_eq!(checked.state.backups.due(), Some(Time(60_400)));
    let late = checked.commit(Time(401), taken(400, 1)).unwrap_err();
    assert_eq!(late.code, Code::Stale, "two leaders record one backup");
    checked.commit(Time(402), set(60, 2, None)).unwrap();
    assert_eq!(
        checked.state.backups.due(),
        Some(Time(0)),
        "set anew, due at once"
    );
    let off = Command::SetBackupSchedule { schedule: None };
    checked.commit(Time(402), off).unwrap();
    assert_eq!(checked.state.backups.due(), None);
}
