//! Clients of HTTP/2: one connection to an ingress, on which requests do not wait for each other.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use http_body_util::Empty;
use hyper::Request;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

use super::{closed_early, dial, read};

/// The connection, once there is one; made anew when it ends.
#[derive(Debug, Default)]
pub(super) struct Multiplexed {
    open: tokio::sync::Mutex<Option<Connection>>,
}

type Connection = SendRequest<Empty<Bytes>>;

/// Where to connect, and what is believed there if it is TLS.
type To<'a> = (SocketAddr, Option<&'a Arc<ClientConfig>>);

impl Multiplexed {
    /// Sends a request. Only when the connection had ended before, it is sent again on a new one.
    pub(super) async fn send(
        &self,
        to: To<'_>,
        host: &str,
        path: &str,
        resent: &mut bool,
    ) -> Result<(u16, String)> {
        let (connection, kept) = self.connection(to, host).await.context("connecting")?;
        match send_on(connection, to, host, path).await {
            Err(cause) if kept && closed_early(&cause) => *resent = true,
            other => return other,
        }
        let (connection, _) = self.connection(to, host).await.context("connecting")?;
        send_on(connection, to, host, path).await
    }

    /// The connection, and whether it was there before.
    async fn connection(&self, to: To<'_>, host: &str) -> Result<(Connection, bool)> {
        let mut open = self.open.lock().await;
        if let Some(connection) = open.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok((connection.clone(), true));
        }
        let stream = dial(to.0).await?;
        let connection = match to.1 {
            None => begin(stream).await?,
            Some(config) => {
                let host = ServerName::try_from(host.to_owned())?;
                let connector = TlsConnector::from(Arc::clone(config));
                begin(connector.connect(host, stream).await?).await?
            }
        };
        *open = Some(connection.clone());
        Ok((connection, false))
    }
}

async fn begin(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Result<Connection> {
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // Its errors reach whoever waits for an answer on it.
    tokio::spawn(async move { drop(connection.await) });
    Ok(sender)
}

async fn send_on(
    mut connection: Connection,
    to: To<'_>,
    host: &str,
    path: &str,
) -> Result<(u16, String)> {
    let (scheme, port) = (if to.1.is_some() { "https" } else { "http" }, to.0.port());
    let request = Request::get(format!("{scheme}://{host}:{port}{path}")).body(Empty::new())?;
    let answer = connection.send_request(request).await.context("sending")?;
    read(answer).await
}
