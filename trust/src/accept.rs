//! Taking calls over TLS: handshakes run beside each other, and whoever does not finish one in time
//! is let go. A caller that speaks plain text gets an alert and nothing else.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use crate::{Credentials, Fingerprint, NodeName};

/// A handshake is two round trips and some arithmetic.
const HANDSHAKE: Duration = Duration::from_secs(5);

/// Handshakes at once; further callers wait in the queue of the kernel.
const AT_ONCE: usize = 256;

/// Rest after the system refused a connection (no descriptors left, say).
const REST: Duration = Duration::from_millis(50);

/// Who is at the other end of a connection. Part of every request's extensions.
#[derive(Clone, Debug)]
pub struct Caller {
    pub address: SocketAddr,
    /// `None`: an operator, or a machine that is no node yet.
    pub peer: Option<Arc<Peer>>,
}

/// A node that has shown its certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    pub name: NodeName,
    /// The authority that signed it.
    pub authority: Fingerprint,
}

/// The connections of one listener, as `serve_with_incoming` wants them. Dropped, it listens no
/// more.
pub struct Incoming(mpsc::Receiver<TlsIo>);

impl Incoming {
    /// `credentials` is asked for each connection, so that renewed ones count at once.
    pub fn new<C>(listener: TcpListener, credentials: C) -> Self
    where
        C: Fn() -> Arc<Credentials> + Send + Sync + 'static,
    {
        let (ready, connections) = mpsc::channel(64);
        tokio::spawn(accept(listener, Arc::new(credentials), ready));
        Self(connections)
    }
}

impl tokio_stream::Stream for Incoming {
    type Item = io::Result<TlsIo>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context).map(|next| next.map(Ok))
    }
}

type Asked = Arc<dyn Fn() -> Arc<Credentials> + Send + Sync>;

async fn accept(listener: TcpListener, credentials: Asked, ready: mpsc::Sender<TlsIo>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = ready.closed() => return,
        };
        let (tcp, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(REST).await;
                continue;
            }
        };
        let (credentials, ready) = (credentials(), ready.clone());
        tokio::spawn(async move {
            match timeout(HANDSHAKE, greet(tcp, address, &credentials)).await {
                Ok(Ok(connection)) => drop(ready.send(connection).await),
                Ok(Err(error)) => tracing::debug!(%address, %error, "no TLS"),
                Err(_) => tracing::debug!(%address, "a handshake took too long"),
            }
            drop(place);
        });
    }
}

async fn greet(
    tcp: TcpStream,
    address: SocketAddr,
    credentials: &Credentials,
) -> io::Result<TlsIo> {
    tcp.set_nodelay(true)?;
    let stream = TlsAcceptor::from(credentials.server()).accept(tcp).await?;
    let (_, session) = stream.get_ref();
    let shown = session.peer_certificates().and_then(<[_]>::first);
    let peer = match shown {
        None => None,
        Some(certificate) => {
            let odd = || io::Error::new(io::ErrorKind::InvalidData, "a certificate of no node");
            let name = NodeName::in_certificate(certificate).ok_or_else(odd)?;
            if name.cluster != credentials.name().cluster {
                return Err(odd());
            }
            let authority = credentials.signed_by(certificate).ok_or_else(odd)?;
            Some(Arc::new(Peer { name, authority }))
        }
    };
    let caller = Caller { address, peer };
    Ok(TlsIo { stream, caller })
}

/// One connection, and who called.
pub struct TlsIo {
    stream: TlsStream<TcpStream>,
    caller: Caller,
}

impl Connected for TlsIo {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for TlsIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for TlsIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
