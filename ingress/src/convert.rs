//! Between the wire form of routes and reports and our own; nothing else knows the wire form.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use fleet_proto::internal as wire;
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::host;
use super::pace::{Limit, Rate};
use super::routes::{FrontendLoad, Snapshot};
use super::spec::{
    Backend, Delta, EnvironmentKey, EnvironmentSpec, HostSpec, PoolSpec, Protocol, Settings, Spec,
};
use super::tls::spec::{TlsDelta, TlsSpec};
use crate::config::Network;

/// Routes that make no sense. Refused as a whole: half a table is worse than the one before.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nonsense {
    #[error("environment {0} comes twice")]
    Environment(EnvironmentKey),
    #[error("host {host:?} of {environment} is no host name")]
    Host {
        environment: EnvironmentKey,
        host: String,
    },
    #[error("host {host:?} of {environment} points at no pool")]
    NoPool {
        environment: EnvironmentKey,
        host: String,
    },
    #[error("frontend {id} of {environment} has the address {address:?}, which is none")]
    Address {
        environment: EnvironmentKey,
        id: u64,
        address: String,
    },
    #[error("frontend {0} comes twice")]
    Frontend(u64),
    #[error("frontend {id} of {environment} speaks a protocol that is not known here")]
    Protocol {
        environment: EnvironmentKey,
        id: u64,
    },
    #[error("{environment} lets in {network:?}, which is no network")]
    Network {
        environment: EnvironmentKey,
        network: String,
    },
}

pub(super) fn spec_from_wire(table: wire::RouteTable) -> Result<Spec, Nonsense> {
    let environments = environments(table.environments)?;
    frontends_are_one_each(&environments)?;
    Ok(Spec {
        generation: table.generation,
        environments,
        tls: Arc::new(TlsSpec::from_wire(table.tls)),
    })
}

/// A frontend may be in several pools of its environment, as it is while two releases share the
/// traffic, but it is one and has one address.
fn frontends_are_one_each(
    environments: &BTreeMap<EnvironmentKey, EnvironmentSpec>,
) -> Result<(), Nonsense> {
    let mut seen = HashMap::new();
    for (key, environment) in environments {
        for pool in &environment.pools {
            let mut members = BTreeSet::new();
            for backend in &pool.backends {
                let (home, known) = *seen.entry(backend.id).or_insert((key, backend));
                if home != key || known != backend || !members.insert(backend.id) {
                    return Err(Nonsense::Frontend(backend.id));
                }
            }
        }
    }
    Ok(())
}

pub(super) fn delta_from_wire(delta: wire::RouteDelta) -> Result<Delta, Nonsense> {
    let removed = delta.remove.into_iter();
    Ok(Delta {
        base_generation: delta.base_generation,
        generation: delta.generation,
        upsert: environments(delta.upsert)?,
        tls: delta.tls.map(TlsDelta::from_wire),
        remove: removed
            .map(|name| EnvironmentKey {
                app: name.app,
                environment: name.environment,
            })
            .collect(),
    })
}

fn environments(
    wire: Vec<wire::EnvironmentRoutes>,
) -> Result<BTreeMap<EnvironmentKey, EnvironmentSpec>, Nonsense> {
    let mut all = BTreeMap::new();
    for routes in wire {
        let (key, spec) = environment(routes)?;
        if all.insert(key.clone(), spec).is_some() {
            return Err(Nonsense::Environment(key));
        }
    }
    Ok(all)
}

fn environment(
    routes: wire::EnvironmentRoutes,
) -> Result<(EnvironmentKey, EnvironmentSpec), Nonsense> {
    let key = EnvironmentKey {
        app: routes.app,
        environment: routes.environment,
    };
    let mut pools = Vec::with_capacity(routes.pools.len());
    let mut index = HashMap::new();
    for wire in routes.pools {
        index.insert((wire.release.clone(), wire.service.clone()), pools.len());
        let backends = wire.backends.into_iter();
        let backends = backends.map(|wire| backend(&key, wire));
        pools.push(PoolSpec {
            release: wire.release,
            service: wire.service,
            backends: backends.collect::<Result<_, _>>()?,
            response_timeout: match wire.response_timeout_ms {
                0 => None,
                ms => Some(Duration::from_millis(ms.into())),
            },
            drain: wire.drain_ms.map(|ms| Duration::from_millis(ms.into())),
            sticky: (!wire.sticky_key.is_empty()).then(|| wire.sticky_key.as_ref().into()),
            admitted: wire
                .admitted
                .into_iter()
                .map(|admitted| networks(&key, admitted))
                .collect::<Result<_, _>>()?,
        });
    }
    let mut hosts = Vec::with_capacity(routes.hosts.len());
    for route in routes.hosts {
        let Some(pattern) = host::pattern(&route.host) else {
            return Err(Nonsense::Host {
                environment: key,
                host: route.host,
            });
        };
        match index.get(&(route.release, route.service)) {
            Some(&pool) => hosts.push(HostSpec { pattern, pool }),
            None => {
                return Err(Nonsense::NoPool {
                    environment: key,
                    host: route.host,
                });
            }
        }
    }
    let (active_release, maintenance) = (routes.active_release, routes.maintenance);
    let settings = settings(routes.settings);
    let admitted = routes.admitted.map(|admitted| networks(&key, admitted));
    let admitted = admitted.transpose()?;
    Ok((
        key,
        EnvironmentSpec {
            active_release,
            maintenance,
            hosts,
            pools,
            settings,
            certificate: routes.certificate,
            redirect: routes.redirect,
            admitted,
            requests: limit(routes.requests),
            address_requests: limit(routes.address_requests),
        },
    ))
}

fn networks(environment: &EnvironmentKey, wire: wire::Admitted) -> Result<Vec<Network>, Nonsense> {
    let network = |text: String| {
        text.parse().map_err(|_| Nonsense::Network {
            environment: environment.clone(),
            network: text,
        })
    };
    wire.networks.into_iter().map(network).collect()
}

fn limit(wire: Option<wire::RouteLimit>) -> Limit {
    let wire = wire.unwrap_or_default();
    Limit {
        in_flight: NonZeroU32::new(wire.in_flight),
        rate: NonZeroU32::new(wire.per_second).map(|per_second| Rate {
            per_second,
            burst: wire.burst,
        }),
    }
}

fn backend(environment: &EnvironmentKey, wire: wire::Backend) -> Result<Backend, Nonsense> {
    let id = wire.frontend_id;
    let protocol = match wire::backend::Protocol::try_from(wire.protocol) {
        Ok(wire::backend::Protocol::Http1) => Protocol::Http1,
        Ok(wire::backend::Protocol::Http2) => Protocol::Http2,
        Err(_) => {
            return Err(Nonsense::Protocol {
                environment: environment.clone(),
                id,
            });
        }
    };
    match wire.address.parse() {
        Ok(address) => Ok(Backend {
            id,
            address,
            protocol,
        }),
        Err(_) => Err(Nonsense::Address {
            environment: environment.clone(),
            id,
            address: wire.address,
        }),
    }
}

fn settings(wire: Option<wire::RouteSettings>) -> Settings {
    let wire = wire.unwrap_or_default();
    let default = Settings::default();
    let or = |ms: u32, default| match ms {
        0 => default,
        ms => Duration::from_millis(u64::from(ms)),
    };
    Settings {
        response_timeout: or(wire.response_timeout_ms, default.response_timeout),
        hold: or(wire.hold_ms, default.hold),
    }
}

/// Environments come out ascending, as the digest wants them.
pub(super) fn spec_to_wire(spec: &Spec) -> wire::RouteTable {
    let environments = spec.environments.iter();
    wire::RouteTable {
        generation: spec.generation,
        environments: environments
            .map(|(key, spec)| environment_to_wire(key, spec))
            .collect(),
        tls: Some(spec.tls.to_wire()),
    }
}

fn environment_to_wire(key: &EnvironmentKey, spec: &EnvironmentSpec) -> wire::EnvironmentRoutes {
    let host = |host: &HostSpec| wire::HostRoute {
        host: host.pattern.clone(),
        release: spec.pools[host.pool].release.clone(),
        service: spec.pools[host.pool].service.clone(),
    };
    let pool = |pool: &PoolSpec| wire::ReleasePool {
        release: pool.release.clone(),
        service: pool.service.clone(),
        backends: pool
            .backends
            .iter()
            .map(|backend| wire::Backend {
                frontend_id: backend.id,
                address: backend.address.to_string(),
                protocol: match backend.protocol {
                    Protocol::Http1 => wire::backend::Protocol::Http1.into(),
                    Protocol::Http2 => wire::backend::Protocol::Http2.into(),
                },
            })
            .collect(),
        response_timeout_ms: pool.response_timeout.map_or(0, millis),
        sticky_key: pool.sticky.as_deref().unwrap_or_default().to_vec().into(),
        drain_ms: pool.drain.map(millis),
        admitted: pool
            .admitted
            .iter()
            .map(|one| networks_to_wire(one))
            .collect(),
    };
    let default = Settings::default();
    let explicit = |value: Duration, default: Duration| match value == default {
        true => 0,
        false => millis(value),
    };
    let settings = Some(wire::RouteSettings {
        response_timeout_ms: explicit(spec.settings.response_timeout, default.response_timeout),
        hold_ms: explicit(spec.settings.hold, default.hold),
    });
    wire::EnvironmentRoutes {
        app: key.app.clone(),
        environment: key.environment.clone(),
        active_release: spec.active_release.clone(),
        maintenance: spec.maintenance,
        hosts: spec.hosts.iter().map(host).collect(),
        pools: spec.pools.iter().map(pool).collect(),
        settings,
        certificate: spec.certificate.clone(),
        redirect: spec.redirect,
        admitted: spec.admitted.as_deref().map(networks_to_wire),
        requests: limit_to_wire(spec.requests),
        address_requests: limit_to_wire(spec.address_requests),
    }
}

fn networks_to_wire(networks: &[Network]) -> wire::Admitted {
    wire::Admitted {
        networks: networks.iter().map(ToString::to_string).collect(),
    }
}

fn limit_to_wire(limit: Limit) -> Option<wire::RouteLimit> {
    (!limit.is_none()).then(|| wire::RouteLimit {
        in_flight: limit.in_flight.map_or(0, NonZeroU32::get),
        per_second: limit.rate.map_or(0, |rate| rate.per_second.get()),
        burst: limit.rate.map_or(0, |rate| rate.burst),
    })
}

fn millis(duration: Duration) -> u32 {
    u32::try_from(duration.as_millis()).unwrap_or(u32::MAX)
}

/// See `RouteTable` in ingress.proto. Control may compute it over what it sent.
pub(super) fn digest(table: &wire::RouteTable) -> Vec<u8> {
    Sha256::digest(table.encode_to_vec()).to_vec()
}

pub(super) fn outdated_to_wire(snapshot: &Snapshot) -> Vec<wire::OldestRoutes> {
    let outdated = snapshot.outdated.iter();
    outdated
        .map(|(key, oldest)| wire::OldestRoutes {
            app: key.app.clone(),
            environment: key.environment.clone(),
            oldest_generation: *oldest,
        })
        .collect()
}

pub(super) fn load_to_wire(load: FrontendLoad) -> wire::FrontendLoad {
    let (latency_bucket, latency_count) = load.counted.latency.into_iter().unzip();
    wire::FrontendLoad {
        frontend_id: load.id,
        sent: load.counted.sent,
        requests: load.counted.requests,
        server_errors: load.counted.server_errors,
        connection_errors: load.counted.connection_errors,
        in_flight: load.in_flight,
        latency_bucket,
        latency_count,
        ejected: load.ejected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> wire::RouteTable {
        let backend = |frontend_id, address: &str| wire::Backend {
            frontend_id,
            address: address.to_owned(),
            protocol: wire::backend::Protocol::Http2.into(),
        };
        let admitted = |networks: &[&str]| wire::Admitted {
            networks: networks.iter().map(|text| (*text).to_owned()).collect(),
        };
        let host = |host: &str| wire::HostRoute {
            host: host.to_owned(),
            release: "R1".to_owned(),
            service: "www".to_owned(),
        };
        let pool = wire::ReleasePool {
            release: "R1".to_owned(),
            service: "www".to_owned(),
            backends: vec![
                backend(7, "127.0.0.1:20000"),
                backend(8, "node-2.test:20001"),
            ],
            response_timeout_ms: 90_000,
            sticky_key: vec![7; 32].into(),
            drain_ms: Some(0),
            admitted: vec![admitted(&["10.1.0.0/16"]), admitted(&[])],
        };
        let routes = wire::EnvironmentRoutes {
            app: "shop".to_owned(),
            environment: "prod".to_owned(),
            active_release: "R1".to_owned(),
            maintenance: false,
            hosts: vec![host("www.prod.shop.test"), host("*.www.prod.shop.test")],
            pools: vec![pool],
            settings: Some(wire::RouteSettings {
                response_timeout_ms: 5_000,
                hold_ms: 0,
            }),
            certificate: "shop".to_owned(),
            redirect: true,
            admitted: Some(admitted(&["10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32"])),
            requests: None,
            address_requests: Some(wire::RouteLimit {
                in_flight: 3,
                per_second: 10,
                burst: 20,
            }),
        };
        wire::RouteTable {
            generation: 4,
            environments: vec![routes],
            tls: Some(wire::ServedTls {
                certificates: Vec::new(),
                tickets: Some(wire::TicketKeys::default()),
                answers: vec![wire::AcmeAnswer {
                    host: "www.prod.shop.test".to_owned(),
                    token: "token".to_owned(),
                    proof: "token.thumb".to_owned(),
                    tls_alpn: true,
                }],
            }),
        }
    }

    #[test]
    fn there_and_back() {
        let spec = spec_from_wire(table()).expect("a sound table");
        assert_eq!(spec_to_wire(&spec), table());
    }

    #[test]
    fn a_frontend_may_be_in_two_pools_of_its_environment() {
        let mut table = table();
        let shared = wire::ReleasePool {
            release: String::new(),
            ..table.environments[0].pools[0].clone()
        };
        table.environments[0].pools.push(shared);
        let spec = spec_from_wire(table.clone()).expect("a sound table");
        assert_eq!(spec_to_wire(&spec), table);
        table.environments[0].pools[1].backends[0].address = "127.0.0.1:20009".to_owned();
        assert_eq!(spec_from_wire(table), Err(Nonsense::Frontend(7)));
    }

    #[test]
    fn nonsense_is_refused_as_a_whole() {
        let refusal = |change: fn(&mut wire::RouteTable)| {
            let mut wire = table();
            change(&mut wire);
            spec_from_wire(wire).expect_err("nonsense").to_string()
        };
        type Change = fn(&mut wire::RouteTable);
        let table: &[(Change, &str)] = &[
            (
                |t| t.environments.push(t.environments[0].clone()),
                "environment shop/prod comes twice",
            ),
            (
                |t| t.environments[0].hosts[0].host = "w w".to_owned(),
                "host \"w w\" of shop/prod is no host name",
            ),
            (
                |t| t.environments[0].hosts[0].release = "R2".to_owned(),
                "host \"www.prod.shop.test\" of shop/prod points at no pool",
            ),
            (
                |t| t.environments[0].pools[0].backends[0].address = "localhost".to_owned(),
                "frontend 7 of shop/prod has the address \"localhost\", which is none",
            ),
            (
                |t| t.environments[0].pools[0].backends[0].frontend_id = 8,
                "frontend 8 comes twice",
            ),
            (
                |t| t.environments[0].pools[0].backends[1].protocol = 3,
                "frontend 8 of shop/prod speaks a protocol that is not known here",
            ),
            (
                |t| t.environments[0].pools[0].admitted[0].networks[0] = "10.1.0.1/16".to_owned(),
                "shop/prod lets in \"10.1.0.1/16\", which is no network",
            ),
        ];
        for (change, sentence) in table {
            assert_eq!(&refusal(*change), sentence);
        }
    }

    /// docs/autoscaling.md says what reports cost.
    #[test]
    fn the_load_of_a_frontend_takes_at_most_64_bytes() {
        use prost::Message as _;
        // A thousand requests a second, with latencies over four powers of two.
        let counted = super::super::load::Delta {
            sent: 1000,
            requests: 1000,
            latency: (60..76).map(|bucket| (bucket, 62)).collect(),
            ..Default::default()
        };
        let load = FrontendLoad {
            id: 1_000_000,
            in_flight: 20,
            ejected: false,
            counted,
        };
        let status = wire::IngressStatus {
            busy: vec![load.id],
            load: vec![load_to_wire(load)],
            ..wire::IngressStatus::default()
        };
        assert!(status.encoded_len() <= 64, "{}", status.encoded_len());
    }
}
