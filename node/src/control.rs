//! The control process: consensus, the replicated state, and everything that speaks for it.
//!
//! Plumbing only: facts come in (sessions, API calls), decisions go out (orders, answers). What is
//! to be decided is decided in `fleet_model`, by `apply` and by `plan`.

mod acme;
pub mod anew;
mod api;
mod assignments;
mod authority;
pub mod backup;
mod backups;
mod board;
mod builds;
mod certificates;
pub mod codec;
mod context;
mod convert;
mod copies;
mod forward;
mod guard;
mod guesses;
mod membership;
mod metrics;
mod reconciler;
mod refusal;
mod routes;
mod server;
mod sessions;
mod start;
pub mod state_machine;

use std::sync::Arc;

use anyhow::Context as _;
use tokio::sync::watch;

use crate::{blobs, clock, config};

pub(crate) use context::Context;

/// Runs the control process until it is told to stop.
///
/// # Errors
/// When the node's identity, disk or port cannot be used, or consensus has stopped for good; the
/// holder then starts the process again.
pub async fn run(node: &config::Node) -> anyhow::Result<()> {
    let clock = clock::Steady::new();
    let paths = node.paths();
    let (machine, state) = state_machine::Machine::new();
    let (consensus, first) = start::open(node, machine, state.clone(), &clock).await?;
    let blobs = blobs::Store::open(&paths.blobs(), blobs::LARGEST).with_context(|| {
        format!(
            "failed opening the artefacts in {}",
            paths.blobs().display()
        )
    })?;
    let handle = consensus.handle();
    let context = Arc::new(Context::new(node.clone(), handle, state, blobs, clock));

    let (stop, stopped) = watch::channel(false);
    let listener = server::bind(&context).await?;
    let mut server = tokio::spawn(server::run(context.clone(), listener, stopped.clone()));
    start::finish(&context, first).await?;
    let tasks = [
        tokio::spawn(reconciler::run(context.clone(), stopped.clone())),
        tokio::spawn(membership::run(context.clone(), stopped.clone())),
        tokio::spawn(copies::run(context.clone(), stopped.clone())),
        tokio::spawn(backups::run(context.clone(), stopped.clone())),
        tokio::spawn(certificates::run(context.clone(), stopped.clone())),
        tokio::spawn(acme::run(context.clone(), stopped)),
        tokio::spawn(metrics::run(context.clone())),
        tokio::spawn(node.trust.clone().watch(paths)),
    ];
    let outcome = tokio::select! {
        () = crate::telemetry::terminated() => Ok(()),
        reason = context.consensus.failed() => Err(anyhow::Error::new(reason)),
        ended = &mut server => ended.context("the server panicked")?,
    };
    if outcome.is_ok() {
        membership::step_down(&context).await;
    }
    tracing::info!("the control process stops");
    let _ = stop.send(true);
    consensus.shutdown().await;
    for task in tasks {
        task.abort();
    }
    outcome
}
