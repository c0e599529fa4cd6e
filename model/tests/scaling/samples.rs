//! Samples that mislead, each as the simulator (`sim/`) met it.

use fleet_model::{
    State, Time,
    environment::Limits,
    frontend::{Desired, Frontend, Observed, Phase},
    ids::{FrontendId, LoadedKey, NodeId},
    scaling::{
        Decision, Flow, FrontendUsage, Gates, Heard, Past, Policy, Question, ServiceSignals,
        Signals, Size, Target, decide,
    },
    time::Millis,
};

use super::cluster::Cluster;
use crate::common::service;

/// Of one that the cluster has not placed itself.
const ID: FrontendId = FrontendId(1_000);
const NODE: NodeId = NodeId(1);
/// When a leader begins to listen.
const BEGIN: u64 = 1_000_000;
/// CPU time of a second of one core.
const CORE: u64 = 1_000_000;

fn second(second: u64) -> Time {
    Time(BEGIN + second * 1000)
}

/// One frontend, and what is heard of it.
struct Heart {
    key: LoadedKey,
    state: State,
    signals: Signals,
}

impl Heart {
    fn new() -> Heart {
        let cluster = Cluster::new();
        let mut heart = Heart {
            key: cluster.active().0,
            state: cluster.checked.state,
            signals: Signals::new(Time(BEGIN)),
        };
        heart.phase(Phase::Healthy, 0);
        heart
    }

    fn phase(&mut self, phase: Phase, since: u64) {
        self.state.put_frontend(Frontend {
            id: ID,
            loaded: self.key.clone(),
            service: service("web"),
            slot: 1,
            incarnation: 1,
            node: NODE,
            placed: second(0),
            desired: Desired::Run,
            desired_since: second(0),
            observed: Observed {
                phase,
                ..Observed::assigned(second(since))
            },
            revision: 1,
        });
    }

    /// At `at` a sample of `sampled` is heard.
    fn hear(&mut self, at: u64, sampled: u64, cpu_usec: u64) {
        let usage = FrontendUsage {
            frontend: ID,
            sampled: second(sampled),
            cpu_usec,
            memory_bytes: 1 << 20,
            processes: 1,
        };
        self.signals.usage(&self.state, NODE, second(at), &[usage]);
    }

    fn cpu_usec(&self, window: u64, now: u64) -> u64 {
        let signals = self.signals.of(&self.key, &service("web")).unwrap();
        signals.over(Millis::seconds(window), second(now)).cpu_usec
    }
}

/// Counted, it would ask for more frontends, which start and take as much.
#[test]
fn what_starting_takes_of_the_processors_is_not_load() {
    let mut heart = Heart::new();
    heart.phase(Phase::Starting, 0);
    for at in 0..10 {
        heart.hear(at, at, at * 2 * CORE);
    }
    assert_eq!(heart.cpu_usec(10, 10), 0);
    heart.phase(Phase::Healthy, 10);
    for at in 10..20 {
        heart.hear(at, at, 18 * CORE + at * CORE / 10);
    }
    // All but the second in which it became ready.
    assert_eq!(heart.cpu_usec(20, 20), 9 * CORE / 10);
}

#[test]
fn a_sample_that_is_repeated_does_not_make_its_frontend_fresh() {
    let mut heart = Heart::new();
    heart.hear(0, 0, CORE);
    heart.hear(1, 1, CORE);
    assert!(
        heart.signals.is_fresh(ID, second(2)),
        "an idle one is heard of"
    );
    for at in 2..20 {
        heart.hear(at, 1, CORE);
    }
    assert!(!heart.signals.is_fresh(ID, second(20)));
}

#[test]
fn a_counter_that_falls_and_comes_back_is_not_load() {
    let mut heart = Heart::new();
    heart.hear(0, 0, 3_000 * CORE);
    heart.hear(1, 1, 3_001 * CORE);
    heart.hear(2, 2, 0);
    heart.hear(3, 3, 3_003 * CORE);
    assert_eq!(heart.cpu_usec(10, 4), 3 * CORE);
    // It counts as missing all the same: nothing is lowered for the length of the windows.
    let signals = heart.signals.of(&heart.key, &service("web")).unwrap();
    assert_eq!(signals.usage_since().unwrap().1, second(2));
}

/// The one before it fell is too old to reckon from by then; what was used is not known, and is not what
/// the counter rose by.
#[test]
fn a_counter_that_falls_after_a_silence_and_comes_back_is_not_load() {
    let mut heart = Heart::new();
    heart.hear(0, 0, 3_000 * CORE);
    heart.hear(1, 1, 3_001 * CORE);
    for at in 62..64 {
        heart.hear(at, at, 0);
    }
    heart.hear(64, 64, 3_060 * CORE);
    assert_eq!(heart.cpu_usec(10, 65), 0);
    let signals = heart.signals.of(&heart.key, &service("web")).unwrap();
    assert_eq!(signals.usage_since().unwrap().1, second(64));
    heart.hear(65, 65, 3_061 * CORE);
    assert_eq!(heart.cpu_usec(10, 65), CORE);
}

#[test]
fn a_frontend_whose_counter_began_anew_is_counted_again_after_a_while() {
    let mut heart = Heart::new();
    heart.hear(0, 0, 3_000 * CORE);
    for at in 1..=80 {
        heart.hear(at, at, at * CORE);
    }
    assert_eq!(heart.cpu_usec(10, 80), 10 * CORE);
}

#[test]
fn cpu_time_bridges_the_gaps_of_an_agent_that_stutters() {
    let mut heart = Heart::new();
    heart.hear(0, 0, 0);
    heart.hear(30, 30, 15 * CORE);
    assert_eq!(heart.cpu_usec(20, 30), 10 * CORE);
}

/// A minute of calm, in the last seconds of which so many requests a second came as two frontends of one core
/// cannot answer; who is not answered hears so at once.
fn overrun(requests: u64, seconds: u64) -> ServiceSignals {
    let mut signals = ServiceSignals::default();
    signals.heard_usage(second(0));
    for at in 0..60 {
        let burst = at >= 60 - seconds;
        let flow = Flow {
            heard_ms: 2_000,
            cpu_usec: if burst { 2 * CORE } else { CORE },
            requests: if burst { requests } else { 100 },
            errors: if burst {
                requests.saturating_sub(200)
            } else {
                0
            },
            ..Flow::default()
        };
        signals.add(second(at), second(at + 1), &flow);
    }
    signals
}

fn asked(signals: &ServiceSignals, desired: u32, past: &Past) -> u32 {
    asked_by((2, 2), signals, desired, past).to
}

/// What is decided when so many of so many ready frontends were heard of lately.
fn asked_by(
    (fresh, ready): (u32, u32),
    signals: &ServiceSignals,
    desired: u32,
    past: &Past,
) -> Decision {
    let all = Heard {
        fresh: ready,
        of: ready,
        first: Some(second(0)),
        whole: Some(second(0)),
    };
    let target = Target {
        cpu_percent: Some(50),
        cooldown: Millis::seconds(60),
        ..Target::default()
    };
    decide(&Question {
        policy: Policy::Target(target),
        bounds: Limits { min: 1, max: 100 },
        size: Size {
            cpu_millicores: 1000,
            memory_bytes: None,
        },
        desired,
        ready,
        past,
        signals,
        frontends: Heard { fresh, ..all },
        ingresses: all,
        gates: Gates::default(),
        now: second(60),
    })
}

/// A minute in which so many frontends were heard of at each second, all of which used four fifths of
/// their cores.
fn heard_of(frontends: impl Fn(u64) -> u64) -> ServiceSignals {
    let mut signals = ServiceSignals::default();
    signals.heard_usage(second(0));
    for at in 0..60 {
        let flow = Flow {
            heard_ms: frontends(at) * 1000,
            cpu_usec: frontends(at) * CORE * 4 / 5,
            ..Flow::default()
        };
        signals.add(second(at), second(at + 1), &flow);
    }
    signals
}

/// Each uses 80 % and is to use 50 %.
#[test]
fn those_that_are_heard_stand_for_as_many_that_are_not() {
    let past = Past::default();
    let asked = |fresh: u32, ready: u32| {
        let decision = asked_by((fresh, ready), &heard_of(|_| fresh.into()), ready, &past);
        (decision.to, decision.line())
    };
    assert_eq!(asked(4, 4).0, 7, "4 x 80 / 50");
    let (to, line) = asked(2, 4);
    assert_eq!(to, 7, "{line}");
    assert_eq!(
        line,
        "4 -> 7: cpu 320 % over 20 s asks for ceil(320 / 50) = 7; 4 ready, 2 of them unheard, \
         bounds 1 to 100"
    );
    assert_eq!(asked(3, 4).0, 7);
    // Two stand for two more, and four times 80 % is less than ten are meant for.
    let (to, line) = asked(2, 10);
    assert_eq!(to, 10, "{line}");
    assert!(line.starts_with("held at 10: only 2 of 10"), "{line}");
    let (to, line) = asked(0, 4);
    assert_eq!(to, 4, "{line}");
}

/// One that fell silent within the window said what it did before: nothing is counted twice.
#[test]
fn only_the_time_that_is_missing_is_reckoned() {
    let past = Past::default();
    let signals = heard_of(|at| if at < 50 { 4 } else { 2 });
    let decision = asked_by((2, 4), &signals, 4, &past);
    assert_eq!(decision.readings[0].value, 320_000, "{}", decision.line());
}

/// Two cores in use say four frontends at 50 %; a thousand requests of 10 ms a second say twenty.
#[test]
fn what_saturated_frontends_cannot_show_their_ingresses_know() {
    let past = Past::default();
    assert_eq!(asked(&overrun(1_000, 6), 2, &past), 20);
    assert_eq!(asked(&overrun(200, 6), 2, &past), 4);
    // Two seconds say it all; one may be chance.
    assert_eq!(asked(&overrun(1_000, 2), 2, &past), 20);
    assert_eq!(asked(&overrun(1_000, 1), 2, &past), 2);
}

/// CPU alone would ask for four in the next second.
#[test]
fn what_a_burst_asked_for_stays_for_the_cooldown() {
    let mut past = Past {
        grew: Some(second(59)),
        ..Past::default()
    };
    assert_eq!(asked(&overrun(0, 6), 20, &past), 20);
    past.grew = None;
    assert!(asked(&overrun(0, 6), 20, &past) < 20);
}
