//! The TCP connection beneath an exchange with a frontend, and how long silence on it is borne.
//!
//! A machine that loses its power or its network says nothing, and TCP asks for some fifteen
//! minutes before it believes that. A request that may be repeated need not wait so long: the
//! kernel of a living machine acknowledges what was sent, and answers keep-alive probes, however
//! busy the frontend is. So once such a request has waited a while, silence of the *kernel* over
//! there ends the connection, and the request goes elsewhere. All others keep TCP's patience: a
//! broken upload or event stream cannot be sent again, and the network may come back.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use rustix::net::sockopt;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// From when, and how often, the kernel over there is asked whether it lives while nothing moves.
const PROBED_AFTER: Duration = Duration::from_secs(2);
const PROBED_EVERY: Duration = Duration::from_secs(1);
/// Unanswered probes that end a connection on which silence is borne: half a minute of them.
const PROBES: u32 = 30;

/// A connection whose [`Patience`] may change while something waits for it.
#[derive(Debug)]
pub(super) struct Wire {
    stream: TcpStream,
    patience: Arc<Patience>,
    /// What the kernel was last told.
    told: u32,
}

/// How long a connection's other end may acknowledge nothing; shared with whoever waits on it.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Milliseconds; 0 leaves it to TCP.
    limit: AtomicU32,
    /// The task that drives the connection, which alone reaches the socket.
    driver: AtomicWaker,
}

impl Patience {
    /// From now on nothing acknowledged for so long is the connection's end, with `TimedOut`.
    pub(super) fn limit(&self, silence: Duration) {
        let millis = u32::try_from(silence.as_millis()).unwrap_or(u32::MAX);
        self.set(millis);
    }

    /// As long as TCP likes, again.
    pub(super) fn lift(&self) {
        self.set(0);
    }

    fn set(&self, millis: u32) {
        if self.limit.swap(millis, Ordering::AcqRel) != millis {
            self.driver.wake();
        }
    }
}

impl Wire {
    /// The connection, set up for short messages and to notice a machine that is gone.
    pub(super) fn new(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        sockopt::set_socket_keepalive(&stream, true)?;
        sockopt::set_tcp_keepidle(&stream, PROBED_AFTER)?;
        sockopt::set_tcp_keepintvl(&stream, PROBED_EVERY)?;
        sockopt::set_tcp_keepcnt(&stream, PROBES)?;
        Ok(Self {
            stream,
            patience: Arc::default(),
            told: 0,
        })
    }

    pub(super) fn patience(&self) -> Arc<Patience> {
        Arc::clone(&self.patience)
    }

    /// Tells the kernel what was asked for since the last look. The driver reads again whenever it
    /// is woken, so looking here is enough.
    fn heed(&mut self, cx: &Context<'_>) -> io::Result<()> {
        self.patience.driver.register(cx.waker());
        let limit = self.patience.limit.load(Ordering::Acquire);
        if limit != self.told {
            sockopt::set_tcp_user_timeout(&self.stream, limit)?;
            self.told = limit;
        }
        Ok(())
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.heed(cx)?;
        Pin::new(&mut self.stream).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    #[tokio::test]
    async fn a_limit_reaches_the_kernel_while_a_read_waits_and_can_be_lifted() {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (_peer, _) = listener.accept().await.unwrap();
        let mut wire = Wire::new(stream).unwrap();
        let patience = wire.patience();
        // What the kernel was told is seen from a second handle of the same socket.
        let eye = rustix::io::dup(&wire.stream).unwrap();
        let driver = tokio::spawn(async move { wire.read_u8().await });
        for (millis, change) in [
            (
                3_000,
                Box::new(|| patience.limit(Duration::from_secs(3))) as Box<dyn Fn()>,
            ),
            (0, Box::new(|| patience.lift())),
        ] {
            change();
            let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
            while sockopt::tcp_user_timeout(&eye).unwrap() != millis {
                assert!(
                    tokio::time::Instant::now() < deadline,
                    "{millis} ms were never set"
                );
                tokio::task::yield_now().await;
            }
        }
        driver.abort();
    }
}
