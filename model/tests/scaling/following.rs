//! The count follows the load, fast up and carefully down, and says why.

use fleet_model::{
    command::{AutoscalingChange, TargetsChange},
    scaling::{Cause, Hold, PolicyKind, explain},
    time::Millis,
};

use super::cluster::Cluster;
use crate::common::service;

#[test]
fn ten_times_the_load_is_answered_within_three_seconds_and_the_start() {
    let mut cluster = Cluster::new();
    cluster.policy(PolicyKind::Target);
    cluster.set(AutoscalingChange::Targets(TargetsChange {
        cpu_percent: Some(None),
        concurrency: Some(Some(2)),
        ..TargetsChange::default()
    }));
    cluster.seconds(120);
    assert_eq!(cluster.count(), 2);
    cluster.demand = 2_000;
    let start_up = cluster.start_up.0 / 1000;
    let took = cluster.until(30, |cluster| cluster.healthy() > 2);
    assert!(took <= 3 + start_up, "{took} s: {:#?}", cluster.lines());
    let took = cluster.until(60, |cluster| cluster.healthy() >= 9);
    assert!(took <= 10, "{took} s: {:#?}", cluster.lines());
}

/// Two frontends at their limit cannot show what there is beyond it, which is 9.3 at the target, nor do
/// their ingresses know more than that somebody waits; it comes to light as others take their share.
#[test]
fn frontends_that_are_saturated_are_followed_by_the_second() {
    let mut cluster = Cluster::new();
    cluster.target(70);
    cluster.seconds(120);
    cluster.demand = 6_500;
    let took = cluster.until(30, |cluster| cluster.count() > 2);
    assert!(took <= 7, "{took} s: {:#?}", cluster.lines());
    assert_eq!(cluster.count(), 4);
    let took = cluster.until(120, |cluster| cluster.healthy() >= 9);
    assert!(took <= 60, "{took} s: {:#?}", cluster.lines());
    cluster.seconds(100);
    // 72 % of each is within the tolerance of 70 %.
    assert_eq!(cluster.count(), 9, "{:#?}", cluster.lines());
}

#[test]
fn a_calm_hour_lets_it_shrink_to_its_minimum_and_not_before_the_cooldown() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.demand = 1_900;
    cluster.until(240, |cluster| cluster.count() == 4);
    cluster.seconds(100);
    cluster.demand = 100;
    let took = cluster.until(900, |cluster| cluster.count() < 4);
    assert!((290..=370).contains(&took), "{took} s");
    // The load that the cooldown remembers fades over the length of a window.
    let took = cluster.until(900, |cluster| cluster.count() == 2);
    assert!(took <= 60, "{took} s");
    let last = cluster.decisions().pop().unwrap();
    assert_eq!(last.cause, Cause::Shrank);
    assert_eq!(
        last.line(),
        "4 -> 2: cpu 73 % over 20 s asks for ceil(73 / 50) = 2; 4 ready, bounds 2 to 20"
    );
    let events = &cluster.checked.state.events;
    let told = events
        .values()
        .rev()
        .find(|event| event.message.contains("4 -> 2"))
        .unwrap();
    assert!(told.message.starts_with("web 4 -> 2: "), "{told:?}");
}

#[test]
fn step_adds_and_removes_by_its_rates_and_not_within_the_grace_period() {
    let mut cluster = Cluster::new();
    cluster.policy(PolicyKind::Step);
    cluster.demand = 20_000;
    let took = cluster.until(400, |cluster| cluster.count() > 2);
    assert!(took >= 90, "two minutes make the mean: {took}");
    assert_eq!(cluster.count(), 3);
    let took = cluster.until(400, |cluster| cluster.count() > 3);
    assert!(took >= 295, "the grace period is five minutes: {took}");
    assert_eq!(cluster.count(), 4);
    cluster.demand = 0;
    let took = cluster.until(900, |cluster| cluster.count() < 4);
    assert!(took >= 295, "the mean is of six minutes: {took}");
    assert_eq!(cluster.count(), 3);
    let took = cluster.until(900, |cluster| cluster.count() < 3);
    assert!(took >= 295, "the grace period is five minutes: {took}");
    cluster.seconds(900);
    assert_eq!(cluster.count(), 2, "the minimum");
}

/// Flapping is damped: a load that swings as fast as the count is looked after changes it a few
/// times and then no more.
#[test]
fn a_load_that_swings_keeps_the_count_it_needs_when_it_is_high() {
    for period in [4, 10, 12, 60, 120] {
        let mut cluster = Cluster::new();
        cluster.target(50);
        let mut settled = 0;
        for second in 0..1200_u64 {
            let angle = (second % period) as f64 / period as f64 * std::f64::consts::TAU;
            cluster.demand = (1_500.0 + 900.0 * angle.sin()) as u64;
            cluster.second();
            if second == 600 {
                settled = cluster.changes();
            }
        }
        let changes = cluster.changes();
        assert!(
            changes <= 6,
            "{changes} changes at {period} s: {:#?}",
            cluster.lines()
        );
        assert_eq!(
            changes,
            settled,
            "still changing at {period} s: {:#?}",
            cluster.lines()
        );
    }
}

#[test]
fn a_mute_agent_holds_the_count_says_so_and_is_forgiven() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.set(AutoscalingChange::Cooldown(Millis::seconds(60)));
    cluster.demand = 1_900;
    cluster.until(240, |cluster| cluster.count() == 4);
    cluster.seconds(120);
    let mute = {
        let frontends = cluster.checked.state.frontends.values();
        frontends.map(|frontend| frontend.node).next().unwrap()
    };
    cluster.muted_agents.insert(mute);
    cluster.demand = 100;
    cluster.seconds(600);
    assert_eq!(cluster.count(), 4, "missing data lowers nothing");
    let held = cluster.decisions().pop().unwrap();
    assert!(
        matches!(held.cause, Cause::Held(Hold::UnheardFrontends { heard, of: 4 }) if heard < 4),
        "{held:?}"
    );
    assert!(held.line().contains("frontends were heard of lately"));
    cluster.muted_agents.clear();
    let took = cluster.until(300, |cluster| cluster.count() == 2);
    assert!(took >= 55, "a window must be whole first: {took}");
}

/// Those of the other nodes stand for those that nobody hears of, and the decision says so.
#[test]
fn a_mute_agent_does_not_blind_growth() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.demand = 1_900;
    cluster.until(240, |cluster| cluster.count() == 4);
    cluster.seconds(60);
    let mut of_node = std::collections::BTreeMap::<_, u32>::new();
    for frontend in cluster.checked.state.frontends.values() {
        *of_node.entry(frontend.node).or_default() += 1;
    }
    let mute = *of_node.iter().max_by_key(|(_, count)| **count).unwrap().0;
    cluster.muted_agents.insert(mute);
    cluster.seconds(60);
    assert_eq!(cluster.count(), 4, "silence asks for nothing by itself");
    cluster.demand = 3_000;
    let took = cluster.until(60, |cluster| cluster.count() >= 6);
    assert!(took <= 45, "{took} s");
    cluster.seconds(120);
    assert_eq!(cluster.count(), 6, "{:#?}", cluster.lines());
    let lines = cluster.lines();
    assert!(
        lines.iter().any(|line| line.contains(" of them unheard, ")),
        "{lines:#?}"
    );
}

/// Scaled by requests alone, `rps` a second for each.
fn by_requests(rps: u32) -> Cluster {
    let mut cluster = Cluster::new();
    cluster.policy(PolicyKind::Target);
    cluster.set(AutoscalingChange::Cooldown(Millis::seconds(60)));
    cluster.set(AutoscalingChange::Targets(TargetsChange {
        cpu_percent: Some(None),
        rps: Some(Some(rps)),
        ..TargetsChange::default()
    }));
    cluster
}

#[test]
fn a_mute_ingress_holds_a_count_that_follows_requests() {
    let mut cluster = by_requests(40);
    cluster.demand = 2_000;
    cluster.until(300, |cluster| cluster.count() >= 4);
    cluster.seconds(120);
    let before = cluster.count();
    cluster.muted_ingresses.insert(fleet_model::ids::NodeId(2));
    cluster.demand = 100;
    cluster.seconds(300);
    assert_eq!(cluster.count(), before);
    let held = cluster.decisions().pop().unwrap();
    assert_eq!(
        held.cause,
        Cause::Held(Hold::UnheardIngresses { heard: 2, of: 3 })
    );
    cluster.muted_ingresses.clear();
    // It was there before: its silence is a gap, and no window begins anew.
    cluster.until(5, |cluster| {
        let last = cluster.decisions().pop().unwrap();
        matches!(last.cause, Cause::Held(Hold::Gap { .. }))
    });
    assert_eq!(cluster.count(), before);
    cluster.until(300, |cluster| cluster.count() == 2);
}

#[test]
fn an_ingress_that_comes_back_does_not_make_growth_blind() {
    let mut cluster = by_requests(10);
    cluster.seconds(60);
    assert_eq!(cluster.count(), 2);
    cluster.muted_ingresses.insert(fleet_model::ids::NodeId(2));
    cluster.seconds(20);
    cluster.muted_ingresses.clear();
    cluster.demand = 2_000;
    let took = cluster.until(10, |cluster| cluster.count() > 2);
    assert!(took <= 3, "as if nothing had happened, not after {took} s");
}

#[test]
fn another_leader_neither_doubles_a_step_nor_shrinks() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.start_up = Millis::seconds(30);
    cluster.demand = 1_600;
    cluster.until(60, |cluster| cluster.count() > 2);
    let grown = cluster.count();
    cluster.lead();
    for _ in 0..20 {
        cluster.second();
        // Two frontends are at their limit until the others have started; those count already.
        assert_eq!(cluster.count(), grown, "{:#?}", cluster.lines());
    }
    cluster.until(200, |cluster| cluster.healthy() >= 4);
    cluster.demand = 100;
    cluster.lead();
    let before = cluster.count();
    for _ in 0..290 {
        cluster.second();
        assert_eq!(cluster.count(), before, "the windows are not filled");
    }
    cluster.until(300, |cluster| cluster.count() == 2);
}

#[test]
fn another_leader_keeps_to_the_grace_period() {
    let mut cluster = Cluster::new();
    cluster.policy(PolicyKind::Step);
    cluster.demand = 20_000;
    cluster.until(400, |cluster| cluster.count() > 2);
    cluster.seconds(60);
    cluster.lead();
    let took = cluster.until(400, |cluster| cluster.count() > 3);
    assert!(took >= 235, "{took} s: {:#?}", cluster.lines());
    assert_eq!(cluster.count(), 4);
}

#[test]
fn what_cannot_be_placed_is_said_with_numbers_and_placed_when_there_is_room() {
    use fleet_model::report::Reason;
    let mut described = crate::common::web();
    described.requests.cpu_millicores = Some(1000);
    let mut cluster = Cluster::with(described);
    // Three nodes of two cores each.
    for node in 1..=3 {
        cluster.commit(facts(node, 2_000));
    }
    cluster.target(25);
    cluster.demand = 1_950;
    cluster.until(120, |cluster| cluster.count() >= 8);
    cluster.seconds(20);
    assert_eq!(cluster.healthy(), 6);
    let wanted = cluster.count();
    let said = cluster
        .waiting
        .waiting
        .iter()
        .find_map(|waiting| match &waiting.reason {
            Reason::NoNode { missing, .. } => Some((*missing, waiting.reason.to_string())),
            _ => None,
        });
    let (missing, sentence) = said.expect("it says what is missing");
    assert_eq!(missing, wanted - 6);
    assert_eq!(
        sentence,
        format!(
            "no node can take {missing} more of web, 6 of {wanted} are placed: 3 have not the cpu \
             it requests"
        )
    );
    cluster.commit(facts(2, 8_000));
    cluster.until(30, |cluster| cluster.healthy() == wanted);
}

fn facts(node: u64, cpu_millicores: u64) -> fleet_model::Command {
    fleet_model::Command::RecordFacts {
        node: fleet_model::ids::NodeId(node),
        facts: fleet_model::node::Facts {
            version: "1".to_owned(),
            boot: "b".to_owned(),
            cpu_millicores,
            memory_bytes: 64 << 30,
            capabilities: Vec::new(),
        },
    }
}

#[test]
fn it_is_explained_while_it_holds() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.seconds(100);
    let (key, _) = cluster.active();
    let explain = |cluster: &Cluster| {
        let state = &cluster.checked.state;
        explain(state, &cluster.load, &key, &service("web"), cluster.now).unwrap()
    };
    let calm = explain(&cluster);
    assert_eq!(calm.next, "it stays at 2: the load asks for nothing else");
    assert_eq!((calm.desired, calm.ready), (2, 2));
    // Of the four signals memory has nothing to be a share of.
    let measured: Vec<(&str, u64)> = calm
        .measures
        .iter()
        .map(|m| (m.signal.as_str(), m.slow))
        .collect();
    assert_eq!(
        measured,
        [("cpu", 10_000), ("requests", 9_000), ("in flight", 1_000)]
    );
    let last = calm.history.last().unwrap();
    assert_eq!((last.frontends, last.cpu_millicores), (2_000, 200));
    assert!(calm.p95_usec.is_some());
    cluster.demand = 2_000;
    cluster.until(200, |cluster| cluster.count() == 4);
    cluster.lead();
    cluster.seconds(20);
    let young = explain(&cluster);
    assert!(
        young
            .next
            .starts_with("it stays at 4: the windows are not filled yet"),
        "{}",
        young.next
    );
}
