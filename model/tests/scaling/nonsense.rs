//! Samples that make no sense: counters that run backwards, clocks that jump, numbers that no
//! machine has. They count as missing, and what is missing lowers nothing.

use fleet_model::{
    Time,
    ids::{FrontendId, NodeId},
    scaling::{FrontendTraffic, FrontendUsage},
    time::Millis,
};
use proptest::{collection::vec, prelude::*};

use super::cluster::Cluster;

/// What goes wrong in one second.
#[derive(Clone, Copy, Debug)]
enum Lie {
    /// The counter of a frontend is this.
    Counter {
        frontend: u64,
        cpu_usec: u64,
        memory_bytes: u64,
    },
    /// The clock of the node is off by this.
    Clock { frontend: u64, sampled: u64 },
    /// An ingress says this of a frontend.
    Traffic {
        frontend: u64,
        requests: u64,
        in_flight: u64,
    },
    /// A process nobody has heard of speaks.
    Stranger { process: u64 },
    /// The leader's clock jumps forward.
    Jump { seconds: u64 },
}

fn lie() -> impl Strategy<Value = Lie> {
    let number = || prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), 0..10_000_000_u64];
    let frontend = || 1..6_u64;
    prop_oneof![
        (frontend(), number(), number()).prop_map(|(frontend, cpu_usec, memory_bytes)| {
            Lie::Counter {
                frontend,
                cpu_usec,
                memory_bytes,
            }
        }),
        (frontend(), number()).prop_map(|(frontend, sampled)| Lie::Clock { frontend, sampled }),
        (frontend(), number(), number()).prop_map(|(frontend, requests, in_flight)| {
            Lie::Traffic {
                frontend,
                requests,
                in_flight,
            }
        }),
        any::<u64>().prop_map(|process| Lie::Stranger { process }),
        prop_oneof![1..20_u64, 3_600..4_000_u64].prop_map(|seconds| Lie::Jump { seconds }),
    ]
}

fn tell(cluster: &mut Cluster, lie: Lie) {
    let Cluster {
        checked,
        signals,
        now,
        ..
    } = cluster;
    let state = &checked.state;
    let usage = |frontend: u64, sampled: Time, cpu_usec, memory_bytes| FrontendUsage {
        frontend: FrontendId(frontend),
        sampled,
        cpu_usec,
        memory_bytes,
        processes: 1,
    };
    let node_of = |frontend: u64| {
        let frontend = state.frontends.get(&FrontendId(frontend));
        frontend.map_or(NodeId(1), |frontend| frontend.node)
    };
    match lie {
        Lie::Counter {
            frontend,
            cpu_usec,
            memory_bytes,
        } => {
            let sample = usage(frontend, *now, cpu_usec, memory_bytes);
            signals.usage(state, node_of(frontend), *now, &[sample]);
        }
        Lie::Clock { frontend, sampled } => {
            let sample = usage(frontend, Time(sampled), 1, 1);
            signals.usage(state, node_of(frontend), *now, &[sample]);
        }
        Lie::Traffic {
            frontend,
            requests,
            in_flight,
        } => {
            let report = FrontendTraffic {
                frontend: FrontendId(frontend),
                requests,
                server_errors: requests,
                connection_errors: in_flight,
                in_flight,
                latency: vec![(u32::MAX, 1), (127, u32::MAX), (127, u32::MAX)],
            };
            signals.traffic(state, NodeId(1), 1, *now, &[report]);
        }
        Lie::Stranger { process } => signals.traffic(state, NodeId(2), process, *now, &[]),
        Lie::Jump { seconds } => *now = now.plus(Millis::seconds(seconds)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    /// Under a load that needs its four frontends, no lie takes one away; `Checked` holds the
    /// bounds at every command.
    #[test]
    fn no_lie_lowers_a_count_that_is_needed(lies in vec((0..30_u64, lie()), 1..12)) {
        let mut cluster = Cluster::new();
        cluster.target(50);
        cluster.demand = 2_000;
        cluster.until(200, |cluster| cluster.count() == 4);
        cluster.seconds(20);
        for (after, lie) in lies {
            cluster.seconds(after);
            tell(&mut cluster, lie);
            cluster.plan();
            prop_assert!(cluster.count() >= 4, "after {lie:?}: {:#?}", cluster.lines());
        }
        for _ in 0..400 {
            cluster.second();
            prop_assert!(cluster.count() >= 4, "{:#?}", cluster.lines());
        }
    }
}

#[test]
fn a_clock_that_is_set_back_begins_the_windows_anew() {
    let mut cluster = Cluster::new();
    cluster.target(50);
    cluster.demand = 2_000;
    cluster.until(200, |cluster| cluster.count() == 4);
    cluster.seconds(30);
    cluster.now = Time(cluster.now.0 - 3_600_000);
    for _ in 0..400 {
        cluster.second();
        assert_eq!(cluster.count(), 4, "{:#?}", cluster.lines());
    }
}

#[test]
fn those_who_speak_of_frontends_that_are_not_theirs_are_not_heard() {
    let mut cluster = Cluster::new();
    cluster.signals = fleet_model::scaling::Signals::new(cluster.now);
    let state = &cluster.checked.state;
    let frontend = state.frontends.values().next().unwrap();
    let other = (1..=3)
        .map(NodeId)
        .find(|node| *node != frontend.node)
        .unwrap();
    let sample = FrontendUsage {
        frontend: frontend.id,
        sampled: cluster.now,
        cpu_usec: 1,
        memory_bytes: 1,
        processes: 1,
    };
    cluster.signals.usage(state, other, cluster.now, &[sample]);
    assert!(cluster.signals.is_empty());
    cluster
        .signals
        .usage(state, frontend.node, cluster.now, &[sample]);
    assert!(!cluster.signals.is_empty());
}
