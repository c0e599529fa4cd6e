//! Where a frontend goes: small named filters, each of which explains its refusals by count, then
//! an ordered score.

pub mod capacity;

use std::{
    cell::OnceCell,
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use self::capacity::Requested;
use crate::{
    State, Time,
    frontend::{Desired, Frontend},
    ids::{LoadedKey, NodeId, ServiceName},
    manifest::{Resources, Service},
    node::{Lease, Node, Role},
    report::Refusal,
};

/// What is on the nodes, counting what this plan already put there, so that choices compose.
#[derive(Debug)]
pub struct Tally<'a> {
    state: &'a State,
    now: Time,
    /// Made when a service first requests something.
    requested: OnceCell<BTreeMap<NodeId, Requested>>,
    /// Where the artefacts are of the releases that were placed so far.
    holding: BTreeMap<LoadedKey, BTreeSet<NodeId>>,
    nodes: Vec<&'a Node>,
    total: BTreeMap<NodeId, u32>,
    of_service: BTreeMap<(LoadedKey, ServiceName), BTreeMap<NodeId, u32>>,
}

/// Best first when sorted: the order of the fields is the policy.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    /// Weights of the labels the service is drawn to and the node carries: most first.
    affinity: Reverse<u32>,
    /// Frontends of the same service of the same release in the same zone: fewest first.
    in_zone: u32,
    /// And on the node itself.
    on_node: u32,
    /// Frontends of any kind on the node.
    total: u32,
    /// Where its artefact is already, there is nothing to fetch.
    fetches: bool,
    /// The last tie is broken by the id, so that every leader chooses alike.
    node: NodeId,
}

/// A node for one more frontend of a service.
struct Candidate<'a> {
    node: &'a Node,
    now: Time,
    service: Option<&'a Service>,
    /// Whether it has the CPU, and the memory, that the service requests.
    room: (bool, bool),
    /// Whether a frontend of the service and the release is there and has not ended; only agents
    /// ask.
    there: bool,
}

type Filter = (fn(&Candidate<'_>) -> bool, &'static str);

const FILTERS: [Filter; 9] = [
    (|c| c.node.has(Role::Worker), "are not workers"),
    (|c| c.node.lease != Lease::New, "were never heard"),
    (|c| c.node.lease == Lease::Ready, "are silent"),
    (|c| !c.node.draining, "are being drained"),
    (
        |c| c.node.held_back_until().is_none_or(|until| until <= c.now),
        "were lost again and again and are held back",
    ),
    (
        |c| {
            c.service
                .is_none_or(|service| service.selects(&c.node.labels))
        },
        "lack labels it must have",
    ),
    (|c| c.room.0, "have not the cpu it requests"),
    (|c| c.room.1, "have not the memory it requests"),
    (|c| !c.there, "run their agent already"),
];

/// An agent service runs once on every worker that it may run on.
pub(crate) fn agents(state: &State, service: &Service) -> u32 {
    let workers = state
        .nodes_with(Role::Worker)
        .filter(|node| !node.draining && service.selects(&node.labels));
    u32::try_from(workers.count()).unwrap_or(u32::MAX)
}

/// Whether a node takes one more frontend of a service now; the same filters when a placement is
/// planned and when it is applied.
#[must_use]
pub fn admits(state: &State, loaded: &LoadedKey, service: &ServiceName, node: NodeId) -> bool {
    let Some(node) = state.nodes.get(&node) else {
        return false;
    };
    let entry = entry(state, loaded, service);
    let there =
        |f: &Frontend| f.service == *service && f.node == node.id && !f.observed.phase.over();
    let candidate = Candidate {
        node,
        now: state.now,
        service: entry,
        room: match capacity::request(state, loaded, service) {
            nothing if nothing == Resources::default() => (true, true),
            request => Requested::on(state, node.id).leaves_room(node, request),
        },
        there: entry.is_some_and(|entry| entry.agent) && state.frontends_of(loaded).any(there),
    };
    FILTERS.iter().all(|(admits, _)| admits(&candidate))
}

/// Whether a slot of a singleton still has a frontend that runs or may run, whatever is wanted of
/// it: the next one is placed only after it. Always false of other services.
#[must_use]
pub fn one_is_there(state: &State, loaded: &LoadedKey, service: &ServiceName, slot: u32) -> bool {
    state.is_singleton(loaded, service)
        && state
            .frontends_of(loaded)
            .any(|f| f.service == *service && f.slot == slot && f.is_there())
}

/// How many nodes each filter would turn one more frontend of a service away from; empty when one
/// takes it.
#[must_use]
pub fn refusals(state: &State, loaded: &LoadedKey, service: &ServiceName) -> Vec<Refusal> {
    let refused = Tally::of(state, state.now).place(loaded, service);
    refused.err().unwrap_or_default()
}

fn entry<'a>(state: &'a State, loaded: &LoadedKey, service: &ServiceName) -> Option<&'a Service> {
    state.loaded.get(loaded)?.manifest.services.get(service)
}

impl<'a> Tally<'a> {
    #[must_use]
    pub fn of(state: &'a State, now: Time) -> Self {
        let mut tally = Self {
            state,
            now,
            requested: OnceCell::new(),
            holding: BTreeMap::new(),
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
        let state = self.state;
        let entry = entry(state, loaded, service);
        let holding = self.holding.entry(loaded.clone());
        holding.or_insert_with(|| holders(state, loaded));
        let there = self.there(entry, loaded, service);
        let request = capacity::request(self.state, loaded, service);
        let refused_by = |node: &'a Node| {
            let candidate = Candidate {
                node,
                now: self.now,
                service: entry,
                room: self.room(node, request),
                there: there.contains(&node.id),
            };
            FILTERS.iter().find(|(admits, _)| !admits(&candidate))
        };
        let nodes = || self.nodes.iter().copied();
        let candidates = nodes().filter(|node| refused_by(node).is_none());
        let best = candidates
            .min_by_key(|node| self.score(loaded, service, entry, node))
            .map(|n| n.id);
        let Some(node) = best else {
            let mut refusals: Vec<Refusal> = Vec::new();
            for (_, why) in FILTERS {
                let refused = nodes().filter(|n| refused_by(n).is_some_and(|(_, w)| *w == why));
                refusals.push(Refusal {
                    nodes: refused.count() as u32,
                    why,
                });
            }
            refusals.retain(|refusal| refusal.nodes > 0);
            refusals.sort_by_key(|refusal| Reverse(refusal.nodes));
            return Err(refusals);
        };
        self.add(loaded, service, node);
        if let Some(requested) = self.requested.get_mut() {
            requested.entry(node).or_default().add(request);
        }
        Ok(node)
    }

    fn room(&self, node: &Node, request: Resources) -> (bool, bool) {
        if request == Resources::default() {
            return (true, true);
        }
        let everywhere = || Requested::everywhere(self.state);
        let requested = self.requested.get_or_init(everywhere).get(&node.id);
        let requested = requested.copied().unwrap_or_default();
        requested.leaves_room(node, request)
    }

    /// Nodes with a frontend of an agent service, those on their way out included: two agents would
    /// meet at what only one of them can have. Of other services nobody needs to know.
    fn there(
        &self,
        entry: Option<&Service>,
        loaded: &LoadedKey,
        service: &ServiceName,
    ) -> BTreeSet<NodeId> {
        if !entry.is_some_and(|entry| entry.agent) {
            return BTreeSet::new();
        }
        let placed = self.of_service.get(&(loaded.clone(), service.clone()));
        let placed = placed.into_iter().flat_map(|nodes| nodes.keys().copied());
        let alive = self
            .state
            .frontends_of(loaded)
            .filter(|f| f.service == *service && !f.observed.phase.over());
        alive.map(|f| f.node).chain(placed).collect()
    }

    fn score(
        &self,
        loaded: &LoadedKey,
        service: &ServiceName,
        entry: Option<&Service>,
        node: &Node,
    ) -> Score {
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
            affinity: affinity(entry, node),
            in_zone,
            on_node: on(&node.id),
            total: self.total.get(&node.id).copied().unwrap_or(0),
            fetches: !self
                .holding
                .get(loaded)
                .is_some_and(|holding| holding.contains(&node.id)),
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

/// Nodes that the artefact of a release is on, as far as the log knows: control nodes keep copies, and
/// frontends of the release run from one.
fn holders(state: &State, key: &LoadedKey) -> BTreeSet<NodeId> {
    let loaded = state.loaded.get(key);
    let build = loaded.and_then(|loaded| state.builds.get(&loaded.build));
    let copies = build.into_iter().flat_map(|build| &build.holders).copied();
    let running = state.frontends_of(key).map(|frontend| frontend.node);
    copies.chain(running).collect()
}

/// Weights of the labels a service is drawn to and a node carries, most first.
pub(super) fn affinity(service: Option<&Service>, node: &Node) -> Reverse<u32> {
    let drawn = service.into_iter().flat_map(|s| &s.node_affinity);
    Reverse(
        drawn
            .filter(|to| node.labels.get(&to.label) == Some(&to.value))
            .fold(0, |sum, to| sum.saturating_add(to.weight)),
    )
}

#[cfg(test)]
mod tests;
