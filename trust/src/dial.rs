//! Calling a node over TLS: gRPC's own transport with a connector that says whom it means.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::Uri;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::name::{CONTROL_HOST, node_host};

/// Who must answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Whom {
    /// Any control node.
    Control,
    /// This very node, by its id.
    Node(u64),
}

impl Whom {
    fn host(self) -> io::Result<ServerName<'static>> {
        let host = match self {
            Self::Control => CONTROL_HOST.to_owned(),
            Self::Node(id) => node_host(id),
        };
        ServerName::try_from(host).map_err(io::Error::other)
    }
}

/// Connects to the host and port of whatever URI it is given; `config` is asked anew each time, so
/// that a channel that reconnects shows the certificate of that moment.
pub fn connector<C>(whom: Whom, config: C) -> Connector
where
    C: Fn() -> Arc<ClientConfig> + Send + Sync + 'static,
{
    Connector {
        whom,
        config: Arc::new(config),
    }
}

/// See [`connector`].
#[derive(Clone)]
pub struct Connector {
    whom: Whom,
    config: Arc<dyn Fn() -> Arc<ClientConfig> + Send + Sync>,
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<TlsStream<TcpStream>>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let (whom, config) = (self.whom, (self.config)());
        Box::pin(async move {
            let address = address(&uri)?;
            let tcp = TcpStream::connect(address).await?;
            tcp.set_nodelay(true)?;
            let connector = TlsConnector::from(config);
            connector.connect(whom.host()?, tcp).await.map(TokioIo::new)
        })
    }
}

fn address(uri: &Uri) -> io::Result<(String, u16)> {
    let odd = || io::Error::new(io::ErrorKind::InvalidInput, "no host and port");
    let host = uri.host().ok_or_else(odd)?;
    let port = uri.port_u16().ok_or_else(odd)?;
    // An IPv6 address stands in brackets there and not here.
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Ok((host.to_owned(), port))
}
