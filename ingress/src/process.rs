//! The process: its start by the last table, its service, its end.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use fleet_proto::internal::{DurableTable, Fence};
use fleet_trust::WebAcceptor;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::arrivals::PerAddress;
use super::contact::Contacts;
use super::convert;
use super::durable::{self, Store};
use super::inherited::{Inherited, Listeners};
use super::lifecycle::{Lifecycle, Phase, reached, silent_time};
use super::limits::{self, Times};
use super::listener::{Entry, Server};
use super::observe::{self, AccessLog, Observer};
use super::proxy::{Proxy, now_ms};
use super::routes::Routes;
use super::session::{Contact, Memory, Session};
use super::slot::Connections as _;
use super::tls::Showing;
use super::tls::handshakes::Handshakes;
use super::trusted::Trusted;
use super::upstream::Pool;
use crate::config::{AccessLines, Network, Node, Peers};
use crate::trust::Trust;

/// How long a start waits for control to say whether the table on disk is still right. The
/// sockets' backlog keeps clients meanwhile.
const FRESHER: Duration = Duration::from_secs(3);
/// The same when there is no table at all, and nothing could be answered but 503.
const FIRST_TABLE: Duration = Duration::from_secs(10);

/// How long the last report may take on its way.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long lines of the access log may take on theirs.
const LAST_LINES: Duration = Duration::from_secs(1);

/// What an ingress has to know.
#[derive(Clone, Debug)]
pub struct Options {
    pub cluster_id: String,
    pub node_id: u64,
    pub trust: Trust,
    /// API addresses (host:port) of control nodes; those learnt before are remembered beside it.
    pub control: Vec<String>,
    /// The file of the last table.
    pub table: PathBuf,
    /// Whose connections begin with a PROXY header.
    pub balancers: Vec<Network>,
    /// Proxies whose `X-Forwarded-*` is believed.
    pub trusted: Vec<Network>,
    pub per_address: PerAddress,
    /// How long clients are waited for that owe something.
    pub times: Times,
    /// From the order to stop until connections are cut.
    pub drain: Duration,
    /// Where metrics are shown, if at all.
    pub metrics: Option<SocketAddr>,
    pub access_log: AccessLines,
    pub access_log_file: PathBuf,
    /// How long to wait for the first table of all before answering 503 to everybody.
    pub first_table: Duration,
}

/// How a drain ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Connections (upgraded ones included) that had to be cut.
    pub cut: usize,
}

/// Runs the ingress of a node until SIGTERM or SIGINT, then drains.
///
/// Public sockets are those that the holder passed under the names `http` and `https`; without any,
/// they are bound to the node's `http_listen` and `https_listen`.
pub async fn run(node: &Node) -> anyhow::Result<()> {
    let mut inherited = Inherited::take().context("failed taking over sockets")?;
    allow_descriptors();
    let mut listeners = std::mem::take(&mut inherited.listeners);
    if listeners.http.is_empty() && listeners.https.is_empty() {
        let bind = |address| {
            TcpListener::bind(address).with_context(|| format!("failed listening on {address}"))
        };
        listeners.http.push(bind(node.settings.http_listen)?);
        if let Some(address) = node.settings.https_listen {
            listeners.https.push(bind(address)?);
        }
    }
    let paths = node.paths();
    let peers = Peers::read(&paths).control;
    let options = Options {
        cluster_id: node.identity.cluster_id.clone(),
        node_id: node.identity.node_id,
        trust: node.trust.clone(),
        control: peers.iter().map(ToString::to_string).collect(),
        table: paths.route_table(),
        balancers: node.settings.proxy_protocol_from.clone(),
        trusted: node.settings.trusted_proxies.clone(),
        per_address: PerAddress {
            connections: node.settings.connections_per_address,
            handshakes: node.settings.handshakes_per_address,
        },
        times: Times::default(),
        drain: limits::DRAIN,
        metrics: node.settings.metrics_listen,
        access_log: node.settings.access_log,
        access_log_file: node.settings.access_log_file.clone(),
        first_table: FIRST_TABLE,
    };
    let mut terminate = signal(SignalKind::terminate()).context("failed watching for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("failed watching for SIGINT")?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let ready = move || {
        if let Err(error) = inherited.ready() {
            tracing::warn!(%error, "could not tell the holder that this process is ready");
        }
    };
    let renewed = tokio::spawn(node.trust.clone().watch(paths));
    let outcome = serve(options, listeners, ready, stop).await;
    renewed.abort();
    let outcome = outcome?;
    tracing::info!(cut = outcome.cut, "ingress stops");
    Ok(())
}

/// Takes as many descriptors as this process may have: each client needs one, and each request one
/// more, and what a shell gives to start with is often a thousand.
fn allow_descriptors() {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, ?maximum, "could not take all descriptors there are");
    }
}

/// Serves on `listeners`: calls `ready` once it accepts, begins to drain when `stop` returns.
///
/// # Errors
/// When a listener cannot be used. A table that cannot be read is no error: it is said, and the
/// ingress waits for control as if there had been none.
pub async fn serve(
    options: Options,
    listeners: impl Into<Listeners>,
    ready: impl FnOnce(),
    stop: impl Future<Output = ()>,
) -> io::Result<Outcome> {
    let (drain, first_table) = (options.drain, options.first_table);
    let log = AccessLog::start(options.access_log, options.access_log_file.clone());
    let ingress = Ingress::new(&options, log.clone());
    let shown = options.metrics.map(|address| ingress.show(address));
    let (session, mut contact) = ingress.session(options);
    let had_table = ingress.proxy.routes.known();
    let session = tokio::spawn(session.run());
    let sweeper = tokio::spawn(sweep(Arc::clone(&ingress.proxy.routes)));

    let mut stop = std::pin::pin!(stop);
    let stopped_early = tokio::select! {
        () = settled(&mut contact, had_table, first_table) => false,
        () = stop.as_mut() => true,
    };
    if !stopped_early {
        ingress.accept(listeners.into())?;
        tracing::info!(had_table, contact = ?*contact.borrow(), "ingress accepts connections");
        ready();
        stop.await;
    }
    let outcome = ingress.drain(drain).await;
    ingress.proxy.lifecycle.enter(Phase::Gone);
    // Without a goodbye control would have to wait for the lease of this process to run out.
    let ended = session.abort_handle();
    if tokio::time::timeout(GOODBYE, session).await.is_err() {
        ended.abort();
    }
    sweeper.abort();
    if let Some(log) = log {
        let _ = tokio::task::spawn_blocking(move || log.flush(LAST_LINES)).await;
    }
    drop(shown);
    Ok(outcome)
}

struct Ingress {
    proxy: Arc<Proxy>,
    server: Arc<Server>,
}

impl Ingress {
    fn new(options: &Options, log: Option<AccessLog>) -> Self {
        let proxy = Arc::new(Proxy {
            routes: Arc::new(Routes::new()),
            lifecycle: Arc::new(Lifecycle::new()),
            observer: Observer::new(log),
            tasks: TaskTracker::new(),
            times: options.times,
            addresses: Arc::default(),
            started: Instant::now(),
        });
        let server = Server::new(
            Arc::clone(&proxy),
            options.balancers.clone(),
            Trusted::new(options.trusted.clone()),
            options.per_address,
        );
        let server = Arc::new(server);
        Self { proxy, server }
    }

    /// Shows metrics until the process begins to close: then the address belongs to the one that takes
    /// its place.
    fn show(&self, address: SocketAddr) -> AbortOnDropHandle<()> {
        let (process, server) = (fleet_metrics::Process::begins(), Arc::clone(&self.server));
        let proxy = Arc::clone(&self.proxy);
        let mut phase = self.proxy.lifecycle.watch();
        let page = move || {
            let seen = proxy.routes.observed(now_ms(proxy.started));
            observe::page(&proxy.observer, &process, &seen, server.connections.len())
        };
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::select! {
                () = fleet_metrics::serve(address, page) => {}
                () = reached(&mut phase, Phase::Closing) => {}
            }
        }))
    }

    /// Loads the last table, and prepares the session that will bring newer ones.
    fn session(&self, options: Options) -> (Session, watch::Receiver<Contact>) {
        let last = load(&options, &self.proxy.routes);
        let mut control = options.control;
        for address in last.control_addresses {
            if !control.contains(&address) {
                control.push(address);
            }
        }
        let (contact, watched) = watch::channel(Contact::Unknown);
        let session = Session {
            cluster_id: options.cluster_id,
            node_id: options.node_id,
            trust: options.trust,
            contacts: Contacts::new(control),
            routes: Arc::clone(&self.proxy.routes),
            store: Store::at(options.table),
            lifecycle: Arc::clone(&self.proxy.lifecycle),
            connections: self.server.connections.clone(),
            contact,
            started: self.proxy.started,
            obeyed: last.obeyed.unwrap_or_default(),
            memory: Memory::default(),
        };
        (session, watched)
    }

    /// Every listener is accepted from until the process closes.
    fn accept(&self, listeners: Listeners) -> io::Result<()> {
        let port = |listener: &TcpListener| Some(listener.local_addr().ok()?.port());
        let https = listeners.https.first().and_then(port);
        for listener in listeners.http {
            let listener = nonblocking(listener)?;
            tokio::spawn(Arc::clone(&self.server).accept(listener, Entry::Plain { https }));
        }
        if listeners.https.is_empty() {
            return Ok(());
        }
        let showing = Arc::new(Showing(Arc::clone(&self.proxy.routes)));
        let acceptor = WebAcceptor::new(showing).map_err(io::Error::other)?;
        let handshakes = Arc::new(Handshakes::new(acceptor));
        for listener in listeners.https {
            let listener = nonblocking(listener)?;
            let entry = Entry::Tls(Arc::clone(&handshakes));
            tokio::spawn(Arc::clone(&self.server).accept(listener, entry));
        }
        Ok(())
    }

    /// Lets everything under way end; see `lifecycle`.
    async fn drain(&self, drain: Duration) -> Outcome {
        let (connections, tunnels) = (&self.server.connections, &self.proxy.tasks);
        tracing::info!(connections = connections.len(), "draining");
        let until = tokio::time::Instant::now() + drain;
        self.proxy.lifecycle.enter(Phase::Closing);
        connections.close();
        tunnels.close();
        let all = async {
            connections.wait().await;
            tunnels.wait().await;
        };
        let mut all = std::pin::pin!(all);
        if tokio::time::timeout(silent_time(drain), all.as_mut())
            .await
            .is_err()
        {
            self.proxy.lifecycle.enter(Phase::Leaving);
            if tokio::time::timeout_at(until, all).await.is_err() {
                self.proxy.lifecycle.enter(Phase::Ending);
                // What is left after this is cut by the end of the process.
                let _ = tokio::time::timeout(limits::FAREWELL, tunnels.wait()).await;
            }
        }
        Outcome {
            cut: connections.len() + tunnels.len(),
        }
    }
}

fn nonblocking(listener: TcpListener) -> io::Result<tokio::net::TcpListener> {
    listener.set_nonblocking(true)?;
    tokio::net::TcpListener::from_std(listener)
}

/// Puts the table on disk to use, if there is one of this node.
fn load(options: &Options, routes: &Routes<Pool>) -> DurableTable {
    let stored = match Store::at(options.table.clone()).load() {
        Ok(stored) => stored.unwrap_or_default(),
        Err(error) => {
            tracing::error!(error = %describe(&error), "starting without the last route table");
            return DurableTable::default();
        }
    };
    if stored.cluster_id != options.cluster_id || stored.node_id != options.node_id {
        return DurableTable::default();
    }
    match stored.table.clone().map(convert::spec_from_wire) {
        None => {}
        Some(Ok(spec)) => routes.apply(Arc::new(spec)),
        Some(Err(error)) => {
            tracing::error!(%error, "starting without the last route table");
            let obeyed: Option<Fence> = stored.obeyed;
            return DurableTable {
                obeyed,
                ..DurableTable::default()
            };
        }
    }
    stored
}

/// Returns when it is as clear as it will be which table is right.
async fn settled(contact: &mut watch::Receiver<Contact>, had_table: bool, first_table: Duration) {
    let enough = |contact: &Contact| match contact {
        Contact::Unknown => false,
        Contact::Nobody => had_table,
        Contact::Held => true,
    };
    let limit = if had_table { FRESHER } else { first_table };
    let _ = tokio::time::timeout(limit, contact.wait_for(enough)).await;
}

/// Closes connections to frontends that nobody has used for a while.
async fn sweep(routes: Arc<Routes<Pool>>) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    loop {
        every.tick().await;
        let now = Instant::now();
        for slot in routes.slots() {
            slot.connections.close_unused(now);
            if slot.is_withdrawn() {
                slot.connections.close_idle();
            }
        }
    }
}

fn describe(error: &durable::Error) -> String {
    match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
