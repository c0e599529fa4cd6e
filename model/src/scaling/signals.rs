//! The leader's memory of what agents and ingresses measure. Never committed, never assumed: a new
//! leader begins with nothing.
//!
//! Bounded: of each frontend its last counters are kept, of each service windows of a fixed size
//! ([`ServiceSignals`]), of each ingress process when it last spoke. Everything is persistent, so
//! that a plan takes a copy in O(1).
//!
//! Samples that make no sense (counters that run backwards, clocks that jump, a machine that
//! claims more CPU than there is) are dropped and count as missing.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

use super::{Flow, ServiceSignals, window::SETTLED};
use crate::{
    State, Time,
    ids::{FrontendId, LoadedKey, NodeId, ServiceName},
    time::Millis,
};

/// A service of a loaded release.
pub type ServiceKey = (LoadedKey, ServiceName);

/// What an agent measured of one frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrontendUsage {
    pub frontend: FrontendId,
    /// By the node's clock.
    pub sampled: Time,
    /// CPU time since its start, in microseconds: a counter.
    pub cpu_usec: u64,
    /// Resident memory.
    pub memory_bytes: u64,
    pub processes: u32,
}

/// What one ingress process saw of one frontend since its last report. A report names every
/// frontend with requests since the last or in flight now; who is not named had none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendTraffic {
    pub frontend: FrontendId,
    /// Sent to it, answered or not: how many it manages to answer does not say how many more would
    /// be needed.
    pub requests: u64,
    /// Answers with a status from 500 to 599.
    pub server_errors: u64,
    /// Attempts without an answer.
    pub connection_errors: u64,
    /// Now.
    pub in_flight: u64,
    /// Buckets (`fleet.internal.FrontendLoad`) and counts.
    pub latency: Vec<(u32, u32)>,
}

/// What was heard since this leader leads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Signals {
    since: Time,
    /// Numbers of services: names are compared once, when a frontend is first heard of.
    numbers: OrdMap<ServiceKey, u32>,
    services: OrdMap<u32, Service>,
    frontends: OrdMap<FrontendId, Sample>,
    /// Ingress processes, and when each last spoke.
    ingresses: OrdMap<(NodeId, u64), Time>,
    /// When the first ingress was heard.
    first_traffic: Option<Time>,
    /// Since when no traffic is missing that should be there.
    whole_traffic: Option<Time>,
    next_number: u32,
    /// Services with news since they were last looked at.
    news: OrdSet<u32>,
    /// In a copy that a plan got: what it has to look at.
    due: OrdSet<u32>,
    looked: Time,
    /// Where the slow sweep over all services goes on.
    cursor: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Service {
    key: Arc<ServiceKey>,
    signals: Arc<ServiceSignals>,
}

/// The last counters of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sample {
    service: u32,
    processes: u32,
    sampled: Time,
    at: Time,
    cpu_usec: u64,
    /// The most it ever was.
    most_usec: u64,
    memory_bytes: u64,
    /// Whether it was ready when the sample was taken.
    ready: bool,
}

impl Sample {
    fn is_repeated_by(&self, later: &Self) -> bool {
        self.sampled == later.sampled && self.cpu_usec == later.cpu_usec
    }

    /// Of two that make no sense together: whether to reckon from the later one. Its node's clock has
    /// jumped while its counter went on, or the earlier one is too old for anything.
    fn is_worth_less_than(&self, later: &Self) -> bool {
        let elapsed = later.at.since(self.at);
        let counted = later.cpu_usec.checked_sub(self.cpu_usec);
        counted.is_some_and(|usec| is_possible(usec, elapsed)) || elapsed > LONGEST_BRIDGE
    }
}

/// What was heard within this time counts as fresh: agents and ingresses speak every second.
pub const FRESH: Millis = Millis::seconds(5);

/// Every service is looked at once in this time, whether there is news of it or not: silence is
/// news that nobody brings.
pub const SWEEP: Millis = Millis::seconds(5);

/// Longer without a report of an ingress, and when its requests came is not known.
const LONGEST_GAP: Millis = Millis::seconds(10);

/// Longer without a sample of a frontend, and when it used the CPU time that its counter tells of is
/// not known. Bridging shorter gaps keeps growth from being blind while agents stutter.
const LONGEST_BRIDGE: Millis = Millis::seconds(60);

/// How far the time between two samples may differ between the clocks of the node and the leader,
/// delays on the way included.
const LONGEST_DRIFT: Millis = Millis::seconds(10);

/// No machine has more cores.
const MOST_CORES: u64 = 4096;

impl Signals {
    /// Of a leader that begins to listen at `since`.
    #[must_use]
    pub fn new(since: Time) -> Self {
        Self {
            since,
            looked: since,
            ..Self::default()
        }
    }

    /// When this leader began to listen.
    #[must_use]
    pub fn since(&self) -> Time {
        self.since
    }

    /// An agent told of its frontends. Those of other nodes, and those that nobody knows, are not
    /// counted.
    pub fn usage(&mut self, state: &State, node: NodeId, at: Time, samples: &[FrontendUsage]) {
        for sample in samples {
            self.take(state, node, at, sample);
        }
    }

    fn take(&mut self, state: &State, node: NodeId, at: Time, usage: &FrontendUsage) {
        let before = self.frontends.get(&usage.frontend).copied();
        let service = match before {
            Some(before) => before.service,
            None => match self.service_of(state, Some(node), usage.frontend) {
                Some(service) => service,
                None => return,
            },
        };
        let sample = Sample {
            service,
            processes: usage.processes,
            sampled: usage.sampled,
            at,
            cpu_usec: usage.cpu_usec,
            most_usec: before.map_or(0, |b| b.most_usec).max(usage.cpu_usec),
            memory_bytes: usage.memory_bytes,
            // Asked until it is: then it has been.
            ready: before.is_some_and(|before| before.ready) || is_ready(state, usage.frontend),
        };
        let Some(known) = self.services.get_mut(&service) else {
            return;
        };
        let signals = Arc::make_mut(&mut known.signals);
        match before {
            None => {
                // One that has run for long and is heard of only now is a gap.
                let late = state
                    .frontends
                    .get(&usage.frontend)
                    .is_some_and(|frontend| {
                        frontend.healthy() && at.since(frontend.observed.since) > FRESH
                    });
                if late {
                    signals.miss_usage(at);
                } else {
                    signals.heard_usage(at);
                }
            }
            // The same sample again says nothing, and does not make the frontend any fresher.
            Some(before) if before.is_repeated_by(&sample) => return,
            Some(before) => match between(&before, &sample) {
                // What starting takes of the processors is not load: counted, it would ask for more
                // to be started.
                Some((from, _)) if !before.ready => signals.heard_usage(from),
                Some((from, flow)) => {
                    signals.heard_usage(from);
                    signals.add(from, at, &flow);
                }
                None => {
                    signals.miss_usage(at);
                    // What makes no sense is nothing to reckon from: the way back from it would be
                    // taken for load.
                    if !before.is_worth_less_than(&sample) {
                        return;
                    }
                }
            },
        }
        self.frontends.insert(usage.frontend, sample);
        self.news.insert(service);
    }

    /// An ingress process told of the frontends it sends to.
    pub fn traffic(
        &mut self,
        state: &State,
        node: NodeId,
        process: u64,
        at: Time,
        reports: &[FrontendTraffic],
    ) {
        let before = self.ingresses.insert((node, process), at);
        let from = before.filter(|before| {
            let gap = at.since(*before);
            *before <= at && gap <= LONGEST_GAP
        });
        let Some(from) = from else {
            self.miss_traffic(at);
            return;
        };
        let elapsed = at.since(from).0;
        for report in reports {
            let known = self.frontends.get(&report.frontend);
            let service = match known {
                Some(sample) => sample.service,
                None => match self.service_of(state, None, report.frontend) {
                    Some(service) => service,
                    None => continue,
                },
            };
            let Some(known) = self.services.get_mut(&service) else {
                continue;
            };
            let signals = Arc::make_mut(&mut known.signals);
            let flow = Flow {
                requests: report.requests,
                errors: report
                    .server_errors
                    .saturating_add(report.connection_errors),
                in_flight_ms: report.in_flight.saturating_mul(elapsed),
                ..Flow::default()
            };
            signals.add(from, at, &flow);
            signals.add_latency(at, &report.latency);
            self.news.insert(service);
        }
    }

    /// What an ingress counted before `at` belongs to a time nobody knows: nothing is lowered until
    /// the windows have left it behind. What the others counted stands.
    fn miss_traffic(&mut self, at: Time) {
        let first = *self.first_traffic.get_or_insert(at);
        if at.since(first) <= SETTLED {
            // A new leader hears one ingress after the other: the windows begin with the last.
            self.first_traffic = Some(first.max(at));
        }
        self.whole_traffic = self.whole_traffic.max(Some(at));
    }

    /// The number of a frontend's service, if its count may follow the load; `node` is who speaks of
    /// it, if that must be its own.
    fn service_of(
        &mut self,
        state: &State,
        node: Option<NodeId>,
        frontend: FrontendId,
    ) -> Option<u32> {
        let frontend = state.frontends.get(&frontend)?;
        let told_by_another = node.is_some_and(|node| node != frontend.node);
        if told_by_another || !is_elastic(state, &frontend.loaded, &frontend.service) {
            return None;
        }
        let key = (frontend.loaded.clone(), frontend.service.clone());
        if let Some(number) = self.numbers.get(&key) {
            return Some(*number);
        }
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        let service = Service {
            key: Arc::new(key.clone()),
            signals: Arc::default(),
        };
        self.services.insert(number, service);
        self.numbers.insert(key, number);
        Some(number)
    }

    /// Forgets frontends and ingresses that are gone, and services whose count follows no load any
    /// more.
    pub fn forget(&mut self, state: &State) {
        let gone = |id: &FrontendId| !state.frontends.contains_key(id);
        let frontends: Vec<FrontendId> = self.frontends.keys().copied().filter(gone).collect();
        for frontend in frontends {
            self.frontends.remove(&frontend);
        }
        let gone = |(loaded, service): &ServiceKey| !is_elastic(state, loaded, service);
        let services: Vec<ServiceKey> = self
            .numbers
            .keys()
            .filter(|key| gone(key))
            .cloned()
            .collect();
        for service in services {
            if let Some(number) = self.numbers.remove(&service) {
                self.services.remove(&number);
                self.news.remove(&number);
                self.due.remove(&number);
            }
        }
        let nodes: Vec<(NodeId, u64)> = self.ingresses.keys().copied().collect();
        for process in nodes
            .into_iter()
            .filter(|(node, _)| !state.nodes.contains_key(node))
        {
            self.ingresses.remove(&process);
        }
    }

    /// An ingress process ended, and is not waited for any more.
    pub fn forget_ingress(&mut self, node: NodeId, process: u64) {
        self.ingresses.remove(&(node, process));
    }

    /// A copy for a plan to be made at `now`, in which services are [`Self::due`] that there is
    /// news of since the last copy, and the next ones of a sweep that reaches every service once in
    /// [`SWEEP`]. What is due in the copy is looked at with it, and not due again.
    pub fn look(&mut self, now: Time) -> Self {
        let mut due = std::mem::take(&mut self.news);
        let elapsed = now.since(self.looked).0.min(SWEEP.0);
        let share = (self.services.len() as u64 * elapsed).div_ceil(SWEEP.0);
        for _ in 0..share {
            let next = self.services.get_next(&self.cursor);
            let Some((number, _)) = next.or_else(|| self.services.get_min().map(|(n, s)| (n, s)))
            else {
                break;
            };
            due.insert(*number);
            self.cursor = number.wrapping_add(1);
        }
        self.looked = now;
        Self {
            due,
            ..self.clone()
        }
    }

    /// Whether there is anything that a plan has to look at.
    #[must_use]
    pub fn has_news(&self) -> bool {
        !self.news.is_empty()
    }

    /// Services to look at, in the order in which they were first heard of.
    pub fn due(&self) -> impl Iterator<Item = (&ServiceKey, &ServiceSignals)> {
        self.due
            .iter()
            .filter_map(|number| self.services.get(number))
            .map(|service| (&*service.key, &*service.signals))
    }

    /// Whether anything was heard of any service.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }

    /// The windows of a service; `None` before anything was heard of it.
    #[must_use]
    pub fn of(&self, loaded: &LoadedKey, service: &ServiceName) -> Option<&ServiceSignals> {
        let number = self.numbers.get(&(loaded.clone(), service.clone()))?;
        self.services.get(number).map(|service| &*service.signals)
    }

    /// Whether a frontend was heard of lately.
    #[must_use]
    pub fn is_fresh(&self, frontend: FrontendId, now: Time) -> bool {
        let last = self.last_usage(frontend);
        last.is_some_and(|last| now.since(last) <= FRESH)
    }

    /// When a frontend was last heard of.
    #[must_use]
    pub fn last_usage(&self, frontend: FrontendId) -> Option<Time> {
        self.frontends.get(&frontend).map(|sample| sample.at)
    }

    /// Processes of a frontend, as its agent last counted them.
    #[must_use]
    pub fn processes(&self, frontend: FrontendId) -> Option<u32> {
        self.frontends.get(&frontend).map(|sample| sample.processes)
    }

    /// Whether an ingress process of a node was heard of lately.
    #[must_use]
    pub fn is_ingress_fresh(&self, node: NodeId, now: Time) -> bool {
        let mut of_node = self.ingresses.range((node, 0)..=(node, u64::MAX));
        of_node.any(|(_, heard)| now.since(*heard) <= FRESH)
    }

    /// When an ingress was last heard of, whichever.
    #[must_use]
    pub fn last_traffic(&self) -> Option<Time> {
        self.ingresses.values().max().copied()
    }

    /// When the first ingress was heard, and since when no traffic is missing.
    #[must_use]
    pub fn traffic_since(&self) -> Option<(Time, Time)> {
        self.first_traffic.zip(self.whole_traffic)
    }

    /// Bytes it takes, tree nodes reckoned as half full.
    #[must_use]
    pub fn size(&self) -> usize {
        let services: usize = self.services.values().map(|s| s.signals.size()).sum();
        let entry = size_of::<(FrontendId, Sample)>();
        let named = size_of::<(ServiceKey, u32)>() + size_of::<ServiceKey>();
        services + 2 * (self.frontends.len() * entry + self.services.len() * named)
    }
}

/// Whether there is such a service and its count may follow the load. All others are measured, too,
/// but nobody has to look at it: a cluster of such services sleeps.
fn is_elastic(state: &State, key: &LoadedKey, service: &ServiceName) -> bool {
    let loaded = state.loaded.get(key);
    let settings = state.environments.get(&key.environment);
    loaded.zip(settings).is_some_and(|(loaded, environment)| {
        loaded.desired.contains_key(service) && loaded.is_elastic(service, &environment.settings)
    })
}

fn is_possible(cpu_usec: u64, elapsed: Millis) -> bool {
    cpu_usec <= elapsed.0.saturating_mul(1000 * MOST_CORES)
}

fn is_ready(state: &State, frontend: FrontendId) -> bool {
    let frontend = state.frontends.get(&frontend);
    frontend.is_some_and(|frontend| frontend.healthy())
}

/// What happened between two samples of a frontend, and since when; `None` if they make no sense
/// together.
fn between(before: &Sample, after: &Sample) -> Option<(Time, Flow)> {
    let forward = after.sampled > before.sampled && after.at >= before.at;
    let cpu_usec = after.cpu_usec.checked_sub(before.cpu_usec)?;
    let elapsed = after.sampled.since(before.sampled);
    let drift = elapsed.0.abs_diff(after.at.since(before.at).0);
    let possible = is_possible(cpu_usec, elapsed);
    // What fell and comes back was not used meanwhile.
    let returned = before.cpu_usec < before.most_usec && after.cpu_usec >= before.most_usec;
    let late = elapsed > LONGEST_BRIDGE || drift > LONGEST_DRIFT.0;
    if !forward || late || !possible || returned {
        return None;
    }
    let memory_kib = after.memory_bytes / 1024;
    let flow = Flow {
        heard_ms: elapsed.0,
        cpu_usec,
        memory_kib_ms: memory_kib.saturating_mul(elapsed.0),
        ..Flow::default()
    };
    Some((Time(after.at.0.saturating_sub(elapsed.0)), flow))
}
