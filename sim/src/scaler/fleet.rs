//! Ours: the leader's memory of signals and the function it decides by, as they are.
//!
//! Samples go in as an agent sends them and the answer comes out as the leader commits it; what is
//! simulated is only who calls. Of the state there is what the leader's memory looks at: the frontends,
//! and the release whose count may follow the load. Time is the leader's, in milliseconds from a fixed
//! moment on, since zero is no time for a leader to begin at.

use std::sync::Arc;

use fleet_model::environment::{Environment, Limits, Loaded, LoadedStatus, Previous, Settings};
use fleet_model::frontend::{Desired, Frontend, Observed, Phase};
use fleet_model::ids::{
    AppName, BuildId, EnvironmentKey, EnvironmentName, FrontendId, InvalidName,
};
use fleet_model::ids::{LoadedKey, NodeId, ReleaseId, ServiceName};
use fleet_model::manifest::{Manifest, Service};
use fleet_model::release::Variables;
use fleet_model::scaling::{
    FrontendTraffic, FrontendUsage, Gates, Heard, Past, Policy, Question, ServiceSignals, Signals,
    Size, decide,
};
use fleet_model::{State, Time};

use super::{Autoscaler, Seen, View};
use crate::world::{CORES, INGRESSES, MAX, MIN, Sample, Traffic};

/// When the trace begins: 2025-01-01.
const BEGIN: u64 = 1_735_689_600_000;
const NODE: NodeId = NodeId(1);
/// Nobody scales by it here, but an agent always tells of it.
const MEMORY_BYTES: u64 = 128 << 20;

#[derive(Debug)]
pub struct Fleet {
    policy: Policy,
    loaded: LoadedKey,
    service: ServiceName,
    state: State,
    signals: Signals,
    past: Past,
    /// Before anything was heard.
    silence: ServiceSignals,
}

impl Fleet {
    /// # Errors
    /// The names it gives its service are not names any more.
    pub fn new(policy: Policy) -> Result<Fleet, InvalidName> {
        let app = AppName::parse("shop")?;
        let name = EnvironmentName::parse("prod")?;
        let loaded = LoadedKey {
            environment: EnvironmentKey { app, name },
            release: ReleaseId::from_index(1),
        };
        let service = ServiceName::parse("www")?;
        Ok(Fleet {
            policy,
            state: stage(&loaded, &service),
            loaded,
            service,
            signals: Signals::new(Time(BEGIN)),
            past: Past::default(),
            silence: ServiceSignals::default(),
        })
    }

    /// What the leader's state says of the frontends now.
    fn observe(&mut self, view: &View<'_>) {
        // What is gone is left among the signals: they are forgotten with their release.
        let here = |id: &FrontendId| {
            view.frontends
                .iter()
                .any(|seen| frontend_id(seen.id) == *id)
        };
        let gone = self.state.frontends.keys().copied().filter(|id| !here(id));
        for id in gone.collect::<Vec<_>>() {
            self.state.frontends.remove(&id);
        }
        for seen in view.frontends {
            let frontend = self.frontend(seen);
            self.state.frontends.insert(frontend.id, frontend);
        }
    }

    fn frontend(&self, seen: &Seen) -> Frontend {
        let ordered = time(seen.ordered);
        let mut observed = Observed::assigned(seen.ready.map_or(ordered, time));
        if seen.ready.is_some() {
            observed.phase = Phase::Healthy;
            observed.served = true;
        }
        Frontend {
            id: frontend_id(seen.id),
            loaded: self.loaded.clone(),
            service: self.service.clone(),
            slot: seen.id + 1,
            incarnation: 1,
            node: NODE,
            placed: ordered,
            desired: Desired::Run,
            desired_since: ordered,
            observed,
            revision: 1,
        }
    }

    fn heard(&self, view: &View<'_>, signals: &ServiceSignals) -> Heard {
        let now = time(view.now);
        let fresh = view.ready().filter(|seen| {
            let id = frontend_id(seen.id);
            self.signals.is_fresh(id, now)
        });
        let since = signals.usage_since();
        Heard {
            fresh: count(fresh.count()),
            of: count(view.ready().count()),
            first: since.map(|(first, _)| first),
            whole: since.map(|(_, whole)| whole),
        }
    }

    fn heard_ingresses(&self, now: Time) -> Heard {
        let nodes = (1..=INGRESSES as u64).map(NodeId);
        let fresh = nodes.filter(|node| self.signals.is_ingress_fresh(*node, now));
        let since = self.signals.traffic_since();
        Heard {
            fresh: count(fresh.count()),
            of: count(INGRESSES),
            first: since.map(|(first, _)| first),
            whole: since.map(|(_, whole)| whole),
        }
    }
}

impl Autoscaler for Fleet {
    fn wanted(&mut self, view: &View<'_>) -> u32 {
        self.observe(view);
        let now = time(view.now);
        let usages: Vec<FrontendUsage> = view.samples.iter().map(usage).collect();
        self.signals.usage(&self.state, NODE, now, &usages);
        for report in view.reports {
            let traffic: Vec<FrontendTraffic> = report.traffic.iter().map(traffic).collect();
            let node = NodeId(u64::from(report.ingress) + 1);
            self.signals.traffic(&self.state, node, 1, now, &traffic);
        }
        let signals = self.signals.of(&self.loaded, &self.service);
        let signals = signals.unwrap_or(&self.silence);
        let decision = decide(&Question {
            policy: self.policy,
            bounds: Limits { min: MIN, max: MAX },
            size: Size {
                cpu_millicores: (CORES * 1000.0) as u32,
                memory_bytes: None,
            },
            desired: view.desired,
            ready: count(view.ready().count()),
            past: &self.past,
            signals,
            frontends: self.heard(view, signals),
            ingresses: self.heard_ingresses(now),
            gates: Gates::default(),
            now,
        });
        let to = decision.to;
        if to != decision.from {
            self.past.record(decision);
        }
        to
    }
}

/// One active release with one service, whose count may be anything from the least to the most.
fn stage(key: &LoadedKey, service: &ServiceName) -> State {
    let mut state = State::default();
    let limits = Limits { min: MIN, max: MAX };
    let environment = Environment {
        key: key.environment.clone(),
        created: Time(BEGIN),
        updated: Time(BEGIN),
        active: Some(key.release.clone()),
        previous: Previous::None,
        variables: Variables::default(),
        newest: Some(key.release.clone()),
        settings: Settings {
            limits,
            ..Settings::initial(&key.environment.name)
        },
        masked: Default::default(),
        destroying: false,
        revision: 1,
    };
    let manifest = Manifest {
        services: [(service.clone(), Service::default())].into(),
        ..Manifest::default()
    };
    let loaded = Loaded {
        release: key.release.clone(),
        build: BuildId::from_index(1),
        name: "1".to_owned(),
        status: LoadedStatus::Active,
        loaded: Time(BEGIN),
        updated: Time(BEGIN),
        since: Time(BEGIN),
        manifest: Arc::new(manifest),
        variables: Variables::default(),
        desired: [(service.clone(), MIN)].into_iter().collect(),
        slots: Default::default(),
        failures: 0,
        restarts: Default::default(),
        scaling: Default::default(),
        revision: 1,
    };
    state
        .environments
        .insert(key.environment.clone(), environment);
    state.loaded.insert(key.clone(), loaded);
    state
}

/// A counter cannot be "not a number": what a nonsense sample makes of it runs backwards.
fn usage(sample: &Sample) -> FrontendUsage {
    FrontendUsage {
        frontend: frontend_id(sample.frontend),
        sampled: time(sample.taken),
        cpu_usec: (sample.used * 1e6) as u64,
        memory_bytes: MEMORY_BYTES,
        processes: 1,
    }
}

fn traffic(traffic: &Traffic) -> FrontendTraffic {
    FrontendTraffic {
        frontend: frontend_id(traffic.frontend),
        requests: traffic.requests,
        server_errors: traffic.refused,
        connection_errors: 0,
        in_flight: traffic.in_flight,
        latency: Vec::new(),
    }
}

fn frontend_id(id: u32) -> FrontendId {
    FrontendId(u64::from(id))
}

fn time(second: u32) -> Time {
    Time(BEGIN + u64::from(second) * 1000)
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
