//! What an ingress routes by, derived from the state.

use bytes::Bytes;
use fleet_model::{
    State,
    access::Limit,
    ids::{EnvironmentKey, FrontendId},
    network::Network,
    route,
};
use fleet_proto::internal::{
    Admitted, Backend, EnvironmentName, EnvironmentRoutes, HostRoute, ReleasePool, RouteDelta,
    RouteLimit, RouteSettings, RouteTable, backend, ingress_order::Routes,
};
use prost::Message as _;
use ring::hmac;
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
        admitted,
        requests,
        certificate,
        redirect,
        hosts,
        backends,
        manners,
    } = route::environment(state, key)?;
    let hosts = hosts.into_iter().map(|(host, target)| HostRoute {
        host,
        release: release_of(&target),
        service: target.service.to_string(),
    });
    let pools = backends.into_iter().map(|(target, backends)| {
        let manner = manners.get(&target).cloned().unwrap_or_default();
        ReleasePool {
            release: release_of(&target),
            service: target.service.to_string(),
            backends: backends.into_iter().map(backend).collect(),
            response_timeout_ms: manner
                .timeout
                .map_or(0, |timeout| u32::try_from(timeout.0).unwrap_or(u32::MAX)),
            drain_ms: Some(u32::try_from(manner.drain.0).unwrap_or(u32::MAX)),
            sticky_key: match manner.sticky {
                true => sticky_key(state, key, &target),
                false => Bytes::new(),
            },
            admitted: manner.admitted.iter().map(|one| networks(one)).collect(),
        }
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
        admitted: admitted.as_deref().map(networks),
        requests: limit(requests.all),
        address_requests: limit(requests.address),
    })
}

fn networks(networks: &[Network]) -> Admitted {
    Admitted {
        networks: networks.iter().map(ToString::to_string).collect(),
    }
}

/// Nothing where there is no limit.
fn limit(limit: Limit) -> Option<RouteLimit> {
    (limit != Limit::default()).then(|| RouteLimit {
        in_flight: limit.in_flight.unwrap_or_default(),
        per_second: limit.rate.map_or(0, |rate| rate.per_second),
        burst: limit.rate.map_or(0, |rate| rate.burst),
    })
}

fn backend((id, backend): (FrontendId, route::Backend)) -> Backend {
    let protocol = match backend.http2 {
        true => backend::Protocol::Http2,
        false => backend::Protocol::Http1,
    };
    Backend {
        frontend_id: id.0,
        address: backend.address,
        protocol: protocol.into(),
    }
}

/// Signs the cookies by which clients of a service keep their frontend: the same on every leader
/// and through promotions, derived from what only the cluster knows, and good for nothing else.
fn sticky_key(state: &State, key: &EnvironmentKey, target: &route::Target) -> Bytes {
    // In tests there is a cluster without an operator; its cookies are signed by its name.
    let secret = state.trust.operator.as_ref();
    let secret = secret.map_or(state.cluster.id.as_str(), |digest| digest.as_str());
    let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    let EnvironmentKey { app, name } = key;
    let purpose = format!("ingress: sticky cookie of {app}/{name}/{}", target.service);
    Bytes::copy_from_slice(hmac::sign(&secret, purpose.as_bytes()).as_ref())
}

fn name(key: &EnvironmentKey) -> EnvironmentName {
    EnvironmentName {
        app: key.app.to_string(),
        environment: key.name.to_string(),
    }
}
