//! What the leader would decide now, and what it sees: the answer to `env autoscaling describe`.

use super::{
    Decision, Flow, Heard, Policy, ServiceSignals, Signal, Size, Target, question::Subject,
};
use crate::{
    State, Time,
    environment::Limits,
    ids::{LoadedKey, ServiceName},
    plan::{Load, ingress::Ingresses},
    time::Millis,
};

/// Everything there is to say of the count of a service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    pub policy: Policy,
    pub bounds: Limits,
    /// What 100 % of a frontend is.
    pub size: Size,
    pub desired: u32,
    /// Healthy frontends.
    pub ready: u32,
    /// Of the ready frontends, by their agents.
    pub frontends: Heard,
    /// Of the ingresses that may send to them.
    pub ingresses: Heard,
    /// When the last agent spoke of one of its frontends.
    pub last_usage: Option<Time>,
    /// When the last ingress spoke.
    pub last_traffic: Option<Time>,
    /// What would be decided now. `None`: its count does not follow the load, and `next` says why.
    pub decision: Option<Decision>,
    /// Every signal there is, whether the count follows it or not.
    pub measures: Vec<Measure>,
    /// The 95th percentile of latency of the last one to two minutes.
    pub p95_usec: Option<u64>,
    /// Load and count by ten seconds, oldest first.
    pub history: Vec<Point>,
    /// The last decisions, newest first.
    pub decisions: Vec<Decision>,
    /// What would happen next, one sentence.
    pub next: String,
}

/// Means of one signal, in thousandths of its unit, of one ready frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Measure {
    pub signal: Signal,
    /// Over [`Target::FAST_WINDOW`].
    pub fast: u64,
    /// Over [`Target::SLOW_WINDOW`].
    pub slow: u64,
}

/// Ten seconds of a service's life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Point {
    pub at: Time,
    /// Of all frontends together, in thousandths of a core.
    pub cpu_millicores: u64,
    /// Sent in a second, in thousandths.
    pub requests: u64,
    /// Failed in a second, in thousandths.
    pub errors: u64,
    /// Mean of requests in flight, in thousandths.
    pub in_flight: u64,
    /// Mean number of frontends that were heard of, in thousandths.
    pub frontends: u64,
}

/// What is to be said of a service of a loaded release; `None` if there is no such service.
#[must_use]
pub fn explain(
    state: &State,
    load: &Load,
    loaded: &LoadedKey,
    service: &ServiceName,
    now: Time,
) -> Option<Explanation> {
    let of = state.loaded.get(loaded)?;
    let settings = &state.environments.get(&loaded.environment)?.settings;
    let desired = *of.desired.get(service)?;
    let size = Size::of(of.requests(service, settings), of.limits(service, settings));
    let ready = state
        .group(loaded, service)
        .map_or(0, |group| group.healthy());
    let nothing = ServiceSignals::default();
    let signals = load.signals.of(loaded, service).unwrap_or(&nothing);
    let ingresses = Ingresses::of(state, load, now);
    let subject = Subject::of(state, load, &ingresses, loaded, service, now);
    let decision = subject.as_ref().ok().map(Subject::decide);
    let next = match (&subject, &decision) {
        (Err(why), _) => why.to_string(),
        (_, Some(decision)) => super::line::next(decision),
        (Ok(_), None) => String::new(),
    };
    let heard = subject.as_ref().ok().map(|s| (s.frontends, s.ingresses));
    let (frontends, ingresses) = heard.unwrap_or_default();
    let group = state.group(loaded, service);
    let heard_of = group.into_iter().flat_map(|group| group.ready());
    let past = of.scaling.get(service);
    Some(Explanation {
        frontends,
        ingresses,
        last_usage: heard_of.filter_map(|id| load.signals.last_usage(id)).max(),
        last_traffic: load.signals.last_traffic(),
        policy: super::policy_of(of, service, settings),
        bounds: of.bounds(service, settings),
        size,
        desired,
        ready,
        decision,
        measures: measures(signals, size, ready, now),
        p95_usec: signals.p95_usec(now),
        history: signals.history(now).map(point).collect(),
        decisions: past
            .map(|past| past.decisions.iter().rev().cloned().collect())
            .unwrap_or_default(),
        next,
    })
}

fn measures(signals: &ServiceSignals, size: Size, ready: u32, now: Time) -> Vec<Measure> {
    let of = |window: Millis| {
        let flow = signals.over(window, now);
        move |signal: Signal| mean(signal, &flow, size, window, ready)
    };
    let (fast, slow) = (of(Target::FAST_WINDOW), of(Target::SLOW_WINDOW));
    Signal::ALL
        .into_iter()
        .filter_map(|signal| {
            Some(Measure {
                signal,
                fast: fast(signal)?,
                slow: slow(signal)?,
            })
        })
        .collect()
}

/// In thousandths of the signal's unit, of one ready frontend; `None` if there is no such signal.
fn mean(signal: Signal, flow: &Flow, size: Size, window: Millis, ready: u32) -> Option<u64> {
    let (amount, times, divided) = match signal {
        Signal::Cpu => (
            flow.cpu_usec,
            100_000,
            u128::from(size.cpu_millicores.max(1)),
        ),
        Signal::Memory => {
            let request = size.memory_bytes?.div_ceil(1024).max(1);
            (flow.memory_kib_ms, 100_000, u128::from(request))
        }
        Signal::Requests => (flow.requests, 1_000_000, 1),
        Signal::InFlight => (flow.in_flight_ms, 1000, 1),
    };
    let time = u128::from(window.0.max(1)) * u128::from(ready.max(1));
    let value = u128::from(amount) * times / (divided * time);
    Some(u64::try_from(value).unwrap_or(u64::MAX))
}

fn point((at, flow): (Time, Flow)) -> Point {
    const LENGTH_MS: u64 = 10_000;
    let second = |amount: u64| amount.saturating_mul(1000) / (LENGTH_MS / 1000);
    Point {
        at,
        cpu_millicores: flow.cpu_usec / LENGTH_MS,
        requests: second(flow.requests),
        errors: second(flow.errors),
        in_flight: flow.in_flight_ms.saturating_mul(1000) / LENGTH_MS,
        frontends: flow.heard_ms.saturating_mul(1000) / LENGTH_MS,
    }
}
