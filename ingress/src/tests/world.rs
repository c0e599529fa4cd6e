//! An ingress under test, and tables to give it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fleet_proto::internal as wire;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::control::Control;
use super::frontend::Frontend;
use super::raw::Raw;
use crate::config::{AccessLines, Network};
use crate::trust::testing::TestAuthority;
use crate::{Listeners, Options, Outcome, PerAddress, Times, serve};

/// Longer than anything here takes on a busy machine. Never slept, only waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

pub(super) const HOST: &str = "www.prod.shop.test";

/// An ingress in this process.
pub(super) struct Ingress {
    pub(super) address: SocketAddr,
    pub(super) https: SocketAddr,
    pub(super) ready: Arc<AtomicBool>,
    pub(super) table: PathBuf,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<std::io::Result<Outcome>>,
    _directory: Arc<tempfile::TempDir>,
}

/// What may differ between two ingresses.
#[derive(Clone)]
pub(super) struct Setup {
    pub(super) control: Vec<String>,
    pub(super) authority: TestAuthority,
    pub(super) drain: Duration,
    pub(super) times: Times,
    pub(super) balancers: Vec<Network>,
    pub(super) metrics: Option<SocketAddr>,
    pub(super) access_log: AccessLines,
    pub(super) trusted: Vec<Network>,
    pub(super) per_address: PerAddress,
    pub(super) directory: Arc<tempfile::TempDir>,
}

impl Setup {
    pub(super) fn with(control: &[&Control]) -> Self {
        Self {
            control: control
                .iter()
                .map(|control| control.address.to_string())
                .collect(),
            authority: control
                .first()
                .map_or_else(|| TestAuthority::new("c1"), |c| c.authority.clone()),
            drain: PATIENCE,
            times: Times::default(),
            balancers: Vec::new(),
            metrics: None,
            access_log: AccessLines::Off,
            trusted: Vec::new(),
            per_address: PerAddress::default(),
            directory: Arc::new(tempfile::tempdir().unwrap()),
        }
    }

    /// Starts an ingress; it may not accept yet.
    pub(super) fn start(&self) -> Ingress {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let secure = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let https = secure.local_addr().unwrap();
        let table = self.directory.path().join("ingress/table.pb");
        let options = Options {
            cluster_id: "c1".to_owned(),
            node_id: 1,
            trust: self.authority.node(1, &["ingress"]),
            control: self.control.clone(),
            table: table.clone(),
            balancers: self.balancers.clone(),
            trusted: self.trusted.clone(),
            per_address: self.per_address,
            drain: self.drain,
            metrics: self.metrics,
            access_log: self.access_log,
            access_log_file: self.directory.path().join("access.log"),
            times: self.times,
            first_table: std::time::Duration::from_millis(200),
        };
        let (stop, stopped) = oneshot::channel();
        let ready = Arc::new(AtomicBool::new(false));
        let set = Arc::clone(&ready);
        let task = tokio::spawn(async move {
            let ready = move || set.store(true, Ordering::SeqCst);
            let listeners = Listeners {
                http: vec![listener],
                https: vec![secure],
            };
            serve(
                options,
                listeners,
                ready,
                async move { drop(stopped.await) },
            )
            .await
        });
        let directory = Arc::clone(&self.directory);
        Ingress {
            address,
            https,
            ready,
            table,
            stop: Some(stop),
            task,
            _directory: directory,
        }
    }
}

impl Ingress {
    /// What SIGTERM does.
    pub(super) fn stop(&mut self) {
        drop(self.stop.take());
    }

    pub(super) async fn stopped(self) -> Outcome {
        tokio::time::timeout(PATIENCE, self.task)
            .await
            .expect("drains")
            .unwrap()
            .unwrap()
    }

    /// Gone at once, without a word to anybody.
    pub(super) async fn kill(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    pub(super) async fn connect(&self) -> Raw {
        Raw::connect(self.address).await
    }

    /// Status and body of one GET on a connection of its own.
    pub(super) async fn get(&self, host: &str, path: &str) -> (u16, String) {
        let mut client = self.connect().await;
        client.get(host, path).await;
        let response = client.response().await;
        (response.status, response.text())
    }
}

/// A control that leads, and an ingress that has applied its table.
pub(super) async fn world(table: wire::RouteTable) -> (Control, Ingress) {
    let control = Control::start().await;
    let generation = table.generation;
    control.order_full(table);
    let ingress = Setup::with(&[&control]).start();
    control.applied(generation).await;
    (control, ingress)
}

/// Routes of prod: `HOST` and everything below it lead to `frontends` of release R1.
pub(super) fn table(generation: u64, frontends: &[&Frontend]) -> wire::RouteTable {
    let active = pool("R1", frontends);
    wire::RouteTable {
        generation,
        environments: vec![environment(
            "prod",
            &[(HOST, "R1"), ("*.www.prod.shop.test", "R1")],
            vec![active],
        )],
        tls: None,
    }
}

pub(super) fn environment(
    name: &str,
    hosts: &[(&str, &str)],
    pools: Vec<wire::ReleasePool>,
) -> wire::EnvironmentRoutes {
    let host = |(host, release): &(&str, &str)| wire::HostRoute {
        host: (*host).to_owned(),
        release: (*release).to_owned(),
        service: "www".to_owned(),
    };
    wire::EnvironmentRoutes {
        app: "shop".to_owned(),
        environment: name.to_owned(),
        active_release: hosts
            .first()
            .map_or(String::new(), |(_, release)| (*release).to_owned()),
        maintenance: false,
        hosts: hosts.iter().map(host).collect(),
        pools,
        settings: Some(wire::RouteSettings::default()),
        certificate: String::new(),
        redirect: false,
        ..wire::EnvironmentRoutes::default()
    }
}

pub(super) fn pool(release: &str, frontends: &[&Frontend]) -> wire::ReleasePool {
    let backend = |frontend: &&Frontend| wire::Backend {
        frontend_id: frontend.id,
        address: frontend.address.to_string(),
        protocol: frontend.protocol.into(),
    };
    wire::ReleasePool {
        release: release.to_owned(),
        service: "www".to_owned(),
        backends: frontends.iter().map(backend).collect(),
        ..wire::ReleasePool::default()
    }
}
