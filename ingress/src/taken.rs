//! Whether HTTP/2 clients take what is there for them, stream by stream.
//!
//! A client can keep a connection lively and yet leave the window of a stream shut. Then a
//! frontend, and what it has sent, would be held for as long as the client likes. The engine runs
//! each stream as a task of its own, and asks for more of a body only when the client has room for
//! it. So each task remembers since when something that its body offered has not been followed by
//! a question for more, and ends after a while: the stream is reset, the frontend is free. A stream
//! whose frontend is silent is not stalled, and may last.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;

use hyper::rt::Executor;
use tokio::time::{Duration, Instant};

tokio::task_local! {
    static MINE: Arc<Offer>;
}

/// Runs the streams of clients.
#[derive(Clone, Copy, Debug)]
pub(super) struct Streams {
    /// Zero of the times that offers are remembered by.
    begun: Instant,
    /// What a client has to take something.
    take_time: Duration,
}

/// What a stream's body offered last.
#[derive(Debug)]
pub(super) struct Offer {
    begun: Instant,
    /// Milliseconds; 0 when the client has asked for more since.
    since_ms: AtomicU64,
}

impl Streams {
    pub(super) fn new(take_time: Duration) -> Self {
        Self {
            begun: Instant::now(),
            take_time,
        }
    }
}

impl<F> Executor<F> for Streams
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let offer = Arc::new(Offer {
            begun: self.begun,
            since_ms: AtomicU64::new(0),
        });
        tokio::spawn(run(stream, offer, self.take_time));
    }
}

/// Runs a stream until it ends, or is not taken for so long.
async fn run(stream: impl Future, offer: Arc<Offer>, take_time: Duration) {
    let mut stream = std::pin::pin!(MINE.scope(Arc::clone(&offer), stream));
    let mut patience = std::pin::pin!(tokio::time::sleep(Duration::ZERO));
    let mut set_for = 0;
    poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let since_ms = offer.since_ms.load(Ordering::Relaxed);
        if since_ms == 0 {
            return Poll::Pending;
        }
        if set_for != since_ms {
            set_for = since_ms;
            let since = offer.begun + Duration::from_millis(since_ms);
            patience.as_mut().reset(since + take_time);
        }
        patience.as_mut().poll(cx).map(|()| {
            tracing::debug!("reset a stream that its client does not take");
        })
    })
    .await;
}

impl Offer {
    /// That of the stream whose task this is; None in a connection of HTTP/1.1, where what is not
    /// taken is seen at the connection.
    pub(super) fn mine() -> Option<Arc<Self>> {
        MINE.try_with(Arc::clone).ok()
    }

    /// The body gave something.
    pub(super) fn made(&self) {
        let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.since_ms.store(now_ms.max(1), Ordering::Relaxed);
    }

    /// The body was asked for more.
    pub(super) fn accepted(&self) {
        self.since_ms.store(0, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use super::*;

    const TAKE_TIME: Duration = Duration::from_secs(2);

    /// A stream that is polled whenever it is told to, and then offers or accepts.
    fn stream() -> (mpsc::UnboundedSender<bool>, tokio::task::JoinHandle<()>) {
        let (tell, mut told) = mpsc::unbounded_channel();
        let offer = Arc::new(Offer {
            begun: Instant::now(),
            since_ms: AtomicU64::new(0),
        });
        let stream = async move {
            let offer = Offer::mine().expect("within a stream's task");
            while let Some(offers) = told.recv().await {
                offer.accepted();
                if offers {
                    offer.made();
                }
            }
        };
        (tell, tokio::spawn(run(stream, offer, TAKE_TIME)))
    }

    #[tokio::test]
    async fn what_is_offered_and_not_taken_ends_a_stream_and_silence_does_not() {
        let (tell, mut task) = stream();
        let mut pace = tokio::time::interval(TAKE_TIME / 20);
        // Slowly taken, for longer than it may be left.
        let began = Instant::now();
        while began.elapsed() < 2 * TAKE_TIME {
            tell.send(true).unwrap();
            pace.tick().await;
        }
        // Taken, and then nothing to take.
        tell.send(false).unwrap();
        let ended = tokio::time::timeout(2 * TAKE_TIME, &mut task).await;
        assert!(ended.is_err(), "a silent stream was ended");
        tell.send(true).unwrap();
        let since = Instant::now();
        task.await.unwrap();
        assert!(since.elapsed() >= TAKE_TIME / 2, "{:?}", since.elapsed());
    }
}
