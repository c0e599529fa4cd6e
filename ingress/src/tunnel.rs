//! Bytes both ways after a granted upgrade.

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use super::upstream::Exchange;

/// Copies until both sides have ended, or one has failed. The exchange keeps the frontend busy
/// meanwhile, and its connection is never used again.
pub(super) async fn join(client: OnUpgrade, frontend: OnUpgrade, exchange: Exchange) {
    let ends = tokio::try_join!(client, frontend);
    match ends {
        Ok((client, frontend)) => {
            let (mut client, mut frontend) = (TokioIo::new(client), TokioIo::new(frontend));
            if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut frontend).await {
                tracing::debug!(%error, "an upgraded connection ended");
            }
        }
        Err(error) => tracing::debug!(%error, "an upgrade did not come about"),
    }
    drop(exchange);
}
