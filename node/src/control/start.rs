//! How a control process comes by its log: founding a cluster, joining one, or going on.

use std::sync::Arc;

use anyhow::Context as _;
use fleet_model::{Command, State, command::Registration, ids::NodeId};
use tokio::sync::watch;

use super::{Context, membership, state_machine::Machine};
use crate::{
    clock,
    config::{self, FirstStart},
    consensus::{Consensus, Options, Timers},
};

/// Entries between two snapshots of the state.
const SNAPSHOT_EVERY: u64 = 10_000;

/// Opens the log of this node, or makes it if this is the node's first start.
///
/// # Errors
/// See [`crate::consensus::OpenError`]; a wiped or foreign disk is refused.
pub(super) async fn open(
    node: &config::Node,
    machine: Machine,
    state: watch::Receiver<State>,
    clock: &clock::Steady,
) -> anyhow::Result<(Consensus, Option<FirstStart>)> {
    let paths = node.paths();
    let first = FirstStart::pending(&paths).context("failed reading the first-start marker")?;
    let options = Options {
        expelled: Arc::new(move |id| membership::farewell(&state.borrow(), NodeId(id))),
        ..options(node, clock)
    };
    // A crash after the store was made and before the marker went: the store is there, go on.
    let made = first.is_some() && options.dir.join("CURRENT").exists();
    let consensus = match first {
        Some(_) if !made => Consensus::create(options, machine).await?,
        _ => Consensus::open(options, machine).await?,
    };
    Ok((consensus, first))
}

fn options(node: &config::Node, clock: &clock::Steady) -> Options {
    let (paths, settings, identity) = (node.paths(), &node.settings, &node.identity);
    let clock = clock.clone();
    Options {
        timers: Timers {
            heartbeat: settings.raft.heartbeat,
            election_min: settings.raft.election_min,
            election_max: settings.raft.election_max,
            ..Timers::default()
        },
        snapshot_every: SNAPSHOT_EVERY,
        clock: Arc::new(move || clock.now().0),
        ..Options::new(
            paths.raft(),
            paths.snapshots(),
            identity.cluster_id.clone(),
            identity.node_id,
            settings.advertise.to_string(),
            node.secret.reveal(),
        )
    }
}

/// Finishes a first start: the founder votes, makes the cluster and registers itself. Each step is
/// refused if it was done before, so a crash in between costs nothing.
///
/// # Errors
/// When the log does not take the steps.
pub(super) async fn finish(context: &Context, first: Option<FirstStart>) -> anyhow::Result<()> {
    let Some(first) = first else { return Ok(()) };
    if first == FirstStart::Bootstrap {
        found(context).await?;
    }
    FirstStart::finish(&context.node.paths()).context("failed removing the first-start marker")
}

async fn found(context: &Context) -> anyhow::Result<()> {
    use crate::consensus::MembershipError;
    match context.consensus.bootstrap().await {
        Ok(()) | Err(MembershipError::AlreadyBootstrapped) => {}
        Err(error) => return Err(error).context("failed founding the cluster"),
    }
    let mut leadership = context.consensus.leadership();
    leadership
        .wait_for(|leadership| leadership.is_self)
        .await
        .context("consensus stopped while founding the cluster")?;
    let identity = &context.node.identity;
    let cluster = Command::InitCluster {
        id: identity.cluster_id.clone(),
        name: identity.cluster_name.clone(),
        domain: identity.domain.clone(),
    };
    once(context, &cluster, context.snapshot().cluster.id.is_empty()).await?;
    let registration = Command::RegisterNode(registration(&context.node));
    let known = context.snapshot().nodes.contains_key(&context.id());
    once(context, &registration, !known).await
}

async fn once(context: &Context, command: &Command, due: bool) -> anyhow::Result<()> {
    if due {
        let done = context.act(command).await;
        done.map(|_| ()).context("failed making the cluster")
    } else {
        Ok(())
    }
}

fn registration(node: &config::Node) -> Registration {
    let settings = &node.settings;
    Registration {
        name: node.identity.name.clone(),
        address: settings.advertise.to_string(),
        roles: settings.roles.iter().collect(),
        labels: settings.labels.clone(),
        architecture: std::env::consts::ARCH.to_owned(),
        id: Some(NodeId(node.identity.node_id)),
    }
}
