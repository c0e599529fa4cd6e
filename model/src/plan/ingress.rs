//! Which ingresses are waited for, and what they have confirmed.
//!
//! A live ingress is waited for. A silent one keeps serving its last table, so it cannot confirm
//! anything: a switch does not wait for it, but frontends it may still send to stay up for a while.

use super::{IngressFacts, Load};
use crate::{
    State, Time,
    ids::{EnvironmentKey, FrontendId, NodeId},
    node::{LOST_AFTER, Role},
    report::NodeName,
    rollout::SILENT_INGRESS_HOLD,
};

/// The ingresses of the cluster, as the leader sees them now.
#[derive(Debug)]
pub struct Ingresses<'a> {
    live: Vec<Ingress<'a>>,
    silent: Vec<Ingress<'a>>,
    now: Time,
}

#[derive(Debug)]
struct Ingress<'a> {
    id: NodeId,
    name: &'a str,
    facts: Option<&'a IngressFacts>,
    /// When it was last heard, or could first have been.
    heard: Time,
}

impl<'a> Ingresses<'a> {
    #[must_use]
    pub fn of(state: &'a State, load: &'a Load, now: Time) -> Self {
        let (mut live, mut silent) = (Vec::new(), Vec::new());
        for node in state.nodes_with(Role::Ingress) {
            // A process nobody has heard of yet is one that confirmed nothing.
            let heard_of = load.ingresses.get(&node.id).into_iter().flatten();
            let mut processes: Vec<_> = heard_of.map(|(_, facts)| Some(facts)).collect();
            if processes.is_empty() {
                processes.push(None);
            }
            for facts in processes {
                let heard = facts.map_or(load.since, |facts| facts.heard.max(load.since));
                let ingress = Ingress {
                    id: node.id,
                    name: &node.name,
                    facts,
                    heard,
                };
                let silence = now.since(heard);
                if silence < LOST_AFTER {
                    live.push(ingress)
                } else {
                    silent.push(ingress)
                }
            }
        }
        Self { live, silent, now }
    }

    /// Live ingresses that have not confirmed `generation`.
    #[must_use]
    pub fn unconfirmed(&self, generation: u64) -> Vec<NodeName> {
        names(
            self.live
                .iter()
                .filter(|ingress| ingress.applied() < generation),
        )
    }

    /// Whether an ingress had requests in flight on a frontend when it was last heard. One that has
    /// fallen silent since may still have them; the drain time bounds how long that counts.
    #[must_use]
    pub fn busy(&self, frontend: FrontendId) -> bool {
        let busy = |ingress: &Ingress| {
            ingress
                .facts
                .is_some_and(|facts| facts.busy.contains(&frontend))
        };
        self.live.iter().chain(&self.silent).any(busy)
    }

    /// Whether a live ingress has requests of `environment` in flight that were routed before
    /// `generation`.
    #[must_use]
    pub fn in_flight_before(&self, environment: &EnvironmentKey, generation: u64) -> bool {
        let oldest = |ingress: &Ingress| {
            ingress
                .facts
                .and_then(|facts| facts.outdated.get(environment))
                .copied()
        };
        self.live
            .iter()
            .filter_map(oldest)
            .any(|oldest| oldest < generation)
    }

    /// Silent ingresses that have not confirmed `generation` and may still serve an older table.
    #[must_use]
    pub fn holding(&self, generation: u64) -> Vec<NodeName> {
        let holds = |ingress: &&Ingress| {
            ingress.applied() < generation && self.now.since(ingress.heard) < SILENT_INGRESS_HOLD
        };
        names(self.silent.iter().filter(holds))
    }

    /// Nodes whose ingresses may send requests, as far as anybody knows: silent ones that are not
    /// yet given up included.
    pub fn expected(&self) -> impl Iterator<Item = NodeId> {
        let held = |ingress: &&Ingress<'_>| self.now.since(ingress.heard) < SILENT_INGRESS_HOLD;
        let silent = self.silent.iter().filter(held);
        self.live.iter().chain(silent).map(|ingress| ingress.id)
    }

    /// When the next live ingress would be called silent, or a silent one be given up.
    #[must_use]
    pub fn next_change(&self) -> Option<Time> {
        let to_silence = self
            .live
            .iter()
            .map(|ingress| ingress.heard.plus(LOST_AFTER));
        let to_release = self
            .silent
            .iter()
            .map(|ingress| ingress.heard.plus(SILENT_INGRESS_HOLD));
        to_silence
            .chain(to_release)
            .filter(|at| *at > self.now)
            .min()
    }
}

impl Ingress<'_> {
    fn applied(&self) -> u64 {
        self.facts.map_or(0, |facts| facts.applied)
    }
}

fn names<'a, 'b: 'a>(ingresses: impl Iterator<Item = &'a Ingress<'b>>) -> Vec<NodeName> {
    ingresses
        .map(|i| NodeName {
            id: i.id,
            name: i.name.to_owned(),
        })
        .collect()
}
