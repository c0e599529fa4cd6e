//! Everything the cluster has agreed on.

mod group;

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};

pub use self::group::Group;
use crate::{
    Time,
    access::{ALLOW_ALL, Whitelist},
    acme::Account,
    app::App,
    backup::Backups,
    balance::Balance,
    build::Build,
    certificate::{Certificate, SELF_SIGNED, Tls},
    command::{Outcome, Rejection},
    environment::{Environment, Loaded},
    event::Event,
    frontend::{Desired, Frontend},
    ids::{
        AppName, BuildId, EnvironmentKey, FrontendId, LoadedKey, NodeId, ReleaseId, RequestId,
        ServiceName,
    },
    node::{Node, Role},
    release::Release,
    rollout::Rollout,
    trust::Trust,
};

/// The replicated state. All maps are ordered and persistent: iteration is the same on every node,
/// and a clone, which is what a snapshot, a reader or the planner takes, costs O(1).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub cluster: Cluster,
    pub backups: Backups,
    /// Log index of the last applied command.
    pub index: u64,
    /// The latest time any command was stamped with; never runs backwards.
    pub now: Time,
    /// Generation of the route table; grows whenever a route, a backend or a pointer changes.
    pub generation: u64,
    pub nodes: OrdMap<NodeId, Node>,
    pub apps: OrdMap<AppName, App>,
    pub builds: OrdMap<BuildId, Build>,
    pub releases: OrdMap<ReleaseId, Release>,
    pub environments: OrdMap<EnvironmentKey, Environment>,
    pub loaded: OrdMap<LoadedKey, Loaded>,
    pub rollouts: OrdMap<EnvironmentKey, Rollout>,
    pub frontends: OrdMap<FrontendId, Frontend>,
    pub whitelists: OrdMap<Arc<str>, Whitelist>,
    pub certificates: OrdMap<Arc<str>, Certificate>,
    /// With authorities that give certificates, by their directories.
    pub accounts: OrdMap<Arc<str>, Account>,
    pub events: OrdMap<u64, Event>,
    /// Answers to requests, so that a retry takes effect once.
    pub requests: OrdMap<RequestId, Answered>,
    /// The same by age, so that the oldest can be forgotten.
    pub request_order: OrdMap<u64, RequestId>,
    /// The generation in which an environment's routes last changed; a removed environment stays
    /// listed until it is created again, so that its removal is news too.
    pub route_changes: OrdMap<EnvironmentKey, u64>,
    /// Authorities, join tokens, and what nodes were given.
    pub trust: Trust,
    pub tls: Tls,
    pub balance: Balance,
    /// The id the next frontend gets.
    pub next_frontend: u64,
    /// The sequence number the next event gets.
    pub next_event: u64,

    // Indexes, derived from `frontends` and kept with it.
    pub(crate) by_loaded: OrdMap<LoadedKey, OrdSet<FrontendId>>,
    pub(crate) by_node: OrdMap<NodeId, OrdSet<FrontendId>>,
    pub(crate) groups: OrdMap<(LoadedKey, ServiceName), Group>,
    /// Frontends that are not wanted any more and not yet forgotten.
    pub(crate) leaving: OrdSet<FrontendId>,
}

/// What the cluster is called and where its hosts live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Empty until `node init`.
    pub id: String,
    pub name: String,
    /// Hosts end in it; `localhost` in development, because those names resolve by themselves.
    pub domain: String,
    pub created: Time,
    /// How often the log began anew, by a restore or a recovery; 0 for the log that the cluster was
    /// founded with. Logs of different generations never mix.
    pub generation: u64,
    /// The backup it was restored from, if it was.
    pub origin: Option<Origin>,
}

/// Where a restored cluster comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// Id of the cluster that the backup was taken of.
    pub cluster: String,
    /// Log index at which this one began.
    pub index: u64,
    /// Time of the last command in the backup.
    pub taken: Time,
}

/// The first answer to a request, given again to every retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    pub index: u64,
    pub answer: Result<Outcome, Rejection>,
}

/// How many answers are remembered. At 100 commands a second a retry may come 100 s late; the CLI
/// gives up long before.
pub const REMEMBERED_REQUESTS: usize = 10_000;

impl State {
    /// The state before the first command: what exists in every cluster from the beginning.
    #[must_use]
    pub fn genesis() -> Self {
        let mut state = Self {
            next_frontend: 1,
            next_event: 1,
            ..Self::default()
        };
        state
            .whitelists
            .insert(ALLOW_ALL.into(), Whitelist::allow_all());
        let own = Certificate {
            name: SELF_SIGNED.into(),
            created: Time::default(),
            uploaded: Time::default(),
            generation: 0,
            issued: None,
            warned: None,
            managed: None,
        };
        state.certificates.insert(SELF_SIGNED.into(), own);
        state
    }

    /// Releases loaded into an environment, by release id.
    pub fn loaded_in<'a>(
        &'a self,
        environment: &'a EnvironmentKey,
    ) -> impl Iterator<Item = (&'a LoadedKey, &'a Loaded)> {
        let first = LoadedKey {
            environment: environment.clone(),
            release: ReleaseId::lowest(),
        };
        self.loaded
            .range(first..)
            .take_while(move |(key, _)| key.environment == *environment)
    }

    /// Environments of an app, by name.
    pub fn environments_of<'a>(
        &'a self,
        app: &'a AppName,
    ) -> impl Iterator<Item = &'a Environment> {
        self.environments
            .values()
            .filter(move |environment| environment.key.app == *app)
    }

    /// Frontends of a loaded release, wanted or not, oldest first.
    pub fn frontends_of<'a>(
        &'a self,
        loaded: &LoadedKey,
    ) -> impl Iterator<Item = &'a Frontend> + use<'a> {
        self.by_loaded
            .get(loaded)
            .into_iter()
            .flatten()
            .filter_map(|id| self.frontends.get(id))
    }

    /// How many frontends a loaded release has, wanted or not.
    #[must_use]
    pub fn count_of(&self, loaded: &LoadedKey) -> u32 {
        let ids = self.by_loaded.get(loaded);
        u32::try_from(ids.map_or(0, OrdSet::len)).unwrap_or(u32::MAX)
    }

    /// Frontends of a node, oldest first.
    pub fn frontends_on(&self, node: NodeId) -> impl Iterator<Item = &Frontend> {
        self.by_node
            .get(&node)
            .into_iter()
            .flatten()
            .filter_map(|id| self.frontends.get(id))
    }

    /// Nodes with a role, by id.
    pub fn nodes_with(&self, role: Role) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(move |node| node.has(role))
    }

    /// Whether a node of this id was here once and is not any more. Ids come from the log and are
    /// never given again, so what is not here and not to come was removed.
    #[must_use]
    pub fn was_removed(&self, id: NodeId) -> bool {
        !self.nodes.is_empty() && id.0 <= self.index && !self.nodes.contains_key(&id)
    }

    /// What is counted of the frontends of a service of a loaded release; `None` while there are
    /// none.
    #[must_use]
    pub fn group(&self, loaded: &LoadedKey, service: &ServiceName) -> Option<&Group> {
        self.groups.get(&(loaded.clone(), service.clone()))
    }

    /// Whether a slot of a service may never have two frontends at once.
    #[must_use]
    pub fn is_singleton(&self, loaded: &LoadedKey, service: &ServiceName) -> bool {
        let loaded = self.loaded.get(loaded);
        let service = loaded.and_then(|loaded| loaded.manifest.services.get(service));
        service.is_some_and(|service| service.singleton)
    }

    /// Frontends that are not wanted any more, oldest first.
    pub fn leaving(&self) -> impl Iterator<Item = &Frontend> {
        self.leaving.iter().filter_map(|id| self.frontends.get(id))
    }

    /// Wanted frontends in a slot of a group.
    pub(crate) fn frontends_in<'a>(
        &'a self,
        group: &Group,
        slot: u32,
    ) -> impl Iterator<Item = &'a Frontend> + use<'a> {
        let ids: Vec<FrontendId> = group.in_slot(slot).collect();
        ids.into_iter().filter_map(|id| self.frontends.get(&id))
    }

    /// Adds or replaces a frontend and keeps the indexes true.
    pub fn put_frontend(&mut self, frontend: Frontend) {
        let group = (frontend.loaded.clone(), frontend.service.clone());
        let group = self.groups.entry(group).or_default();
        if let Some(before) = self.frontends.get(&frontend.id) {
            group.remove(before);
        }
        group.add(&frontend);
        if frontend.desired == Desired::Run {
            self.leaving.remove(&frontend.id);
        } else {
            self.leaving.insert(frontend.id);
        }
        self.by_loaded
            .entry(frontend.loaded.clone())
            .or_default()
            .insert(frontend.id);
        self.by_node
            .entry(frontend.node)
            .or_default()
            .insert(frontend.id);
        self.frontends.insert(frontend.id, frontend);
    }

    pub(crate) fn remove_frontend(&mut self, id: FrontendId) -> Option<Frontend> {
        let frontend = self.frontends.remove(&id)?;
        self.leaving.remove(&id);
        let group = (frontend.loaded.clone(), frontend.service.clone());
        if let Some(counted) = self.groups.get_mut(&group) {
            counted.remove(&frontend);
            if counted.is_empty() {
                self.groups.remove(&group);
            }
        }
        unindex(&mut self.by_loaded, &frontend.loaded, id);
        unindex(&mut self.by_node, &frontend.node, id);
        Some(frontend)
    }
}

fn unindex<K: Ord + Clone>(index: &mut OrdMap<K, OrdSet<FrontendId>>, key: &K, id: FrontendId) {
    if let Some(ids) = index.get_mut(key) {
        ids.remove(&id);
        if ids.is_empty() {
            index.remove(key);
        }
    }
}
