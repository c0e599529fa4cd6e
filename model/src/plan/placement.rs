//! Where a frontend goes: small named filters, each of which explains its refusals by count, then
//! an ordered score.

use std::{cmp::Reverse, collections::BTreeMap};

use crate::{
    State,
    frontend::Desired,
    ids::{LoadedKey, NodeId, ServiceName},
    node::{Lease, Node, Role},
    report::Refusal,
};

/// What is on the nodes, counting what this plan already put there, so that choices compose.
#[derive(Debug)]
pub struct Tally<'a> {
    nodes: Vec<&'a Node>,
    total: BTreeMap<NodeId, u32>,
    of_service: BTreeMap<(LoadedKey, ServiceName), BTreeMap<NodeId, u32>>,
}

/// Best first when sorted: the order of the fields is the policy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// Frontends of the same service of the same release in the same zone: fewest first.
    in_zone: u32,
    /// And on the node itself.
    on_node: u32,
    /// Frontends of any kind on the node.
    total: u32,
    /// The last tie is broken by the id, so that every leader chooses alike.
    node: NodeId,
}

type Filter = (fn(&Node) -> bool, &'static str);

const FILTERS: [Filter; 4] = [
    (|node| node.has(Role::Worker), "are not workers"),
    (|node| node.lease != Lease::New, "were never heard"),
    (|node| node.lease == Lease::Ready, "are silent"),
    (|node| !node.draining, "are being drained"),
];

/// Whether a node takes frontends now; the same filters when a placement is planned and when it is
/// applied.
#[must_use]
pub fn admits(state: &State, node: NodeId) -> bool {
    let node = state.nodes.get(&node);
    node.is_some_and(|node| FILTERS.iter().all(|(admits, _)| admits(node)))
}

impl<'a> Tally<'a> {
    #[must_use]
    pub fn of(state: &'a State) -> Self {
        let mut tally = Self {
            nodes: state.nodes.values().collect(),
            total: BTreeMap::new(),
            of_service: BTreeMap::new(),
        };
        for frontend in state
            .frontends
            .values()
            .filter(|f| f.desired != Desired::Stop)
        {
            tally.add(&frontend.loaded, &frontend.service, frontend.node);
        }
        tally
    }

    /// Chooses a node for one more frontend and counts it there.
    ///
    /// # Errors
    /// How many nodes each filter turned away, when none is left.
    pub fn place(
        &mut self,
        loaded: &LoadedKey,
        service: &ServiceName,
    ) -> Result<NodeId, Vec<Refusal>> {
        let refused_by = |node: &Node| FILTERS.iter().find(|(admits, _)| !admits(node));
        let candidates = self.nodes.iter().filter(|node| refused_by(node).is_none());
        let best = candidates
            .min_by_key(|node| self.score(loaded, service, node))
            .map(|n| n.id);
        let Some(node) = best else {
            let mut refusals: Vec<Refusal> = Vec::new();
            for (_, why) in FILTERS {
                let nodes = self
                    .nodes
                    .iter()
                    .filter(|n| refused_by(n).is_some_and(|(_, w)| *w == why));
                refusals.push(Refusal {
                    nodes: nodes.count() as u32,
                    why,
                });
            }
            refusals.retain(|refusal| refusal.nodes > 0);
            refusals.sort_by_key(|refusal| Reverse(refusal.nodes));
            return Err(refusals);
        };
        self.add(loaded, service, node);
        Ok(node)
    }

    fn score(&self, loaded: &LoadedKey, service: &ServiceName, node: &Node) -> Score {
        let spread = self.of_service.get(&(loaded.clone(), service.clone()));
        let on = |id: &NodeId| spread.and_then(|nodes| nodes.get(id)).copied().unwrap_or(0);
        let zone = node.labels.get("zone");
        let in_zone = match zone {
            None => on(&node.id),
            Some(_) => {
                let same = |other: &&&Node| other.labels.get("zone") == zone;
                self.nodes
                    .iter()
                    .filter(same)
                    .map(|other| on(&other.id))
                    .sum()
            }
        };
        Score {
            in_zone,
            on_node: on(&node.id),
            total: self.total.get(&node.id).copied().unwrap_or(0),
            node: node.id,
        }
    }

    fn add(&mut self, loaded: &LoadedKey, service: &ServiceName, node: NodeId) {
        *self.total.entry(node).or_default() += 1;
        let nodes = self
            .of_service
            .entry((loaded.clone(), service.clone()))
            .or_default();
        *nodes.entry(node).or_default() += 1;
    }
}
