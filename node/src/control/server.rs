//! The one gRPC port of a control process: the public API, sessions, consensus and artefacts, all
//! but the health check behind the guard.

use std::{sync::Arc, time::Duration};

use anyhow::Context as _;
use fleet_proto::internal::blobs_server::BlobsServer;
use tokio::{net::TcpListener, sync::watch};
use tonic::transport::Server;

use super::{Context, api, guard::Guard, sessions};
use crate::blobs;

/// Largest message taken. Uploads come in chunks, lists in pages, and consensus caps its own.
pub(super) const LARGEST_MESSAGE: usize = 16 * 1024 * 1024;

/// Binds the API port.
pub(super) async fn bind(context: &Context) -> anyhow::Result<TcpListener> {
    let address = context.node.settings.api_listen;
    TcpListener::bind(address)
        .await
        .with_context(|| format!("failed listening on {address}"))
}

/// Serves until `stopped` says so.
pub(super) async fn run(
    context: Arc<Context>,
    listener: TcpListener,
    stopped: watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let (health, health_service) = tonic_health::server::health_reporter();
    tokio::spawn(report_health(context.clone(), health));
    let routes = api::routes(&context)
        .add_service(sessions::workers(context.clone()))
        .add_service(sessions::ingresses(context.clone()))
        .add_service(BlobsServer::new(blobs::server::Service::new(
            context.blobs.clone(),
        )))
        .add_service(context.consensus.service());
    let incoming = context.node.trust.incoming(listener);
    Server::builder()
        .tcp_nodelay(true)
        .http2_keepalive_interval(Some(Duration::from_secs(2)))
        .http2_keepalive_timeout(Some(Duration::from_secs(4)))
        .max_concurrent_streams(1024)
        .layer(Guard(context.clone()))
        .add_routes(routes.add_service(health_service))
        .serve_with_incoming_shutdown(incoming, until(stopped))
        .await
        .context("the API server failed")
}

async fn until(mut stopped: watch::Receiver<bool>) {
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

/// Serving means: a leader is known, so commands and reads have a chance, and so is who may give
/// them.
async fn report_health(context: Arc<Context>, health: tonic_health::server::HealthReporter) {
    let mut leadership = context.consensus.leadership();
    let mut state = context.state.clone();
    loop {
        let founded = context.knows_its_cluster(&state.borrow_and_update());
        let known = leadership.borrow_and_update().leader.is_some() && founded;
        let status = if known {
            tonic_health::ServingStatus::Serving
        } else {
            tonic_health::ServingStatus::NotServing
        };
        health.set_service_status("", status).await;
        let changed = tokio::select! {
            changed = leadership.changed() => changed,
            changed = state.changed(), if !founded => changed,
        };
        if changed.is_err() {
            return;
        }
    }
}
