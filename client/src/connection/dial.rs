//! Opening channels: to a node by TCP, to the daemon of this machine by its socket.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fleet_trust::{ClientConfig, Whom, connector};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};

use crate::exit::Exit;
use crate::failure::Failure;

/// How long a node may take to accept; a machine that is gone answers nothing at all.
const CONNECT_TIME: Duration = Duration::from_secs(2);
/// A silent connection is probed after this time, and given up after as long again.
const KEEPALIVE: Duration = Duration::from_secs(5);

/// Opens a channel to host:port. The error says why in one line.
pub(super) async fn tcp(
    address: &str,
    tls: &Arc<ClientConfig>,
    deadline: Instant,
) -> Result<Channel, String> {
    let bare = address.strip_prefix("https://").unwrap_or(address);
    let endpoint = Endpoint::from_shared(format!("https://{bare}"))
        .map_err(|_| format!("{address} is no address like host:port"))?
        .connect_timeout(CONNECT_TIME)
        .http2_keep_alive_interval(KEEPALIVE)
        .keep_alive_timeout(KEEPALIVE)
        .keep_alive_while_idle(true);
    let tls = tls.clone();
    let connected = endpoint.connect_with_connector(connector(Whom::Control, move || tls.clone()));
    match tokio::time::timeout_at(deadline, connected).await {
        Ok(Ok(channel)) => Ok(channel),
        Ok(Err(error)) => Err(match root_cause(&error) {
            cause if cause.contains("certificate") => {
                format!("{address}: not a node of the cluster that is meant ({cause})")
            }
            cause => format!("{address}: {cause}"),
        }),
        Err(_) => Err(format!("{address}: not reached in time")),
    }
}

/// Opens a channel to the daemon behind a unix socket.
pub(crate) async fn unix(path: &Path) -> Result<Channel, Failure> {
    let socket = PathBuf::from(path);
    let connector = tower::service_fn(move |_| {
        let socket = socket.clone();
        async move { UnixStream::connect(socket).await.map(TokioIo::new) }
    });
    // The URI is never resolved: the connector knows where to go.
    let endpoint = Endpoint::from_static("http://local");
    endpoint
        .connect_timeout(CONNECT_TIME)
        .connect_with_connector(connector)
        .await
        .map_err(|error| {
            let what = format!("no daemon at {}: {}", path.display(), root_cause(&error));
            Failure::new(Exit::Unreachable, "NO_DAEMON", what).hint("is fleetd running?")
        })
}

/// The innermost cause: what the system said.
fn root_cause(error: &dyn Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string().to_lowercase()
}
