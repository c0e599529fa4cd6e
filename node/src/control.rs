//! The control process: consensus, the replicated state, and everything that speaks for it.
//!
//! Plumbing only: facts come in (sessions, API calls), decisions go out (orders, answers). What is
//! to be decided is decided in `fleet_model`, by `apply` and by `plan`.

mod api;
mod assignments;
mod board;
pub mod codec;
mod context;
mod convert;
mod copies;
mod forward;
mod membership;
mod reconciler;
mod refusal;
mod routes;
mod server;
mod sessions;
pub mod state_machine;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::{blobs, clock, config, consensus};

pub(crate) use context::Context;

/// Entries between two snapshots of the state.
const SNAPSHOT_EVERY: u64 = 10_000;

/// Runs the control process until it is told to stop.
///
/// # Errors
/// When the node's identity, disk or port cannot be used, or consensus has stopped for good; the
/// holder then starts the process again.
pub async fn run(node: &config::Node) -> anyhow::Result<()> {
    let clock = clock::Steady::new();
    let paths = node.paths();
    let (machine, state) = state_machine::Machine::new();
    let consensus = open(node, machine, clock.clone()).await?;
    let blobs = blobs::Store::open(&paths.blobs(), blobs::LARGEST)
        .with_context(|| format!("failed opening the artefacts in {}", paths.blobs().display()))?;
    let context = Arc::new(Context::new(node.clone(), consensus, state, blobs, clock));

    let (stop, stopped) = watch::channel(false);
    let listener = server::bind(&context).await?;
    let tasks = [
        tokio::spawn(reconciler::run(context.clone(), stopped.clone())),
        tokio::spawn(membership::run(context.clone(), stopped.clone())),
        tokio::spawn(copies::run(context.clone(), stopped.clone())),
    ];
    let mut server = tokio::spawn(server::run(context.clone(), listener, stopped));
    let outcome = tokio::select! {
        () = crate::telemetry::terminated() => Ok(()),
        reason = context.consensus.failed() => Err(anyhow::anyhow!("consensus stopped: {reason}")),
        ended = &mut server => ended.context("the server panicked")?,
    };
    tracing::info!("control process stops");
    let _ = stop.send(true);
    // A leader that leaves cleanly hands over instead of letting the others notice.
    context.consensus.shutdown().await;
    for task in tasks {
        task.abort();
    }
    outcome
}
