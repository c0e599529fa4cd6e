//! Services of which there may never be two: when another may be placed, and that nobody is called
//! lost before their worker has ended them.

use fleet_model::{
    Command, Time,
    command::{NewBuild, Report},
    frontend::{Desired, Frontend, Phase},
    ids::{FrontendId, NodeId},
    manifest::Service,
    node::{LOST_AFTER, Lease, SINGLETONS_KILLED_AFTER},
    plan::{IngressFacts, Load},
    time::Millis,
};

use crate::common::{Checked, app, digest, drain, environment, manifest, registration, web};

/// Two nodes, and a singleton that is healthy on one of them.
fn healthy() -> (Checked, Load, Frontend) {
    let mut checked = Checked::new();
    let singleton = Service {
        singleton: true,
        ..web()
    };
    let build = NewBuild {
        app: app("shop"),
        name: "aaaa111".to_owned(),
        message: "a change".to_owned(),
        digest: digest(1),
        size: 10,
        manifest: manifest(&[("clock", singleton)]),
        holder: NodeId(1),
        environment: None,
        description: None,
    };
    for command in [
        Command::RegisterNode(registration(1, Some(1))),
        Command::RegisterNode(registration(2, None)),
        Command::CreateApp {
            name: "shop".to_owned(),
        },
        Command::CreateBuild(build),
        Command::RecordCopy {
            digest: digest(1),
            node: NodeId(2),
        },
        Command::SetLimits {
            environment: environment("shop/prod"),
            limits: fleet_model::environment::Limits { min: 1, max: 1 },
        },
        Command::Load {
            environment: environment("shop/prod"),
            reference: "aaaa111".to_owned(),
        },
    ] {
        checked.commit(Time(10), command).unwrap();
    }
    let load = heard(&[1, 2], Time(10));
    checked.settle(&load, Time(10));
    let placed = only(&checked);
    let report = observed(&placed, Phase::Healthy);
    checked.commit(Time(20), report).unwrap();
    checked.settle(&load, Time(20));
    let placed = only(&checked);
    (checked, load, placed)
}

fn heard(nodes: &[u64], at: Time) -> Load {
    let facts = IngressFacts {
        heard: at,
        applied: u64::MAX,
        ..IngressFacts::default()
    };
    Load {
        since: Time(0),
        workers: nodes.iter().map(|node| (NodeId(*node), at)).collect(),
        ingresses: nodes
            .iter()
            .map(|node| (NodeId(*node), [(1, facts.clone())].into()))
            .collect(),
        ..Load::default()
    }
}

fn only(checked: &Checked) -> Frontend {
    let all: Vec<_> = checked.state.frontends.values().collect();
    let [one] = all.as_slice() else {
        panic!("one frontend expected: {all:#?}")
    };
    (*one).clone()
}

fn observed(frontend: &Frontend, phase: Phase) -> Command {
    Command::Observe {
        node: frontend.node,
        reports: vec![Report {
            frontend: frontend.id,
            phase,
            address: Some("10.0.0.1:20001".to_owned()),
            pid: None,
            reason: String::new(),
            exit: None,
        }],
    }
}

fn others(checked: &Checked, not: FrontendId) -> Vec<&Frontend> {
    let all = checked.state.frontends.values();
    all.filter(|frontend| frontend.id != not).collect()
}

#[test]
fn a_lost_singleton_never_runs_again_and_its_place_is_taken_from_then_on() {
    let (mut checked, mut load, first) = healthy();
    let elsewhere = NodeId(if first.node == NodeId(1) { 2 } else { 1 });
    let silent_at = Time(20);
    for second in 1..15 {
        let now = Time(20 + second * 1_000);
        load.workers.insert(elsewhere, now);
        checked.settle(&load, now);
        assert!(others(&checked, first.id).is_empty(), "after {second} s");
    }
    let lost_at = silent_at.plus(LOST_AFTER);
    load.workers.insert(elsewhere, lost_at);
    checked.settle(&load, lost_at);
    let gone = &checked.state.frontends[&first.id];
    assert_eq!(
        (gone.observed.phase, gone.desired),
        (Phase::Lost, Desired::Stop)
    );
    let [second] = others(&checked, first.id)[..] else {
        panic!("one replacement expected: {:#?}", checked.state.frontends)
    };
    assert_eq!(second.node, elsewhere);

    // Its worker comes back and tells how it ended it; nothing is left to do.
    let second = second.id;
    load.workers.insert(first.node, lost_at);
    checked.settle(&load, lost_at);
    let report = observed(&first, Phase::Stopped);
    checked.commit(lost_at, report).unwrap();
    checked.settle(&load, lost_at);
    assert_eq!(only(&checked).id, second);
}

#[test]
fn a_drained_singleton_is_over_before_another_is_placed() {
    let (mut checked, load, first) = healthy();
    let drained = drain(first.node, true);
    checked.commit(Time(30), drained).unwrap();
    for now in [30, 1_000] {
        checked.settle(&load, Time(now));
        assert!(others(&checked, first.id).is_empty(), "at {now}");
    }
    assert_eq!(only(&checked).desired, Desired::Stop, "it was let go");
    for phase in [Phase::Stopping, Phase::Stopped] {
        assert!(others(&checked, first.id).is_empty(), "before {phase}");
        checked
            .commit(Time(1_100), observed(&first, phase))
            .unwrap();
        checked.settle(&load, Time(1_100));
    }
    let second = only(&checked);
    assert_ne!((second.id, second.node), (first.id, first.node));
}

#[test]
fn a_verdict_that_comes_late_finds_a_worker_that_was_ready_since() {
    let (mut checked, _, first) = healthy();
    let node = first.node;
    let suspect = checked.mark(node, Lease::Ready, Lease::Suspect);
    checked.commit(Time(4_000), suspect).unwrap();
    let late = checked.mark(node, Lease::Suspect, Lease::Lost);
    // The worker is heard after all, and may have been told so; then it falls silent once more.
    for (from, to) in [
        (Lease::Suspect, Lease::Ready),
        (Lease::Ready, Lease::Suspect),
    ] {
        let mark = checked.mark(node, from, to);
        checked.commit(Time(16_000), mark).unwrap();
    }
    assert_eq!(
        checked
            .commit(Time(16_000), late)
            .unwrap_err()
            .code
            .as_str(),
        "STALE"
    );
    assert_eq!(only(&checked).observed.phase, Phase::Healthy);
}

/// Every time, by whichever clocks: the worker counts from when it sent the last heartbeat that was
/// confirmed, the leader from when it heard the last one at all, and both clocks may be wrong by 5 %,
/// a hundred times what NTP allows.
#[test]
fn the_worker_is_always_done_before_the_leader_begins() {
    let silence = lost_after();
    let rates = [950, 1_000, 1_050];
    let mut smallest = i64::MAX;
    for (worker_rate, leader_rate) in rates.iter().flat_map(|w| rates.map(|l| (*w, l))) {
        // Heartbeats leave each second of the worker until the network is cut; one may be heard and
        // its confirmation be lost.
        for (delay, unconfirmed, cut) in cuts() {
            let period = 1_000 * 1_000 / worker_rate;
            let beats: Vec<u64> = (0..)
                .map(|n| n * period)
                .take_while(|at| *at <= cut)
                .collect();
            let heard = beats[beats.len() - 1] + delay;
            let sent = beats[beats.len().saturating_sub(1 + unconfirmed)];
            let dead = sent + SINGLETONS_KILLED_AFTER.0 * 1_000 / worker_rate;
            let lost = heard + silence.0 * 1_000 / leader_rate;
            let margin = lost.cast_signed() - dead.cast_signed();
            assert!(
                margin > 0,
                "{worker_rate} {leader_rate} {delay} {cut}: {margin}"
            );
            smallest = smallest.min(margin);
        }
    }
    assert!(smallest >= 500, "the smallest margin was {smallest} ms");
}

/// Delays of the network, heartbeats whose confirmation was lost, and moments of the cut.
fn cuts() -> impl Iterator<Item = (u64, usize, u64)> {
    let delays = [0, 1, 200, 2_900, 9_000];
    let unconfirmed = [0, 1, 3];
    let moments = (5_000..6_100).step_by(37);
    delays.into_iter().flat_map(move |delay| {
        let moments = moments.clone();
        unconfirmed.into_iter().flat_map(move |lost| {
            let moments = moments.clone();
            moments.map(move |cut| (delay, lost, cut))
        })
    })
}

/// How long the leader, asked as often as can be, hears nothing before it says so.
fn lost_after() -> Millis {
    let (mut checked, load, first) = healthy();
    let (node, began) = (first.node, load.workers[&first.node]);
    for silence in (0..20_000).step_by(250) {
        let now = began.plus(Millis(silence));
        checked.settle(&load, now);
        if checked.state.nodes[&node].lease == Lease::Lost {
            return Millis(silence);
        }
    }
    panic!("never lost")
}
