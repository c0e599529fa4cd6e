//! Handshakes with clients of the ingress.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{HandshakeKind, ProtocolVersion, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::acme::ACME_TLS_1;
use super::identity::Identity;
use super::tickets::{TicketKeys, Ticketer};
use crate::credentials::H2;
use crate::provider;

const HTTP_1_1: &[u8] = b"http/1.1";

/// Decides, per handshake, what is shown. Asked on the threads that serve: it must not wait.
pub trait Shows: Send + Sync + 'static {
    /// What to show to a client that asks for `host`, or for none. `None` ends the handshake with an
    /// alert.
    fn identity(&self, host: Option<&str>) -> Option<Identity>;

    /// What to show to an authority that asks in this handshake whether `host` is ours. `None`, as for
    /// whoever has ordered nothing, ends the handshake with an alert.
    fn answer(&self, host: &str) -> Option<Identity> {
        let _ = host;
        None
    }

    /// The keys of tickets at this moment.
    fn tickets(&self) -> Arc<TicketKeys>;
}

/// Makes TLS of connections: 1.2 and 1.3, HTTP/2 and HTTP/1.1. Nothing is taken before the handshake
/// is over (no 0-RTT: it can be repeated by whoever listens).
#[derive(Clone)]
pub struct WebAcceptor(TlsAcceptor);

impl WebAcceptor {
    /// # Errors
    /// None that this build could run into: the provider knows both versions.
    pub fn new(shows: Arc<dyn Shows>) -> Result<Self, rustls::Error> {
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(Shown(shows.clone())));
        config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec(), ACME_TLS_1.to_vec()];
        // Sessions are remembered by clients alone, so that any ingress can resume them.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::new(Ticketer(shows));
        config.max_early_data_size = 0;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Takes as long as the client does: whoever calls sets a limit.
    ///
    /// # Errors
    /// When the client speaks no TLS, none of ours, or leaves.
    pub async fn accept(&self, tcp: TcpStream) -> io::Result<WebStream> {
        self.0.accept(tcp).await.map(WebStream)
    }
}

impl fmt::Debug for WebAcceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WebAcceptor")
    }
}

struct Shown(Arc<dyn Shows>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        // Such a client speaks nothing else (RFC 8737, 3).
        let asks = hello
            .alpn()
            .is_some_and(|mut spoken| spoken.next() == Some(ACME_TLS_1) && spoken.next().is_none());
        let identity = match asks {
            true => self.0.answer(hello.server_name()?),
            false => self.0.identity(hello.server_name()),
        };
        identity.map(|identity| identity.0)
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Shown")
    }
}

/// A connection after its handshake.
#[derive(Debug)]
pub struct WebStream(TlsStream<TcpStream>);

impl WebStream {
    /// The handshake was all that was asked for: nothing may follow (RFC 8737, 3).
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.0.get_ref().1.alpn_protocol() == Some(ACME_TLS_1)
    }

    /// The host that the client asked for in its handshake, as it wrote it.
    #[must_use]
    pub fn server_name(&self) -> Option<&str> {
        self.0.get_ref().1.server_name()
    }

    /// The version that was agreed on, as it is usually written.
    #[must_use]
    pub fn version(&self) -> Option<&'static str> {
        match self.0.get_ref().1.protocol_version()? {
            ProtocolVersion::TLSv1_2 => Some("TLSv1.2"),
            ProtocolVersion::TLSv1_3 => Some("TLSv1.3"),
            _ => None,
        }
    }

    /// Whether a session was resumed, so that nothing had to be signed.
    #[must_use]
    pub fn is_resumed(&self) -> bool {
        self.0.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
    }
}

impl AsyncRead for WebStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for WebStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}
