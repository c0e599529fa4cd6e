//! What an ingress routes by, derived from the state.

use fleet_model::{State, ids::EnvironmentKey, route};
use fleet_proto::internal::{
    Backend, EnvironmentName, EnvironmentRoutes, HostRoute, ReleasePool, RouteDelta, RouteSettings,
    RouteTable, ingress_order::Routes,
};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::certificates::Opener;

/// The whole table.
pub(super) fn full(state: &State, opener: &Opener) -> RouteTable {
    let environments = state.environments.keys();
    RouteTable {
        generation: state.generation,
        environments: environments.filter_map(|key| routes(state, key)).collect(),
        tls: Some(opener.full(state)),
    }
}

/// Whether an ingress that says it holds (`generation`, `digest`) holds `table`.
pub(super) fn is_held(table: &RouteTable, generation: u64, digest: &[u8]) -> bool {
    generation == table.generation && Sha256::digest(table.encode_to_vec()).as_slice() == digest
}

/// What changed since `base`; `None` when nothing did.
pub(super) fn delta(state: &State, base: u64, opener: &Opener) -> Option<Routes> {
    if state.generation == base {
        return None;
    }
    let changed = state
        .route_changes
        .iter()
        .filter(|(_, generation)| **generation > base)
        .map(|(key, _)| key);
    let (mut upsert, mut remove) = (Vec::new(), Vec::new());
    for key in changed {
        match routes(state, key) {
            Some(routes) => upsert.push(routes),
            None => remove.push(name(key)),
        }
    }
    Some(Routes::Delta(RouteDelta {
        base_generation: base,
        generation: state.generation,
        upsert,
        remove,
        tls: opener.delta(state, base),
    }))
}

/// Empty: of both releases of a promotion.
fn release_of(target: &route::Target) -> String {
    target
        .release
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default()
}

fn routes(state: &State, key: &EnvironmentKey) -> Option<EnvironmentRoutes> {
    let environment = state.environments.get(key)?;
    let route::EnvironmentRoutes {
        environment: _,
        maintenance,
        certificate,
        redirect,
        hosts,
        backends,
    } = route::environment(state, key)?;
    let hosts = hosts.into_iter().map(|(host, target)| HostRoute {
        host,
        release: release_of(&target),
        service: target.service.to_string(),
    });
    let pools = backends.into_iter().map(|(target, backends)| ReleasePool {
        release: release_of(&target),
        service: target.service.to_string(),
        backends: backends
            .into_iter()
            .map(|(id, address)| Backend {
                frontend_id: id.0,
                address,
            })
            .collect(),
    });
    let active = environment.active.as_ref();
    Some(EnvironmentRoutes {
        app: key.app.to_string(),
        environment: key.name.to_string(),
        active_release: active.map(ToString::to_string).unwrap_or_default(),
        maintenance,
        hosts: hosts.collect(),
        pools: pools.collect(),
        settings: Some(RouteSettings::default()),
        certificate,
        redirect,
    })
}

fn name(key: &EnvironmentKey) -> EnvironmentName {
    EnvironmentName {
        app: key.app.to_string(),
        environment: key.name.to_string(),
    }
}
