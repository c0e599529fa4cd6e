//! Growth and rollouts at the same time: neither fights the other.

use fleet_model::{
    Command,
    command::{AutoscalingChange, Scale, TargetsChange},
    environment::LoadedStatus,
    rollout::Phase,
    scaling::{Cause, Hold},
    time::Millis,
};

use super::cluster::{Cluster, prod};
use crate::common::{service, web};

/// A load beyond what two frontends carry, a release that is about to take over, and the first of
/// its frontends just healthy.
fn growing() -> Cluster {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.start_up = Millis::seconds(5);
    cluster.build("bbbb222", 2, web());
    cluster.seconds(30);
    cluster.demand = 4_000;
    cluster.promote("bbbb222");
    cluster
}

#[test]
fn a_promotion_in_the_middle_of_growth_ends_with_what_the_load_needs() {
    let mut cluster = growing();
    let mut most = 0;
    cluster.until(120, |cluster| cluster.active().1.name == "bbbb222");
    while cluster.checked.state.is_rolling(&prod()) {
        cluster.second();
        most = most.max(cluster.count());
        assert!(cluster.count() <= 20 && cluster.healthy() >= 2);
    }
    assert!(
        most > 2,
        "it grew while it was rolled out: {:#?}",
        cluster.lines()
    );
    let phase = &cluster.checked.state.rollouts[&prod()].phase;
    assert!(matches!(phase, Phase::Complete { .. }), "{phase:?}");
    cluster.until(120, |cluster| cluster.healthy() == 8);
    cluster.seconds(60);
    assert_eq!(cluster.count(), 8, "{:#?}", cluster.lines());
}

#[test]
fn a_promotion_that_is_cancelled_goes_back_to_what_the_load_needs() {
    let mut cluster = growing();
    let aims = |cluster: &Cluster| {
        let roll = cluster.checked.state.rollouts[&prod()]
            .roll()
            .cloned()
            .unwrap();
        (
            roll.targets[&service("web")],
            roll.outgoing[&service("web")],
        )
    };
    cluster.until(60, |cluster| aims(cluster).0 > 2);
    let (there, back) = aims(&cluster);
    assert_eq!(there, back);
    cluster.commit(Command::CancelRollout {
        environment: prod(),
    });
    cluster.until(120, |cluster| !cluster.checked.state.is_rolling(&prod()));
    assert_eq!(cluster.active().1.name, "aaaa111");
    assert!(cluster.count() >= back);
    cluster.until(120, |cluster| cluster.healthy() == 8);
}

/// Old frontends fill the cluster: what autoscaling would add has room only when they have gone.
#[test]
fn a_full_cluster_does_not_hold_a_promotion_up() {
    let mut described = web();
    described.requests.cpu_millicores = Some(1000);
    let mut cluster = Cluster::with(described.clone());
    for node in 1..=3 {
        cluster.commit(Command::RecordFacts {
            node: fleet_model::ids::NodeId(node),
            facts: fleet_model::node::Facts {
                version: "1".to_owned(),
                boot: "b".to_owned(),
                cpu_millicores: 1_000,
                memory_bytes: 64 << 30,
                capabilities: Vec::new(),
            },
        });
    }
    cluster.target(50);
    cluster.build("bbbb222", 2, described);
    cluster.seconds(30);
    cluster.promote("bbbb222");
    cluster.demand = 6_000;
    let took = cluster.until(300, |cluster| {
        let phase = &cluster.checked.state.rollouts[&prod()].phase;
        matches!(phase, Phase::Complete { .. })
    });
    assert!(took < 120, "{took} s");
    assert!(cluster.count() > 3, "{:#?}", cluster.lines());
    assert_eq!(cluster.healthy(), 3, "as many as there is room for");
}

#[test]
fn nothing_shrinks_while_a_rollout_is_under_way() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.demand = 2_000;
    cluster.until(200, |cluster| cluster.count() == 4);
    cluster.build("bbbb222", 2, web());
    cluster.demand = 100;
    cluster.seconds(200);
    // It never gets healthy: the promotion lasts until its deadline.
    cluster.start_up = Millis::seconds(10_000);
    cluster.promote("bbbb222");
    while cluster.checked.state.is_rolling(&prod()) {
        assert!(cluster.healthy() >= 4, "{:#?}", cluster.lines());
        cluster.second();
    }
    let held = cluster
        .checked
        .state
        .loaded
        .values()
        .flat_map(|loaded| loaded.scaling.values());
    let said = held
        .flat_map(|past| past.decisions.iter())
        .any(|decision| decision.cause == Cause::Held(Hold::Rollout));
    assert!(said, "it says that it waits for the rollout");
}

#[test]
fn a_release_that_was_displaced_stays_warm_and_then_shrinks() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.demand = 2_000;
    cluster.until(200, |cluster| cluster.count() == 4);
    cluster.build("bbbb222", 2, web());
    cluster.commit(Command::Load {
        environment: prod(),
        reference: "bbbb222".to_owned(),
    });
    let standing = |cluster: &Cluster, name: &str| {
        let loaded = cluster.checked.state.loaded.values();
        let loaded = loaded
            .filter(|l| l.name == name)
            .map(|l| (l.status.clone(), l.desired[&service("web")]));
        loaded.max_by_key(|(_, count)| *count)
    };
    cluster.until(60, |cluster| {
        standing(cluster, "bbbb222").unwrap().0 == LoadedStatus::Running
    });
    cluster.commit(Command::Activate {
        environment: prod(),
        reference: "bbbb222".to_owned(),
        now: false,
    });
    cluster.until(60, |cluster| cluster.active().1.name == "bbbb222");
    assert_eq!(cluster.count(), 4, "warmed up to the count of the other");
    cluster.until(60, |cluster| !cluster.checked.state.is_rolling(&prod()));
    let took = cluster.until(2_000, |cluster| standing(cluster, "aaaa111").unwrap().1 < 4);
    assert!(
        took >= 890,
        "the rollback window is fifteen minutes: {took} s"
    );
    cluster.until(120, |cluster| {
        standing(cluster, "aaaa111") == Some((LoadedStatus::Running, 2))
    });
}

#[test]
fn what_is_being_activated_grows_with_the_release_it_takes_over_from() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.build("bbbb222", 2, web());
    cluster.commit(Command::Load {
        environment: prod(),
        reference: "bbbb222".to_owned(),
    });
    cluster.seconds(30);
    // So that it has to warm up, and that takes a while.
    cluster.commit(Command::Scale(Scale {
        environment: prod(),
        service: "web".to_owned(),
        count: Some(4),
        min: None,
        max: None,
        cpu_millicores: None,
        memory_bytes: None,
    }));
    cluster.seconds(10);
    cluster.start_up = Millis::seconds(20);
    cluster.commit(Command::Activate {
        environment: prod(),
        reference: "bbbb222".to_owned(),
        now: false,
    });
    cluster.demand = 4_000;
    cluster.until(120, |cluster| cluster.active().1.name == "bbbb222");
    assert!(cluster.count() >= 8, "{}", cluster.count());
}

/// What a release has not carried for long says nothing of what it will have to carry.
#[test]
fn a_release_that_takes_over_keeps_the_count_that_the_load_needs() {
    for (by_requests, at_once) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut cluster = Cluster::new();
        cluster.target(50);
        cluster.set(AutoscalingChange::Cooldown(Millis::seconds(10)));
        cluster.commit(Command::SetGuard {
            environment: prod(),
            guard: Millis::seconds(3),
        });
        if by_requests {
            cluster.set(AutoscalingChange::Targets(TargetsChange {
                cpu_percent: Some(None),
                rps: Some(Some(48)),
                ..TargetsChange::default()
            }));
        }
        cluster.build("bbbb222", 2, web());
        cluster.commit(Command::Load {
            environment: prod(),
            reference: "bbbb222".to_owned(),
        });
        cluster.demand = 4_000;
        cluster.until(300, |cluster| cluster.count() >= 8);
        cluster.seconds(1_000);
        assert_eq!(cluster.count(), 8, "{:#?}", cluster.lines());
        if at_once {
            cluster.commit(Command::Activate {
                environment: prod(),
                reference: "bbbb222".to_owned(),
                now: false,
            });
        } else {
            cluster.promote("bbbb222");
        }
        cluster.until(200, |cluster| cluster.active().1.name == "bbbb222");
        for second in 0..100 {
            assert!(
                cluster.count() >= 8,
                "by requests {by_requests}, at once {at_once}, {second} s: {:#?}",
                cluster.lines()
            );
            cluster.second();
        }
    }
}
