//! How frontends leave: withdrawn, unused, stopped, over, forgotten.
//!
//! A frontend is stopped only after every live ingress confirmed a table without it and its
//! requests ended or outlived the drain time (promise 2 of docs/architecture.md).

use std::collections::{BTreeMap, BTreeSet};

use super::{Draft, ingress::Ingresses};
use crate::{
    State, Time,
    command::{Action, Step},
    environment::DEFAULT_DRAIN,
    frontend::{Desired, Frontend},
    ids::EnvironmentKey,
    report::{NodeName, Reason, Waiting},
    time::Millis,
};

/// After the drain time ingresses end by themselves what has no end of its own, and say so to its
/// client. They count from when they heard of the withdrawal, so they are given this much more.
const FAREWELL: Millis = Millis::seconds(3);

pub(super) fn plan(state: &State, ingresses: &Ingresses<'_>, draft: &mut Draft) {
    let mut groups: BTreeMap<EnvironmentKey, Group> = BTreeMap::new();
    for frontend in state.leaving() {
        match frontend.desired {
            Desired::Run => {}
            Desired::Withdrawn { generation } => {
                let wait = wait(state, ingresses, frontend, generation, draft);
                if let Some(wait) = wait {
                    let group = groups
                        .entry(frontend.loaded.environment.clone())
                        .or_default();
                    group.add(frontend, wait);
                }
            }
            Desired::Stop if frontend.observed.phase.over() => {
                draft.step(step(frontend, Action::Forget));
            }
            Desired::Stop => {}
        }
    }
    for (environment, group) in groups {
        group.report(&environment, draft);
    }
}

/// Why a withdrawn frontend cannot be stopped yet; if it can, plans the stop.
fn wait(
    state: &State,
    ingresses: &Ingresses<'_>,
    frontend: &Frontend,
    generation: u64,
    draft: &mut Draft,
) -> Option<Reason> {
    if frontend.observed.phase.over() {
        draft.step(step(frontend, Action::Forget));
        return None;
    }
    let unconfirmed = ingresses.unconfirmed(generation);
    let holding = ingresses.holding(generation);
    // A lost frontend too: its worker may be back, and is told to stop it then, while an ingress
    // that saw it answer all the time still sends to it.
    if !(unconfirmed.is_empty() && holding.is_empty()) {
        ingresses
            .next_change()
            .into_iter()
            .for_each(|at| draft.wake(at));
        return Some(if unconfirmed.is_empty() {
            Reason::SilentIngress {
                nodes: holding,
                held: 1,
            }
        } else {
            Reason::Unconfirmed {
                generation,
                nodes: unconfirmed,
            }
        });
    }
    let drained_at = frontend
        .desired_since
        .plus(drain_time(state, frontend))
        .plus(FAREWELL);
    let busy = ingresses.busy(frontend.id);
    if busy && draft.now < drained_at {
        draft.wake(drained_at);
        let rest = drained_at.since(draft.now);
        return Some(Reason::InFlight { frontends: 1, rest });
    }
    let why = if busy {
        "its drain time is over"
    } else {
        "nothing is sent to it any more"
    };
    draft.step(step(
        frontend,
        Action::Stop {
            why: why.to_owned(),
        },
    ));
    None
}

fn drain_time(state: &State, frontend: &Frontend) -> Millis {
    let loaded = state.loaded.get(&frontend.loaded);
    let service = loaded.and_then(|loaded| loaded.manifest.services.get(&frontend.service));
    let environment = state.environments.get(&frontend.loaded.environment);
    service
        .and_then(|service| service.drain)
        .or(environment.map(|environment| environment.settings.drain))
        .unwrap_or(DEFAULT_DRAIN)
}

fn step(frontend: &Frontend, action: Action) -> Step {
    Step {
        frontend: frontend.id,
        assumed: frontend.revision,
        action,
    }
}

/// The waits of an environment, one sentence for each kind.
#[derive(Default)]
struct Group {
    since: Option<Time>,
    in_flight: (u32, Millis),
    unconfirmed: Option<(u64, BTreeSet<NodeName>)>,
    silent: (u32, BTreeSet<NodeName>),
}

impl Group {
    fn add(&mut self, frontend: &Frontend, reason: Reason) {
        let since = frontend.desired_since;
        self.since = Some(self.since.map_or(since, |before| before.min(since)));
        match reason {
            Reason::InFlight { rest, .. } => {
                self.in_flight = (self.in_flight.0 + 1, self.in_flight.1.max(rest));
            }
            Reason::Unconfirmed { generation, nodes } => {
                let (highest, names) = self.unconfirmed.get_or_insert_default();
                *highest = generation.max(*highest);
                names.extend(nodes);
            }
            Reason::SilentIngress { nodes, .. } => {
                self.silent.0 += 1;
                self.silent.1.extend(nodes);
            }
            _ => {}
        }
    }

    fn report(self, environment: &EnvironmentKey, draft: &mut Draft) {
        let mut reasons = Vec::new();
        if let Some((generation, nodes)) = self.unconfirmed {
            reasons.push(Reason::Unconfirmed {
                generation,
                nodes: nodes.into_iter().collect(),
            });
        }
        if self.silent.0 > 0 {
            let nodes = self.silent.1.into_iter().collect();
            reasons.push(Reason::SilentIngress {
                nodes,
                held: self.silent.0,
            });
        }
        if self.in_flight.0 > 0 {
            let (frontends, rest) = self.in_flight;
            reasons.push(Reason::InFlight { frontends, rest });
        }
        draft
            .waiting
            .extend(reasons.into_iter().map(|reason| Waiting {
                environment: Some(environment.clone()),
                release: None,
                since: self.since.unwrap_or_default(),
                reason,
            }));
    }
}
