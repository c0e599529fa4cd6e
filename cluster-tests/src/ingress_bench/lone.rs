//! An ingress alone: no control, no frontends of its own, a table of our making.
//!
//! It is the ingress of a real node whose other processes were stopped. It finds the table of its
//! last run on the disk, and serves by it when nobody answers; what is found there is ours.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use fleet_proto::internal as wire;
use prost::Message as _;

use super::entry::Certificate;
use super::load;
use crate::binaries;
use crate::cluster::Cluster;
use crate::wait;
use crate::workload;

/// "FLIT", the format, the checksum of the rest; see proto/fleet/internal/ingress.proto.
const MAGIC: &[u8; 5] = b"FLIT\x01";

const CERTIFICATE: &str = "bench";

/// Starts it with so many routes to a back end.
pub(super) async fn start(
    cluster: &mut Cluster,
    backend: SocketAddr,
    certificate: &Certificate,
    routes: usize,
) -> Result<(Child, SocketAddr)> {
    let node = &mut cluster.nodes[0];
    let address = node.http();
    if !node.processes().is_empty() {
        node.stop().await?;
    }
    let table = node.dir.join("ingress/table.pb");
    rewrite(&table, environment(routes, backend), certificate)?;
    let settings = node.dir.join("run/settings.toml");
    let log = cluster.path().join("ingress.log");
    let log = std::fs::File::options()
        .create(true)
        .append(true)
        .open(log)?;
    let child = Command::new(binaries::binaries()?.fleetd)
        .args(["ingress", "--config"])
        .arg(settings)
        .env("TOKIO_WORKER_THREADS", "1")
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .context("starting an ingress")?;
    wait::until("the ingress to answer", wait::GENEROUS, async || {
        let answer = workload::get(address, &load::host(routes - 1), "/").await;
        ensure!(answer.succeeded(), "{:?}", answer.outcome);
        Ok(())
    })
    .await?;
    Ok((child, address))
}

/// Puts routes in the place of those that the node had, and keeps whose they are.
fn rewrite(
    path: &PathBuf,
    environment: wire::EnvironmentRoutes,
    certificate: &Certificate,
) -> Result<()> {
    let bytes = std::fs::read(path).with_context(|| format!("reading {}", path.display()))?;
    let body = bytes.get(MAGIC.len() + 4..).context("too short a table")?;
    let mut table = wire::DurableTable::decode(body)?;
    // The keys of tickets stay the cluster's.
    let tls = table.table.take().and_then(|known| known.tls);
    let tls = wire::ServedTls {
        certificates: vec![wire::ServedCertificate {
            name: CERTIFICATE.to_owned(),
            chain: vec![certificate.certificate.to_vec().into()],
            key: certificate.key.clone().into(),
            own_domain: String::new(),
        }],
        ..tls.unwrap_or_default()
    };
    table.table = Some(wire::RouteTable {
        generation: 1,
        environments: vec![environment],
        tls: Some(tls),
    });
    let body = table.encode_to_vec();
    let mut bytes = MAGIC.to_vec();
    bytes.extend(crc32c::crc32c(&body).to_le_bytes());
    bytes.extend(body);
    std::fs::write(path, bytes).with_context(|| format!("writing {}", path.display()))
}

/// All hosts lead to the same frontends, as they do with the other proxies: what is measured is the
/// way there, not connections that are used by one host in ten thousand.
fn environment(routes: usize, backend: SocketAddr) -> wire::EnvironmentRoutes {
    let (release, service) = ("R1".to_owned(), "www".to_owned());
    // Two frontends, so that there is a choice; they happen to live at one address.
    let frontends = [1, 2].map(|frontend_id| wire::Backend {
        frontend_id,
        address: backend.to_string(),
        ..wire::Backend::default()
    });
    let host = |number| wire::HostRoute {
        host: load::host(number),
        release: release.clone(),
        service: service.clone(),
    };
    wire::EnvironmentRoutes {
        app: "bench".to_owned(),
        environment: "prod".to_owned(),
        active_release: release.clone(),
        hosts: (0..routes).map(host).collect(),
        pools: vec![wire::ReleasePool {
            release: release.clone(),
            service: service.clone(),
            backends: frontends.to_vec(),
            ..wire::ReleasePool::default()
        }],
        settings: Some(wire::RouteSettings::default()),
        certificate: CERTIFICATE.to_owned(),
        ..wire::EnvironmentRoutes::default()
    }
}
