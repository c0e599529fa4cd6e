//! Handshakes, bounded: they are the most expensive thing that a stranger can ask for.

use std::io;
use std::time::Duration;

use fleet_trust::{WebAcceptor, WebStream};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// From the first byte to the last, and for a place before that. Slower is an attack or a broken path.
const TIME: Duration = Duration::from_secs(10);

/// At once. Each holds some kilobytes and waits for its client; what they cost in CPU they cost one
/// after the other, so more would only make all of them slower.
const AT_ONCE: usize = 1_024;

#[derive(Debug)]
pub(crate) struct Handshakes {
    acceptor: WebAcceptor,
    places: Semaphore,
}

impl Handshakes {
    pub(crate) fn new(acceptor: WebAcceptor) -> Self {
        Self {
            acceptor,
            places: Semaphore::new(AT_ONCE),
        }
    }

    /// A connection whose client has shaken hands in time; `None` when the handshake was all that
    /// was asked for.
    pub(crate) async fn greet(&self, tcp: TcpStream) -> io::Result<Option<WebStream>> {
        let mut stream = self.greet_within(tcp, TIME).await?;
        if !stream.is_over() {
            return Ok(Some(stream));
        }
        stream.shutdown().await?;
        Ok(None)
    }

    async fn greet_within(&self, tcp: TcpStream, limit: Duration) -> io::Result<WebStream> {
        let greeted = async {
            let _place = self.places.acquire().await.map_err(io::Error::other)?;
            self.acceptor.accept(tcp).await
        };
        timeout(limit, greeted).await?
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fleet_trust::{Identity, Shows, TicketKeys};
    use tokio::net::TcpListener;

    use super::*;

    struct Nothing;

    impl Shows for Nothing {
        fn identity(&self, _: Option<&str>) -> Option<Identity> {
            None
        }

        fn tickets(&self) -> Arc<TicketKeys> {
            Arc::new(TicketKeys::new([], 0, 0))
        }
    }

    #[tokio::test]
    async fn whoever_says_nothing_is_let_go() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let silent = TcpStream::connect(address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let handshakes = Handshakes::new(WebAcceptor::new(Arc::new(Nothing)).unwrap());
        let greeted = handshakes.greet_within(accepted, Duration::from_millis(50));
        let error = greeted.await.expect_err("no handshake");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(
            handshakes.places.available_permits(),
            AT_ONCE,
            "the place is free again"
        );
        drop(silent);
    }
}
