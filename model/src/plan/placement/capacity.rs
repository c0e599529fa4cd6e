//! What the frontends of a node have requested, against what it has.
//!
//! A request is a promise of room, not a bound (docs/manifest.md): a service that requests nothing
//! fits anywhere, and a node that has not said what it has is not asked.

use std::collections::BTreeMap;

use crate::{
    State,
    frontend::Frontend,
    ids::{LoadedKey, NodeId, ServiceName},
    manifest::Resources,
    node::Node,
};

/// The sum of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Requested {
    pub cpu_millicores: u64,
    pub memory_bytes: u64,
}

impl Requested {
    /// Of the frontends of a node that run, or are about to, or have not ended yet.
    #[must_use]
    pub fn on(state: &State, node: NodeId) -> Self {
        let mut sum = Self::default();
        let there = state.frontends_on(node).filter(|f| f.is_there());
        there.for_each(|frontend| sum.add(of(state, frontend)));
        sum
    }

    /// By node, of all nodes at once.
    pub(super) fn everywhere(state: &State) -> BTreeMap<NodeId, Self> {
        let mut sums: BTreeMap<NodeId, Self> = BTreeMap::new();
        for frontend in state.frontends.values().filter(|f| f.is_there()) {
            sums.entry(frontend.node)
                .or_default()
                .add(of(state, frontend));
        }
        sums
    }

    pub(super) fn add(&mut self, request: Resources) {
        // Requests are as large as people write them.
        let (cpu, memory) = (request.cpu_millicores, request.memory_bytes);
        let add = |sum: u64, more: u64| sum.saturating_add(more);
        self.cpu_millicores = add(self.cpu_millicores, u64::from(cpu.unwrap_or(0)));
        self.memory_bytes = add(self.memory_bytes, memory.unwrap_or(0));
    }

    /// Whether a node has the CPU, and whether it has the memory, for one more.
    pub(super) fn leaves_room(self, node: &Node, request: Resources) -> (bool, bool) {
        let Some(facts) = &node.facts else {
            return (true, true);
        };
        let fits = |has: u64, used: u64, asked: u64| {
            asked == 0 || has == 0 || used.saturating_add(asked) <= has
        };
        let cpu = u64::from(request.cpu_millicores.unwrap_or(0));
        let memory = request.memory_bytes.unwrap_or(0);
        (
            fits(facts.cpu_millicores, self.cpu_millicores, cpu),
            fits(facts.memory_bytes, self.memory_bytes, memory),
        )
    }
}

fn of(state: &State, frontend: &Frontend) -> Resources {
    request(state, &frontend.loaded, &frontend.service)
}

/// What each frontend of a service requests.
#[must_use]
pub fn request(state: &State, loaded: &LoadedKey, service: &ServiceName) -> Resources {
    let environment = state.environments.get(&loaded.environment);
    match (state.loaded.get(loaded), environment) {
        (Some(loaded), Some(environment)) => loaded.requests(service, &environment.settings),
        _ => Resources::default(),
    }
}
