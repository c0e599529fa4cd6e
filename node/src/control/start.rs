//! How a control process comes by its log: founding a cluster, joining one, or going on.

use std::sync::Arc;

use anyhow::Context as _;
use fleet_model::{
    Command, State,
    command::{NewAuthority, Recovered, Registration, Restored, TrustChange},
    ids::NodeId,
};
use fleet_trust::Whom;
use tokio::sync::watch;

use super::{
    Context,
    authority::{instant, key_digest, operator_digest},
    membership,
    state_machine::Machine,
};
use crate::{
    clock,
    config::{self, FirstStart, Identity, Settings},
    consensus::{Consensus, Options, Timers},
    trust,
};

/// Entries between two snapshots of the state.
const SNAPSHOT_EVERY: u64 = 10_000;

/// Artefacts that one command may name: 34 bytes each, far below the 512 KiB of a proposal.
const MOST_HELD: usize = 10_000;

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
    let mut first = FirstStart::pending(&paths).context("failed reading the first-start marker")?;
    if matches!(first, Some(FirstStart::Anew { generation }) if generation != node.identity.generation)
    {
        // Of a recovery that was cut short before this node took its new identity.
        FirstStart::finish(&paths).context("failed removing the first-start marker")?;
        first = None;
    }
    let (clock, trust) = (clock.clone(), node.trust.clone());
    let options = Options {
        clock: Arc::new(move || clock.now().0),
        connect: Some(Arc::new(move |node, endpoint| {
            trust.connect_lazy(endpoint, Whom::Node(node))
        })),
        expelled: Arc::new(move |id| membership::farewell(&state.borrow(), NodeId(id))),
        ..options(node)
    };
    // A crash after the store was made and before the marker went: the store is there, go on.
    let made = first.is_some() && options.dir.join("CURRENT").exists();
    let consensus = match first {
        Some(_) if !made => Consensus::create(options, machine).await?,
        _ => Consensus::open(options, machine).await?,
    };
    Ok((consensus, first))
}

/// Of this node's store and how it is served.
fn options(node: &config::Node) -> Options {
    let settings = &node.settings;
    Options {
        timers: Timers {
            heartbeat: settings.raft.heartbeat,
            election_min: settings.raft.election_min,
            election_max: settings.raft.election_max,
            ..Timers::default()
        },
        snapshot_every: SNAPSHOT_EVERY,
        ..store(settings, &node.identity)
    }
}

/// Where the store of a node lies and whose it is, in the generation that its identity names. Enough
/// for a store that nobody serves.
pub(super) fn store(settings: &Settings, identity: &Identity) -> Options {
    let paths = settings.paths();
    Options::new(
        paths.raft_of(identity.generation),
        paths.snapshots_of(identity.generation),
        identity.log_name(),
        identity.node_id,
        settings.advertise.to_string(),
    )
}

/// Finishes a first start: the founder votes, makes the cluster and registers itself. Each step is
/// refused if it was done before, so a crash in between costs nothing.
///
/// # Errors
/// When the log does not take the steps.
pub(super) async fn finish(context: &Context, first: Option<FirstStart>) -> anyhow::Result<()> {
    let Some(first) = first else { return Ok(()) };
    match first {
        FirstStart::Bootstrap => found(context).await?,
        FirstStart::Anew { .. } => begin_anew(context).await?,
        FirstStart::Join => {}
    }
    establish(context).await?;
    let paths = context.node.paths();
    match std::fs::remove_file(paths.founding()) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).context("failed removing the authority's file");
        }
        _ => {}
    }
    FirstStart::finish(&paths).context("failed removing the first-start marker")
}

async fn found(context: &Context) -> anyhow::Result<()> {
    use crate::consensus::MembershipError;
    match context.consensus.bootstrap().await {
        Ok(()) | Err(MembershipError::AlreadyBootstrapped) => {}
        Err(error) => return Err(error).context("failed founding the cluster"),
    }
    lead(context).await?;
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

/// Puts the authority that this node made, and the digest of the operator's token, into the
/// replicated state, if there is none yet.
async fn establish(context: &Context) -> anyhow::Result<()> {
    let paths = context.node.paths();
    let due = context.snapshot().trust.authorities.is_empty();
    let Some((certificate, sealed_key)) = trust::Founding::read(&paths)?.filter(|_| due) else {
        return Ok(());
    };
    let token = trust::read_operator_token(&paths).context("the operator's token is lost")?;
    let certified = trust::Certified::read(&paths)?;
    let found = TrustChange::Found {
        authority: NewAuthority {
            certificate: Arc::from(&*certificate),
            sealed_key: sealed_key.into(),
        },
        operator: operator_digest(token.as_bytes()),
    };
    let issue = TrustChange::Issue {
        node: context.id(),
        key: key_digest(&certified.key.public()),
        expires: instant(certified.expires),
    };
    for change in [issue, found] {
        once(context, &Command::Trust(Box::new(change)), true).await?;
    }
    Ok(())
}

/// Says what the new log is, as its first command: a cluster made of a backup has another id than the
/// one it was taken of, one that goes on with a survivor has the same.
async fn begin_anew(context: &Context) -> anyhow::Result<()> {
    lead(context).await?;
    let state = context.read(false).await?;
    let (identity, generation) = (&context.node.identity, context.node.identity.generation);
    let due = state.cluster.generation < generation;
    if state.cluster.id == identity.cluster_id {
        let recover = Command::RecoverCluster(Recovered {
            generation,
            survivor: context.id(),
        });
        return once(context, &recover, due).await;
    }
    let held = context
        .blobs
        .list()
        .context("failed listing the artefacts")?;
    let mut held = held.into_iter().map(|object| object.digest);
    let restore = Command::RestoreCluster(Restored {
        id: identity.cluster_id.clone(),
        generation,
        taken: state.now,
        founder: registration(&context.node),
        held: held.by_ref().take(MOST_HELD).collect(),
    });
    once(context, &restore, due).await?;
    for digest in held {
        let node = context.id();
        once(context, &Command::RecordCopy { digest, node }, true).await?;
    }
    Ok(())
}

/// The only voter leads soon.
async fn lead(context: &Context) -> anyhow::Result<()> {
    let mut leadership = context.consensus.leadership();
    let led = leadership.wait_for(|leadership| leadership.is_self).await;
    led.map(|_| ())
        .context("consensus stopped while making the cluster")
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
