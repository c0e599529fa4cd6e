//! Fetches the copies of artefacts this node should hold, and collects what nothing refers to.

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, SystemTime},
};

use fleet_model::{
    Command, State,
    build::Build,
    ids::Digest,
    node::{Node, Role},
    plan::copies,
};
use fleet_proto::internal::{HasRequest, blobs_client::BlobsClient};
use fleet_trust::Whom;
use tokio::sync::watch;

use super::{Context, forward};
use crate::blobs;

/// Rest before a copy that could not be had is tried again.
const RETRY: Duration = Duration::from_secs(1);
/// How often what nothing refers to is collected. No state change announces it: an upload that
/// never became a build leaves no trace in the log.
const COLLECT: Duration = Duration::from_secs(600);
/// An upload younger than this may still become a build.
const GRACE: Duration = Duration::from_secs(3600);

pub(super) async fn run(context: Arc<Context>, mut stopped: watch::Receiver<bool>) {
    let mut state = context.state.clone();
    let mut collect = tokio::time::interval(COLLECT);
    loop {
        let snapshot = state.borrow_and_update().clone();
        let missing = fetch_all(&context, &snapshot).await;
        tokio::select! {
            _ = stopped.changed() => return,
            changed = state.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(RETRY), if missing => {}
            _ = collect.tick() => self::collect(&context, &snapshot).await,
        }
    }
}

/// Answers whether something is still missing.
async fn fetch_all(context: &Context, state: &State) -> bool {
    let mut missing = false;
    for digest in copies::to_fetch(state, context.id()) {
        match fetch(context, state, &digest).await {
            Ok(()) => {
                let command = Command::RecordCopy {
                    digest: digest.clone(),
                    node: context.id(),
                };
                if let Err(error) = context.act(&command).await {
                    tracing::warn!(%error, %digest, "a copy could not be reported");
                    missing = true;
                }
            }
            Err(error) => {
                tracing::warn!(%error, %digest, "an artefact could not be copied yet");
                missing = true;
            }
        }
    }
    missing
}

/// Makes sure that this node holds a verified copy.
pub(super) async fn fetch(
    context: &Context,
    state: &State,
    digest: &Digest,
) -> Result<(), CopyError> {
    let known = copies::known(state, digest);
    let others = state
        .nodes_with(Role::Control)
        .filter(|node| node.id != context.id());
    // Those that said they hold it first, then anybody: a copy may be ahead of the log.
    let holds = |node: &&Node| known.is_some_and(|(_, holders)| holders.contains(&node.id));
    let (holders, rest): (Vec<_>, Vec<_>) = others.partition(holds);
    let addresses: Vec<String> = holders
        .iter()
        .chain(&rest)
        .map(|node| node.address.clone())
        .collect();
    let size = match known {
        Some((size, _)) => size,
        None => size_at(context, &addresses, digest).await?,
    };
    let object = blobs::Object {
        digest: digest.clone(),
        size,
    };
    let client = blobs::Client::new(context.node.trust.clone());
    client.fetch(&object, &addresses, &context.blobs).await?;
    Ok(())
}

/// Asks who has an object that no build names yet, for its size.
async fn size_at(
    context: &Context,
    addresses: &[String],
    digest: &Digest,
) -> Result<u64, CopyError> {
    for address in addresses {
        let Ok(peer) = forward::connect(context, address, Whom::Control).await else {
            continue;
        };
        let asked = HasRequest {
            digests: vec![digest.to_string()],
        };
        let answer = BlobsClient::new(peer).has(asked).await;
        let held = answer
            .ok()
            .and_then(|answer| answer.into_inner().held.pop());
        if let Some(held) = held {
            return Ok(held.size);
        }
    }
    Err(CopyError::Nowhere)
}

/// Why a copy could not be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum CopyError {
    #[error("no control node that answers holds it")]
    Nowhere,
    #[error(transparent)]
    Fetch(#[from] blobs::client::Error),
}

async fn collect(context: &Context, state: &State) {
    let referenced: BTreeSet<Digest> = state
        .builds
        .values()
        .flat_map(Build::kept)
        .map(|(digest, ..)| digest.clone())
        .collect();
    let store = context.blobs.clone();
    let collected =
        tokio::task::spawn_blocking(move || store.collect(&referenced, GRACE, SystemTime::now()))
            .await;
    match collected {
        Ok(Ok(collected)) => tracing::debug!(?collected, "artefacts collected"),
        Ok(Err(error)) => tracing::warn!(%error, "artefacts could not be collected"),
        Err(error) => tracing::error!(%error, "collecting artefacts panicked"),
    }
}
