//! Bytes both ways after a granted upgrade.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio_util::io::{InspectReader, InspectWriter};

use super::observe::Account;
use super::upstream::Exchange;

/// Copies until both sides have ended, or one has failed. The exchange keeps the frontend busy
/// meanwhile, and its connection is never used again.
pub(super) async fn join(
    client: OnUpgrade,
    frontend: OnUpgrade,
    exchange: Exchange,
    mut account: Account,
) {
    let ends = tokio::try_join!(client, frontend);
    match ends {
        Ok((client, frontend)) => {
            let (received, sent) = (AtomicU64::new(0), AtomicU64::new(0));
            let count = |to: &AtomicU64, bytes: &[u8]| {
                to.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            };
            let client = InspectReader::new(TokioIo::new(client), |bytes| count(&received, bytes));
            let mut client = InspectWriter::new(client, |bytes| count(&sent, bytes));
            let mut frontend = TokioIo::new(frontend);
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut frontend).await {
                tracing::debug!(%error, "an upgraded connection ended");
            }
            account.received(received.load(Ordering::Relaxed));
            account.sent(sent.load(Ordering::Relaxed));
            // Either side may end it, in whatever way: there is no whole that something is missing of.
            account.ended();
        }
        Err(error) => tracing::debug!(%error, "an upgrade did not come about"),
    }
    drop(exchange);
}
