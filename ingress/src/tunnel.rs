//! Bytes both ways after a granted upgrade, until both sides have ended or their time is over.
//!
//! Then a WebSocket is told so in its own language, to both sides and between two frames, so that a
//! client knows that it may come again, and where it will be served. Of other protocols nothing is
//! known: there the connections end.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_util::io::{InspectReader, InspectWriter};
use tokio_util::sync::CancellationToken;

use super::limits;
use super::observe::Account;
use super::upstream::Exchange;
use super::websocket::{self, Frames};

/// What is held of each direction.
const BUFFER: usize = 8 << 10;

/// What two ends have switched to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    WebSocket,
    Other,
}

/// Copies until both sides have ended, or one has failed, or a while after `over`. The exchange
/// keeps the frontend busy meanwhile, and its connection is never used again.
pub(super) async fn join(
    client: OnUpgrade,
    frontend: OnUpgrade,
    protocol: Protocol,
    exchange: Exchange,
    mut account: Account,
    over: impl Future<Output = ()>,
) {
    match tokio::try_join!(client, frontend) {
        Ok((client, frontend)) => {
            let (received, sent) = (AtomicU64::new(0), AtomicU64::new(0));
            let count = |to: &AtomicU64, bytes: &[u8]| {
                to.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            };
            let client = InspectReader::new(TokioIo::new(client), |bytes| count(&received, bytes));
            let client = InspectWriter::new(client, |bytes| count(&sent, bytes));
            let ends = (client, TokioIo::new(frontend));
            if let Err(error) = carry(ends, protocol, over).await {
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

async fn carry<C, F>(
    (client, frontend): (C, F),
    protocol: Protocol,
    over: impl Future<Output = ()>,
) -> io::Result<()>
where
    C: AsyncRead + AsyncWrite,
    F: AsyncRead + AsyncWrite,
{
    let (mut from_client, mut to_client) = tokio::io::split(client);
    let (mut from_frontend, mut to_frontend) = tokio::io::split(frontend);
    let ending = CancellationToken::new();
    let down = Direction::new(protocol, websocket::farewell_to_client);
    let up = Direction::new(protocol, || websocket::farewell_to_server(rand::random()));
    let both = async {
        tokio::try_join!(
            down.copy(&mut from_frontend, &mut to_client, &ending),
            up.copy(&mut from_client, &mut to_frontend, &ending),
        )?;
        if ending.is_cancelled() {
            // What nobody has read makes a kernel reset the connection, and then its client may
            // lose what it was told last.
            tokio::try_join!(ignore(&mut from_client), ignore(&mut from_frontend))?;
        }
        Ok(())
    };
    let mut both = std::pin::pin!(both);
    tokio::select! {
        ended = both.as_mut() => return ended,
        () = over => {}
    }
    ending.cancel();
    match tokio::time::timeout(limits::FAREWELL, both).await {
        Ok(ended) => ended,
        Err(_) => Err(io::ErrorKind::TimedOut.into()),
    }
}

/// Reads to the end.
async fn ignore(from: &mut (impl AsyncRead + Unpin)) -> io::Result<u64> {
    tokio::io::copy(from, &mut tokio::io::sink()).await
}

/// One way through the tunnel.
struct Direction<W> {
    /// Of a WebSocket, where its frames end.
    frames: Option<Frames>,
    farewell: W,
}

impl<W: Fn() -> Vec<u8>> Direction<W> {
    fn new(protocol: Protocol, farewell: W) -> Self {
        let frames = (protocol == Protocol::WebSocket).then(Frames::default);
        Self { frames, farewell }
    }

    /// Copies until the source ends, or until it may be ended after `ending`.
    async fn copy(
        mut self,
        from: &mut (impl AsyncRead + Unpin),
        to: &mut (impl AsyncWrite + Unpin),
        ending: &CancellationToken,
    ) -> io::Result<()> {
        let mut buffer = vec![0; BUFFER];
        loop {
            let between = self.frames.as_ref().is_none_or(Frames::is_between);
            let count = tokio::select! {
                biased;
                () = ending.cancelled(), if between => {
                    to.write_all(&self.last_words()).await?;
                    break;
                }
                read = from.read(&mut buffer) => read?,
            };
            if count == 0 {
                break;
            }
            let count = self.pass(&buffer[..count], ending);
            to.write_all(&buffer[..count]).await?;
            to.flush().await?;
        }
        to.shutdown().await
    }

    /// How much of what was read is still to be sent.
    fn pass(&mut self, bytes: &[u8], ending: &CancellationToken) -> usize {
        match &mut self.frames {
            Some(frames) if ending.is_cancelled() => frames.finish(bytes),
            Some(frames) => {
                frames.pass(bytes);
                bytes.len()
            }
            None => bytes.len(),
        }
    }

    /// Nothing, where the sides have taken leave of each other, or where it is not known how.
    fn last_words(&self) -> Vec<u8> {
        match &self.frames {
            Some(frames) if !frames.is_closed() => (self.farewell)(),
            _ => Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::io::DuplexStream;
    use tokio::sync::oneshot;
    use tokio::task::JoinHandle;

    use super::*;

    struct Ends {
        client: DuplexStream,
        frontend: DuplexStream,
        over: oneshot::Sender<()>,
        carried: JoinHandle<io::Result<()>>,
    }

    fn tunnel(protocol: Protocol) -> Ends {
        let (client, theirs) = tokio::io::duplex(1 << 10);
        let (frontend, ours) = tokio::io::duplex(1 << 10);
        let (over, told) = oneshot::channel();
        let over_now = async move { drop(told.await) };
        let carried = tokio::spawn(carry((theirs, ours), protocol, over_now));
        Ends {
            client,
            frontend,
            over,
            carried,
        }
    }

    async fn read<const N: usize>(from: &mut DuplexStream) -> [u8; N] {
        let mut bytes = [0; N];
        let read = from.read_exact(&mut bytes);
        tokio::time::timeout(Duration::from_secs(20), read)
            .await
            .unwrap()
            .unwrap();
        bytes
    }

    #[tokio::test]
    async fn a_frame_under_way_is_not_cut_in_two() {
        let Ends {
            mut client,
            mut frontend,
            over,
            carried,
        } = tunnel(Protocol::WebSocket);
        frontend.write_all(&[0x82, 5, 1, 2]).await.unwrap();
        assert_eq!(read(&mut client).await, [0x82, 5, 1, 2]);
        over.send(()).unwrap();
        // In the other direction nothing is under way: the frontend is told at once.
        assert_eq!(read::<8>(&mut frontend).await[..2], [0x88, 0x82]);
        // The rest of the frame passes, what follows it does not.
        frontend.write_all(&[3, 4, 5, 0x81, 1, 9]).await.unwrap();
        assert_eq!(read(&mut client).await, [3, 4, 5, 0x88, 2, 3, 0xe9]);
        drop((client, frontend));
        carried.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn sides_that_have_taken_leave_are_told_nothing_more() {
        let Ends {
            mut client,
            mut frontend,
            over,
            carried,
        } = tunnel(Protocol::WebSocket);
        let closing = [0x88, 0x80, 0, 0, 0, 0];
        client.write_all(&closing).await.unwrap();
        assert_eq!(read(&mut frontend).await, closing);
        over.send(()).unwrap();
        let mut rest = Vec::new();
        frontend.read_to_end(&mut rest).await.unwrap();
        assert!(rest.is_empty(), "{rest:?}");
        drop((client, frontend));
        carried.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn who_does_not_listen_is_not_waited_for() {
        let Ends {
            client,
            mut frontend,
            over,
            carried,
        } = tunnel(Protocol::WebSocket);
        over.send(()).unwrap();
        assert_eq!(read::<8>(&mut frontend).await[..2], [0x88, 0x82]);
        // The client says nothing and does not leave.
        let error = carried.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        drop(client);
    }
}
