//! What people set: counts, limits and the numbers of the policies.

use fleet_model::{
    Command,
    command::{AutoscalingChange, Code, Scale, TargetsChange},
    environment::Limits,
    scaling::PolicyKind,
    time::Millis,
};

use super::cluster::{Cluster, prod};

#[test]
fn a_number_that_is_set_counts_from_then_on() {
    let mut cluster = Cluster::new();
    let policy = |cluster: &Cluster| {
        let environment = &cluster.checked.state.environments[&prod()];
        environment.settings.autoscaling.policy
    };
    assert_eq!(policy(&cluster), PolicyKind::Target);
    cluster.set(AutoscalingChange::GracePeriod(Millis::seconds(60)));
    assert_eq!(policy(&cluster), PolicyKind::Step);
    let last = cluster.checked.state.events.values().next_back().unwrap();
    let said = "autoscaling grace period 5 min -> 1 min, and the policy target -> step";
    assert_eq!(last.message, said);
    cluster.set(AutoscalingChange::Cooldown(Millis::seconds(60)));
    assert_eq!(policy(&cluster), PolicyKind::Target);
}

#[test]
fn a_count_set_by_hand_stays_for_the_cooldown_and_then_follows_the_load() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.seconds(400);
    cluster.commit(Command::SetDesired {
        environment: prod(),
        reference: None,
        count: 8,
    });
    let took = cluster.until(900, |cluster| cluster.count() < 8);
    assert!((295..=310).contains(&took), "{took} s");
    assert_eq!(cluster.count(), 2);
}

#[test]
fn a_pinned_service_is_not_touched_and_nothing_is_said_of_it() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.commit(Command::Scale(Scale {
        environment: prod(),
        service: "web".to_owned(),
        count: Some(3),
        min: Some(3),
        max: Some(3),
        cpu_millicores: None,
        memory_bytes: None,
    }));
    cluster.demand = 9_000;
    cluster.seconds(300);
    assert_eq!(cluster.count(), 3);
    assert!(cluster.decisions().is_empty(), "{:#?}", cluster.lines());
}

#[test]
fn new_limits_count_at_once_and_growth_stops_at_them() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.demand = 4_000;
    cluster.until(300, |cluster| cluster.count() == 8);
    cluster.commit(Command::SetLimits {
        environment: prod(),
        limits: Limits { min: 2, max: 5 },
    });
    assert_eq!(cluster.count(), 5);
    cluster.seconds(120);
    assert_eq!(cluster.count(), 5);
    let held = cluster.lines().pop().unwrap();
    assert!(
        held.starts_with("held at 5: the load asks for more than the maximum"),
        "{held}"
    );
}

#[test]
fn a_deploy_keeps_the_count() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.demand = 2_000;
    cluster.until(300, |cluster| cluster.count() == 4);
    cluster.build("bbbb222", 2, crate::common::web());
    cluster.promote("bbbb222");
    cluster.until(120, |cluster| cluster.active().1.name == "bbbb222");
    assert_eq!(cluster.count(), 4);
    cluster.seconds(60);
    assert_eq!(cluster.count(), 4, "{:#?}", cluster.lines());
}

#[test]
fn numbers_that_make_no_sense_are_refused_with_a_word_of_help() {
    let mut cluster = Cluster::new();
    let targets = |cpu, rps| {
        AutoscalingChange::Targets(TargetsChange {
            cpu_percent: cpu,
            rps,
            ..TargetsChange::default()
        })
    };
    let wrong = [
        AutoscalingChange::Thresholds {
            down_percent: 80,
            up_percent: 80,
        },
        AutoscalingChange::Thresholds {
            down_percent: 20,
            up_percent: 2000,
        },
        AutoscalingChange::Rates {
            remove: 0,
            add_percent: 10,
        },
        AutoscalingChange::Rates {
            remove: 1,
            add_percent: 0,
        },
        AutoscalingChange::GracePeriod(Millis::seconds(59)),
        AutoscalingChange::Cooldown(Millis::seconds(7200)),
        targets(Some(Some(0)), None),
        targets(Some(None), None),
    ];
    for change in wrong {
        let before = cluster.checked.state.environments[&prod()].settings.clone();
        let asked = Command::SetAutoscaling {
            environment: prod(),
            change,
        };
        let refused = cluster.checked.commit(cluster.now, asked).unwrap_err();
        assert_eq!(refused.code, Code::InvalidValue, "{change:?}");
        assert_eq!(cluster.checked.state.environments[&prod()].settings, before);
    }
    for right in [
        AutoscalingChange::Thresholds {
            down_percent: 10,
            up_percent: 60,
        },
        AutoscalingChange::Rates {
            remove: 2,
            add_percent: 50,
        },
        AutoscalingChange::GracePeriod(Millis::seconds(60)),
        AutoscalingChange::Policy(PolicyKind::Target),
        // The one target may go when there is another.
        targets(Some(None), Some(Some(100))),
        AutoscalingChange::Cooldown(Millis(0)),
    ] {
        cluster.set(right);
    }
    let last = cluster.checked.state.events.values().next_back().unwrap();
    assert_eq!(last.message, "autoscaling cooldown 5 min -> 0 ms");
    let set = cluster.checked.state.environments[&prod()]
        .settings
        .autoscaling;
    assert_eq!((set.target.cpu_percent, set.target.rps), (None, Some(100)));
}
