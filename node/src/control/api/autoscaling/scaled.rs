//! One service: its signals against what they are held to, and its last decisions.

use fleet_model::{
    Time,
    environment::Loaded,
    ids::{LoadedKey, ServiceName},
    scaling::{
        self, Cause, Decision, Explanation, Heard, Point, PolicyKind, Reading, Signal, Step, Target,
    },
    time::Millis,
};
use fleet_proto::v1::{self, SignalAim};

use super::{View, own_settings, seconds};
use crate::control::api::instant;

impl View<'_> {
    pub(super) fn services(
        &self,
        key: &LoadedKey,
        loaded: &Loaded,
        only: &str,
    ) -> Vec<v1::ScaledService> {
        let services = loaded.manifest.services.iter();
        services
            .filter(|(_, service)| !service.agent)
            .filter(|(name, _)| only.is_empty() || name.as_str() == only)
            .filter_map(|(name, _)| self.service(key, loaded, name))
            .collect()
    }

    fn service(
        &self,
        key: &LoadedKey,
        loaded: &Loaded,
        name: &ServiceName,
    ) -> Option<v1::ScaledService> {
        let found = scaling::explain(self.state, self.load, key, name, self.now)?;
        let targets = loaded.manifest.services.get(name).map(|s| s.targets);
        let own = own_settings(found.policy, &self.environment.settings.autoscaling);
        Some(v1::ScaledService {
            name: name.to_string(),
            pinned: found.bounds.min >= found.bounds.max,
            settings: Some(own),
            from_manifest: targets.is_some_and(|targets| targets.any()),
            min: found.bounds.min,
            max: found.bounds.max,
            desired: found.desired,
            ready: found.ready,
            starting: found.desired.saturating_sub(found.ready),
            signals: signals(&found, self.now),
            decisions: found.decisions.iter().map(decision).collect(),
            next: found.next.clone(),
            history: history(&found),
        })
    }
}

/// What the count follows first, then what is measured beside it.
fn signals(found: &Explanation, now: Time) -> Vec<v1::AutoscalingSignal> {
    let readings = || found.decision.iter().flat_map(|d| &d.readings);
    let follows = |signal| readings().any(|reading| reading.signal == signal);
    let mut rows: Vec<_> = readings()
        .map(|reading| held(found, reading, now))
        .collect();
    let beside = found.measures.iter();
    let beside = beside.filter(|measure| !follows(measure.signal));
    rows.extend(beside.map(|measure| {
        let value = thousandths(measure.slow);
        Source::of(found, measure.signal).row(name(measure.signal), value, Target::SLOW_WINDOW, now)
    }));
    rows.extend(found.p95_usec.map(|p95| {
        let value = p95 as f64 / 1000.0;
        Source::ingresses(found).row(("latency", "ms"), value, Target::SLOW_WINDOW, now)
    }));
    rows
}

/// A signal and what it is held to. The policy `target` reckons with sums over all frontends; shown
/// is what one frontend has of it.
fn held(found: &Explanation, reading: &Reading, now: Time) -> v1::AutoscalingSignal {
    let (each, aim) = match found.policy.kind() {
        PolicyKind::Target => (f64::from(found.ready.max(1)), SignalAim::Near),
        PolicyKind::Step if reading.window == Step::UP_WINDOW => (1.0, SignalAim::Above),
        PolicyKind::Step => (1.0, SignalAim::Below),
    };
    let value = thousandths(reading.value) / each;
    let source = Source::of(found, reading.signal);
    v1::AutoscalingSignal {
        target: Some(thousandths(reading.limit)),
        aim: aim.into(),
        ..source.row(name(reading.signal), value, reading.window, now)
    }
}

/// Whose word is taken for a signal.
#[derive(Clone, Copy)]
struct Source {
    heard: Heard,
    last: Option<Time>,
}

impl Source {
    /// Agents measure what frontends use, ingresses what is asked of them.
    fn of(found: &Explanation, signal: Signal) -> Self {
        match signal {
            Signal::Cpu | Signal::Memory => Self {
                heard: found.frontends,
                last: found.last_usage,
            },
            Signal::Requests | Signal::InFlight => Self::ingresses(found),
        }
    }

    fn ingresses(found: &Explanation) -> Self {
        Self {
            heard: found.ingresses,
            last: found.last_traffic,
        }
    }

    fn row(
        self,
        (name, unit): (&str, &str),
        value: f64,
        window: Millis,
        now: Time,
    ) -> v1::AutoscalingSignal {
        v1::AutoscalingSignal {
            name: name.to_owned(),
            unit: unit.to_owned(),
            // Nothing heard is not nothing used.
            value: self.last.map(|_| value),
            window_seconds: seconds(window),
            age_ms: self.last.map(|last| now.since(last).0),
            heard: self.heard.fresh,
            expected: self.heard.of,
            ..v1::AutoscalingSignal::default()
        }
    }
}

fn name(signal: Signal) -> (&'static str, &'static str) {
    match signal {
        Signal::Cpu => ("cpu", "%"),
        Signal::Memory => ("memory", "%"),
        Signal::Requests => ("requests", "/s"),
        Signal::InFlight => ("concurrency", ""),
    }
}

fn decision(decision: &Decision) -> v1::AutoscalingDecision {
    let cause = match decision.cause {
        Cause::Grew => "GREW",
        Cause::Shrank => "SHRANK",
        Cause::Bounded => "BOUNDED",
        Cause::Held(_) => "HELD",
    };
    v1::AutoscalingDecision {
        at: Some(instant(decision.at)),
        from: decision.from,
        to: decision.to,
        line: decision.line(),
        cause: cause.to_owned(),
    }
}

/// Load and count, in what asks for most now, or else in whatever there is.
fn history(found: &Explanation) -> Vec<v1::AutoscalingPoint> {
    let readings = found.decision.iter().flat_map(|d| &d.readings);
    let first = readings.map(|reading| reading.signal).next();
    let asked = found.history.iter().any(|point| point.requests > 0);
    let (unit, load): (&str, fn(&Point) -> u64) = match first {
        Some(Signal::Requests) => ("requests/s", |point| point.requests),
        Some(Signal::InFlight) => ("requests in flight", |point| point.in_flight),
        None if asked => ("requests/s", |point| point.requests),
        Some(Signal::Cpu | Signal::Memory) | None => ("cores", |point| point.cpu_millicores),
    };
    let point = |point: &Point| {
        let silent = point.frontends == 0 && point.requests == 0 && point.in_flight == 0;
        v1::AutoscalingPoint {
            at: Some(instant(point.at)),
            load: (!silent).then(|| thousandths(load(point))),
            count: u32::try_from((point.frontends + 500) / 1000).unwrap_or(u32::MAX),
            unit: unit.to_owned(),
        }
    };
    found.history.iter().map(point).collect()
}

fn thousandths(number: u64) -> f64 {
    number as f64 / 1000.0
}
