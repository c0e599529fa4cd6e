//! The warm-up rule of activation: when is a release warm enough to be switched to?
//!
//! It must carry at once what the outgoing release carries, so each service it scales is first
//! brought to the outgoing release's count ([`counts`]), and the switch waits until that many
//! frontends are healthy ([`of`]). `--now` skips both.

use imbl::OrdMap;

use super::Draft;
use crate::{
    State,
    environment::Loaded,
    ids::{LoadedKey, ReleaseId, ServiceName},
    report::{Reason, Waiting},
    state::Group,
};

/// How many of the frontends a loaded release should have are healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Warmth {
    pub healthy: u32,
    pub wanted: u32,
}

impl Warmth {
    #[must_use]
    pub fn is_warm(self) -> bool {
        self.healthy >= self.wanted
    }
}

/// How warm a loaded release is. A service with more healthy frontends than wanted does not make up
/// for another with fewer.
#[must_use]
pub fn of(state: &State, key: &LoadedKey) -> Warmth {
    let mut warmth = Warmth {
        healthy: 0,
        wanted: 0,
    };
    let Some(loaded) = state.loaded.get(key) else {
        return warmth;
    };
    for (service, wanted) in &loaded.desired {
        warmth.wanted += wanted;
        warmth.healthy += healthy(state, key, service).min(*wanted);
    }
    warmth
}

/// The counts an incoming release is brought to: for each service no fewer than it has, no fewer
/// than the outgoing release has, within bounds.
#[must_use]
pub fn counts(
    state: &State,
    incoming: &LoadedKey,
    outgoing: Option<&ReleaseId>,
) -> OrdMap<ServiceName, u32> {
    let Some(loaded) = state.loaded.get(incoming) else {
        return OrdMap::new();
    };
    let outgoing = outgoing.and_then(|release| {
        let key = LoadedKey {
            environment: incoming.environment.clone(),
            release: release.clone(),
        };
        state.loaded.get(&key)
    });
    let Some(settings) = state
        .environments
        .get(&incoming.environment)
        .map(|e| &e.settings)
    else {
        return loaded.desired.clone();
    };
    loaded
        .desired
        .iter()
        .map(|(service, own)| {
            let carried = outgoing
                .and_then(|o| o.desired.get(service))
                .copied()
                .unwrap_or(0);
            let bounds = loaded.bounds(service, settings);
            (service.clone(), bounds.clamp(carried.max(*own)))
        })
        .collect()
}

/// Says for each service what is still missing.
pub(super) fn report(state: &State, key: &LoadedKey, loaded: &Loaded, draft: &mut Draft) {
    for (service, wanted) in &loaded.desired {
        let healthy = healthy(state, key, service);
        if healthy < *wanted {
            draft.waiting.push(Waiting {
                environment: Some(key.environment.clone()),
                release: Some(key.release.clone()),
                since: loaded.since,
                reason: Reason::Starting {
                    service: service.clone(),
                    healthy,
                    wanted: *wanted,
                    slowest: slowest(state, key, service),
                },
            });
        }
    }
}

fn healthy(state: &State, key: &LoadedKey, service: &ServiceName) -> u32 {
    state.group(key, service).map_or(0, Group::healthy)
}

/// The one that has been on its way longest, and what it is doing.
fn slowest(state: &State, key: &LoadedKey, service: &ServiceName) -> Option<String> {
    let group = state.group(key, service)?;
    let frontend = group
        .ailing()
        .filter_map(|id| state.frontends.get(&id))
        .find(|f| f.holds_slot())?;
    let node = state
        .nodes
        .get(&frontend.node)
        .map_or("?", |node| &node.name);
    let mut what = format!(
        "{} on {node} is {}",
        frontend.name(),
        frontend.observed.phase
    );
    if !frontend.observed.reason.is_empty() {
        what.push_str(": ");
        what.push_str(&frontend.observed.reason);
    }
    Some(what)
}
