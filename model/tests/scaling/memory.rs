//! What is remembered has a bound.

use fleet_model::{
    State, Time,
    frontend::{Desired, Frontend, Observed, Phase},
    ids::{FrontendId, NodeId},
    scaling::{
        Cause, Decision, FrontendTraffic, FrontendUsage, Hold, KEPT_DECISIONS, Past, PolicyKind,
        Signals,
    },
};

use super::cluster::Cluster;
use crate::common::service;

const FRONTENDS: u64 = 100_000;
const SERVICES: u64 = 10_000;
const MOST_BYTES: usize = 200 << 20;

#[test]
fn a_hundred_thousand_frontends_are_remembered_in_200_mib() {
    let cluster = Cluster::new();
    let (key, _) = cluster.active();
    let mut state: State = cluster.checked.state.clone();
    let loaded = state.loaded.get(&key).cloned().expect("it is loaded");
    for number in 0..SERVICES {
        let mut key = key.clone();
        key.release = fleet_model::ids::ReleaseId::from_index(number);
        state.loaded.insert(key, loaded.clone());
    }
    for id in 1_000..1_000 + FRONTENDS {
        let mut loaded = key.clone();
        loaded.release = fleet_model::ids::ReleaseId::from_index(id % SERVICES);
        state.put_frontend(Frontend {
            id: FrontendId(id),
            loaded,
            service: service("web"),
            slot: 1,
            incarnation: id,
            node: NodeId(1),
            placed: Time(0),
            desired: Desired::Run,
            desired_since: Time(0),
            observed: Observed {
                phase: Phase::Healthy,
                ..Observed::assigned(Time(0))
            },
            revision: 1,
        });
    }
    let mut signals = Signals::new(Time(0));
    // As large as it gets: windows have all their buckets from the beginning, and so has a histogram
    // with its last one.
    for second in (10..40).step_by(9) {
        let now = Time(1_000_000 + second * 1000);
        let usage: Vec<FrontendUsage> = (1_000..1_000 + FRONTENDS)
            .map(|id| FrontendUsage {
                frontend: FrontendId(id),
                sampled: now,
                cpu_usec: second * 1000,
                memory_bytes: 1 << 30,
                processes: 3,
            })
            .collect();
        signals.usage(&state, NodeId(1), now, &usage);
        if second < 30 {
            let traffic: Vec<FrontendTraffic> = (1_000..1_000 + SERVICES)
                .map(|id| FrontendTraffic {
                    frontend: FrontendId(id),
                    requests: 7,
                    server_errors: 1,
                    connection_errors: 1,
                    in_flight: 3,
                    latency: vec![(127, 1)],
                })
                .collect();
            signals.traffic(&state, NodeId(1), 1, now, &traffic);
        }
    }
    let size = signals.size();
    assert!(size < MOST_BYTES, "{} MiB", size >> 20);
    // And what a plan looks at while new samples come in is a copy of at most as much.
    assert!(
        size > MOST_BYTES / 8,
        "{} MiB: was anything counted?",
        size >> 20
    );
    // What is gone is forgotten.
    let empty = State::genesis();
    signals.forget(&empty);
    assert!(signals.is_empty() && signals.size() == 0);
}

#[test]
fn the_last_decisions_are_kept_and_holds_are_told_once() {
    let mut past = Past::default();
    let decision = |at: u64, to: u32, cause| Decision {
        at: Time(at),
        from: 2,
        to,
        cause,
        policy: PolicyKind::Step,
        bounds: fleet_model::environment::Limits { min: 1, max: 10 },
        ready: 2,
        unheard: 0,
        readings: Vec::new(),
    };
    let held = |at, hold| decision(at, 2, Cause::Held(hold));
    assert!(
        !past.is_told(&held(1, Hold::Steady)),
        "nothing is to be done, as ever"
    );
    let mute = |heard| Hold::UnheardFrontends { heard, of: 2 };
    assert!(past.is_told(&held(1, mute(1))));
    past.record(held(1, mute(1)));
    assert!(
        !past.is_told(&held(120_000, mute(0))),
        "the same with other numbers"
    );
    assert!(
        !past.is_told(&held(2_000, Hold::Steady)),
        "at most once a minute"
    );
    assert!(
        past.is_told(&held(62_000, Hold::Steady)),
        "the obstacle is gone"
    );
    assert!(
        past.is_told(&decision(2_000, 3, Cause::Grew)),
        "a change is always told"
    );
    for at in 0..100 {
        past.record(decision(at, 3, Cause::Grew));
    }
    assert_eq!(past.decisions.len(), KEPT_DECISIONS);
    assert_eq!(past.grew, Some(Time(99)));
}
