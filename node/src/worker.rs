//! Runs frontends on this node, as control orders and reports what is so.
//!
//! Orders come in by the [`session`], are written to the [`ledger`], and are carried out by the
//! [`supervisor`] through its [`hands`]. The worker lives inside the agent and may die with it at
//! any moment: frontends are children of the holder, and the ledger says which is which. Build
//! steps, which come in by the same session, have a room of their own ([`builds`]).
//!
//! Absent on purpose: placement, replacement and restarts. A frontend runs at most once; what
//! shall come after it is decided by control. Only what ended with the whole node is started again
//! here, in its place, because control may come up later than its nodes.

mod artefacts;
mod assignment;
mod builds;
mod hands;
mod launch;
mod ledger;
mod machine;
mod order;
mod probe;
pub mod runtime;
mod session;
mod supervisor;
mod usage;

use std::sync::Arc;

use anyhow::Context as _;
use fleet_model::node::Role;
use fleet_proto::internal as wire;
use tokio::sync::watch;

use self::artefacts::{Artefacts, Holders};
use self::builds::Builds;
use self::ledger::Ledger;
use self::machine::Machine;
use self::runtime::Runtime;
use self::runtime::process::ProcessRuntime;
use self::runtime::workshop::Workshop;
use self::session::{Introduction, Session};
use self::supervisor::{Premises, Supervisor};
use crate::{config, holder};

/// Runs the worker with frontends as plain processes of the holder. `refused` says why the cluster
/// wants nothing of this node, while that is so.
///
/// # Errors
/// As [`run`], and when the holder cannot be asked what this machine can enforce.
pub async fn run_processes(
    node: &config::Node,
    holder: &holder::Client,
    refused: watch::Sender<Option<String>>,
) -> anyhow::Result<()> {
    let uids = node.settings.frontend_uids;
    let uids = uids.first()..uids.last() + 1;
    let data_dir = node.settings.data_dir.clone();
    let runtime = ProcessRuntime::new(holder.clone(), data_dir, uids).await?;
    let rungs = runtime.capabilities().rungs();
    run(
        node,
        Arc::new(runtime),
        rungs.into_iter().map(capability).collect(),
        refused,
    )
    .await
}

/// Runs the worker until it is dropped; frontends outlive it.
///
/// # Errors
/// When the worker's directory cannot be used. Control being away is no error.
pub async fn run<R: Runtime + Workshop>(
    node: &config::Node,
    runtime: Arc<R>,
    capabilities: Vec<wire::Capability>,
    refused: watch::Sender<Option<String>>,
) -> anyhow::Result<()> {
    let root = node.paths().worker();
    std::fs::create_dir_all(&root)
        .with_context(|| format!("failed creating {}", root.display()))?;
    let cache = root.join("artefacts");
    let holders = Holders::open(&node.trust, &root.join("archives"), &cache)
        .context("failed opening the artefacts of the worker")?;
    let builds = Builds::start(root.join("builds"), runtime.clone(), holders.clone())
        .context("failed opening the directory of builds")?;
    let artefacts = Artefacts::open(cache, holders)?;
    let machine = Arc::new(Machine::new(runtime.clone(), artefacts));

    let boot_id = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .context("failed reading the boot id of the kernel")?;
    let boot_id = boot_id.trim().to_owned();
    let host = node.settings.advertise.host().to_owned();
    let premises = Premises {
        cluster_id: node.identity.cluster_id.clone(),
        cluster_name: node.identity.cluster_name.clone(),
        node_id: node.identity.node_id,
        boot_id: boot_id.clone(),
        host: host.clone(),
        ports: node.settings.frontend_ports,
    };
    let (supervisor, ended) =
        Supervisor::start(premises, Ledger::at(root.join("ledger.pb")), machine).await?;

    let session = Session {
        introduction: Introduction {
            cluster_id: node.identity.cluster_id.clone(),
            node_id: node.identity.node_id,
            boot_id,
            nonce: rand::random(),
            capabilities,
            cpu_millicores: usage::cpu_millicores(),
            memory_bytes: usage::memory_bytes(),
            host,
        },
        usage: usage::sample(runtime, supervisor.view()),
        supervisor,
        builds,
        trust: node.trust.clone(),
        paths: node.paths(),
        refused,
        own: node
            .settings
            .roles
            .has(Role::Control)
            .then(|| node.settings.advertise.clone()),
    };
    tokio::select! {
        () = session.run() => Ok(()),
        ended = ended => ended.context("the supervisor of frontends panicked"),
    }
}

fn capability(rung: holder::Rung) -> wire::Capability {
    let verdict = match rung.verdict {
        holder::Verdict::Enforced => wire::capability::Verdict::Enforced,
        holder::Verdict::Advisory => wire::capability::Verdict::Advisory,
        holder::Verdict::Absent => wire::capability::Verdict::Absent,
    };
    let name = rung.name.to_owned();
    wire::Capability {
        name,
        verdict: verdict.into(),
        sentence: rung.sentence,
    }
}
