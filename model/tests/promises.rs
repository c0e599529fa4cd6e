//! Promises that were broken once, each as small as it was found.

use fleet_model::{
    Command, Time,
    command::{Advance, Report},
    environment::LoadedStatus,
    frontend::Phase,
    ids::{FrontendId, NodeId},
    node::Lease,
    plan::{IngressFacts, Load, plan},
    rollout,
};

use crate::common::{Checked, app, build_of, digest, environment, registration, removal};

/// One node, `shop/prod`, and a release whose two frontends are placed.
fn loaded() -> (Checked, Load) {
    let mut checked = Checked::new();
    let load = Load {
        workers: [(NodeId(1), Time(10))].into(),
        ..Load::default()
    };
    for command in [
        Command::RegisterNode(registration(1, Some(1))),
        Command::CreateApp {
            name: "shop".to_owned(),
        },
        build_of("aaaa111", 1),
        Command::Load {
            environment: environment("shop/prod"),
            reference: "aaaa111".to_owned(),
        },
    ] {
        checked.commit(Time(10), command).unwrap();
    }
    checked.settle(&load, Time(10));
    (checked, load)
}

fn report(frontend: u64, phase: Phase, address: Option<&str>) -> Command {
    Command::Observe {
        node: NodeId(1),
        reports: vec![Report {
            frontend: FrontendId(frontend),
            phase,
            address: address.map(str::to_owned),
            pid: None,
            reason: String::new(),
            exit: None,
        }],
    }
}

fn mark(checked: &Checked, from: Lease, to: Lease) -> Command {
    checked.mark(NodeId(1), from, to)
}

fn active() -> (Checked, Load) {
    let (mut checked, load) = loaded();
    for frontend in 1..=2 {
        let healthy = report(frontend, Phase::Healthy, Some("10.0.0.1:20001"));
        checked.commit(Time(20), healthy).unwrap();
    }
    checked.settle(&load, Time(20));
    let activate = Command::Activate {
        environment: environment("shop/prod"),
        reference: "aaaa111".to_owned(),
        now: false,
    };
    checked.commit(Time(30), activate).unwrap();
    (checked, load)
}

#[test]
fn a_repeated_report_is_no_news() {
    let (mut checked, _) = loaded();
    let healthy = report(1, Phase::Healthy, Some("10.0.0.1:20001"));
    checked.commit(Time(20), healthy.clone()).unwrap();
    let before = checked.state.frontends.clone();
    checked.commit(Time(21), healthy).unwrap();
    checked
        .commit(Time(22), report(1, Phase::Healthy, None))
        .unwrap();
    assert_eq!(checked.state.frontends, before);
}

#[test]
fn what_served_stays_routed_when_its_node_is_lost_twice() {
    let (mut checked, _) = active();
    for (from, to) in [
        (Lease::Ready, Lease::Lost),
        (Lease::Lost, Lease::Ready),
        (Lease::Ready, Lease::Lost),
    ] {
        let mark = mark(&checked, from, to);
        checked.commit(Time(40), mark).unwrap();
    }
    assert!(
        checked
            .state
            .frontends
            .values()
            .all(|frontend| frontend.routable())
    );
}

#[test]
fn a_suspect_node_with_frontends_is_not_removed() {
    let (mut checked, _) = active();
    let suspect = mark(&checked, Lease::Ready, Lease::Suspect);
    checked.commit(Time(40), suspect).unwrap();
    let remove = removal(NodeId(1));
    let refused = checked.commit(Time(41), remove.clone()).unwrap_err();
    assert_eq!(refused.code.as_str(), "IN_USE");
    let lost = mark(&checked, Lease::Suspect, Lease::Lost);
    checked.commit(Time(42), lost).unwrap();
    checked.commit(Time(43), remove).unwrap();
}

#[test]
fn a_build_is_complete_when_fewer_copies_are_enough() {
    let (mut checked, _) = loaded();
    let second = checked
        .commit(Time(11), Command::RegisterNode(registration(2, None)))
        .unwrap();
    checked.commit(Time(12), build_of("bbbb222", 2)).unwrap();
    let available = |checked: &Checked| {
        let build = checked
            .state
            .builds
            .values()
            .find(|b| b.digest == digest(2));
        build.unwrap().status == fleet_model::build::BuildStatus::Complete
    };
    assert!(!available(&checked));
    let fleet_model::Detail::Node(node) = second.detail else {
        panic!("{second:?}")
    };
    checked.commit(Time(13), removal(node)).unwrap();
    assert!(available(&checked));
}

#[test]
fn a_new_leader_calls_nothing_drained_before_it_has_heard() {
    let (mut checked, mut load) = active();
    let heard = |busy: bool, generation, now| IngressFacts {
        heard: now,
        applied: generation,
        outdated: busy
            .then(|| (environment("shop/prod"), generation - 1))
            .into_iter()
            .collect(),
        ..IngressFacts::default()
    };
    let generation = checked.state.generation;
    let busy = heard(true, generation, Time(40));
    load.ingresses.insert(NodeId(1), [(1, busy)].into());
    checked.settle(&load, Time(40));
    let phase = |checked: &Checked| {
        checked.state.rollouts[&environment("shop/prod")]
            .phase
            .clone()
    };
    assert_eq!(phase(&checked), rollout::Phase::Draining { generation });

    let mut new = Load {
        since: Time(50),
        ..Load::default()
    };
    let planned = plan(&checked.state, &new, Time(51));
    let advances = |command: &Command| matches!(command, Command::AdvanceRollout { .. });
    assert!(!planned.commands.iter().any(advances), "{planned:#?}");
    assert_eq!(
        planned.waiting.first().map(|wait| wait.reason.to_string()),
        Some("a new leader waits to hear from n1".to_owned())
    );

    let idle = heard(false, generation, Time(52));
    new.ingresses.insert(NodeId(1), [(1, idle)].into());
    checked.settle(&new, Time(52));
    assert_eq!(phase(&checked), rollout::Phase::Complete { generation });
}

#[test]
fn only_what_is_loading_ends_loading() {
    let (mut checked, _) = active();
    let (loaded, assumed) = {
        let (key, loaded) = checked.state.loaded.iter().next().unwrap();
        assert_eq!(loaded.status, LoadedStatus::Active);
        (key.clone(), loaded.revision)
    };
    for verdict in [
        fleet_model::command::Verdict::Running,
        fleet_model::command::Verdict::Failed {
            reason: "late".to_owned(),
        },
    ] {
        let settle = Command::SettleLoaded {
            loaded: loaded.clone(),
            assumed,
            verdict,
        };
        assert!(checked.commit(Time(60), settle).is_err());
    }
}

#[test]
fn hosts_move_with_the_domain() {
    let mut checked = Checked::new();
    for command in [
        Command::CreateApp {
            name: "shop".to_owned(),
        },
        Command::InitCluster {
            id: "c1".to_owned(),
            name: "demo".to_owned(),
            domain: "example.org".to_owned(),
        },
    ] {
        checked.commit(Time(1), command).unwrap();
    }
    let key = environment("shop/prod");
    assert_eq!(checked.state.route_changes[&key], checked.state.generation);
    assert_eq!(checked.state.generation, 2);
}

#[test]
fn an_environment_that_ends_is_nobodys_default() {
    let (mut checked, _) = loaded();
    let staging = environment("shop/staging");
    let create = Command::CreateEnvironment {
        app: app("shop"),
        name: "staging".to_owned(),
    };
    checked.commit(Time(11), create).unwrap();
    let load = Command::Load {
        environment: staging.clone(),
        reference: "aaaa111".to_owned(),
    };
    checked.commit(Time(12), load).unwrap();
    let destroy = Command::DestroyEnvironment {
        environment: staging.clone(),
    };
    checked.commit(Time(13), destroy).unwrap();
    let default = Command::SetDefaultEnvironment {
        app: staging.app,
        environment: staging.name,
    };
    let refused = checked.commit(Time(14), default).unwrap_err();
    assert_eq!(refused.code.as_str(), "DESTROYING");
}

#[test]
fn a_switch_back_of_nothing_has_no_previous() {
    let (mut checked, mut load) = active();
    let facts = IngressFacts {
        heard: Time(40),
        applied: u64::MAX,
        ..IngressFacts::default()
    };
    load.ingresses.insert(NodeId(1), [(1, facts)].into());
    let key = environment("shop/prod");
    checked.settle(&load, Time(40));
    let deactivate = Command::Deactivate {
        environment: key.clone(),
    };
    checked.commit(Time(41), deactivate).unwrap();
    checked.settle(&load, Time(41));
    let again = Command::Activate {
        environment: key.clone(),
        reference: "previous".to_owned(),
        now: false,
    };
    checked.commit(Time(42), again).unwrap();
    let previous = &checked.state.environments[&key].previous;
    assert_eq!(*previous, fleet_model::environment::Previous::None);
}

#[test]
fn a_command_of_another_rollout_moves_nothing() {
    let (mut checked, _) = active();
    let current = checked.state.rollouts.values().next().unwrap().clone();
    let advance = Command::AdvanceRollout {
        environment: current.environment,
        rollout: fleet_model::ids::RolloutId(current.id.0 - 1),
        assumed: current.revision,
        step: Advance::Drained,
    };
    assert!(checked.commit(Time(50), advance).is_err());
}
