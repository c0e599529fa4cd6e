//! The agent: what `fleetd` is without a subcommand.
//!
//! It knows who the node is, sees to it that holder, control and ingress run, and carries the
//! worker. It waits for `init` or `join` on a local socket as long as the node belongs to no
//! cluster. Nothing ends with it: killed, crashed, stopped or upgraded, it finds everything
//! running when it comes back, and goes on. To stop a node, there is [`stop`].

mod change;
mod found;
mod halt;
mod join;
mod leave;
mod local;
mod lock;
mod progress;
mod ready;
mod recover;
mod restore;
mod tenants;

use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context as _;
use fleet_model::node::Role;
use tokio::sync::{Mutex, watch};

pub use self::halt::stop;
use self::lock::Lock;
use self::tenants::Tenants;
use crate::config::{Identity, Node, Paths, Seat, Settings};
use crate::{holder, telemetry, trust, worker};

/// What all parts of the agent share.
struct Agent {
    settings: Settings,
    paths: Paths,
    holder: holder::Client,
    tenants: Tenants,
    /// `None` while the node belongs to no cluster.
    node: watch::Sender<Option<Arc<Node>>>,
    /// Why the cluster wants nothing of this node, while that is so.
    refused: watch::Sender<Option<String>>,
    /// One change of what this node is at a time.
    changing: Mutex<()>,
}

/// Runs the agent until it is told to end; everything it started goes on.
///
/// # Errors
/// When another agent runs on the same directory, or the directory, the holder or the worker
/// cannot be used.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let paths = settings.paths();
    make_directories(&paths)
        .with_context(|| format!("failed preparing {}", paths.root().display()))?;
    let _lock = Lock::take(&paths.agent_lock())?;
    Seat::check(&paths)?;
    let exe = executable()?;
    let holder = holder::Client::ensure(&settings.data_dir, &exe)
        .await
        .context("no holder")?;
    let node = match Identity::read(&paths)? {
        Some(_) => Some(Arc::new(Node::load(settings.clone())?)),
        None => None,
    };
    let agent = Arc::new(Agent {
        tenants: Tenants::new(holder.clone(), exe),
        settings,
        paths,
        holder,
        node: watch::Sender::new(node),
        refused: watch::Sender::default(),
        changing: Mutex::default(),
    });
    let local = local::serve(agent.clone())?;
    if agent.settings.dev && agent.node.borrow().is_none() {
        found::found(&agent, "", "")
            .await
            .context("failed initialising the node")?;
    }
    tokio::select! {
        () = telemetry::terminated() => {
            tracing::info!("the agent ends; everything else on this node goes on");
            Ok(())
        }
        ended = local => ended.context("the local socket panicked")?,
        ended = live(&agent) => ended,
    }
}

/// Takes the operator's word that the node in the data directory, which was moved here, runs nowhere
/// else.
///
/// # Errors
/// When there is no node in it or its agent runs.
pub fn moved(settings: &Settings) -> anyhow::Result<()> {
    let paths = settings.paths();
    make_directories(&paths)
        .with_context(|| format!("failed preparing {}", paths.root().display()))?;
    let _lock = Lock::take(&paths.agent_lock())?;
    let identity = Seat::take(&paths)?;
    tracing::info!(
        cluster = identity.cluster_id,
        node = identity.node_id,
        name = identity.name,
        "this node lives here from now on"
    );
    Ok(())
}

/// One life after the other: nothing without an identity, everything with one.
async fn live(agent: &Agent) -> anyhow::Result<()> {
    let mut identity = agent.node.subscribe();
    loop {
        let node = identity.borrow_and_update().clone();
        let Some(node) = node else {
            tracing::info!("waiting for `fleet node init` or `fleet node join`");
            identity.changed().await?;
            continue;
        };
        tracing::info!(
            cluster = node.identity.cluster_id, node = node.identity.node_id,
            name = node.identity.name, roles = %node.settings.roles, "this node"
        );
        tokio::select! {
            changed = identity.changed() => changed?,
            ended = agent.tenants.keep(&node) => ended?,
            () = trust::keep(&node) => {}
            ended = work(agent, &node) => ended?,
        }
    }
}

async fn work(agent: &Agent, node: &Node) -> anyhow::Result<()> {
    if !node.settings.roles.has(Role::Worker) {
        return std::future::pending().await;
    }
    let refused = agent.refused.clone();
    refused.send_replace(None);
    worker::run_processes(node, &agent.holder, refused)
        .await
        .context("the worker failed")
}

/// The directories that several processes use. The root can be crossed by frontends, whose code
/// lies below it; what is secret is closed by itself.
fn make_directories(paths: &Paths) -> std::io::Result<()> {
    let make = |path: PathBuf, mode| {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(path)
    };
    make(paths.root().to_owned(), 0o755)?;
    make(paths.worker(), 0o755)?;
    make(paths.run(), 0o700)?;
    make(paths.logs(), 0o700)
}

/// This very binary, by a path that stays valid when it is replaced by a newer one.
fn executable() -> anyhow::Result<PathBuf> {
    let exe = std::env::current_exe().context("failed finding the path of this binary")?;
    let text = exe.to_string_lossy();
    Ok(text
        .strip_suffix(" (deleted)")
        .map_or(exe.clone(), PathBuf::from))
}
