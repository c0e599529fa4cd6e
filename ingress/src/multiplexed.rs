//! HTTP/2 connections to a frontend: each carries many requests at once.
//!
//! Unlike one of HTTP/1.1, such a connection is never dirty: a request given up is reset, and the
//! others on it do not notice. So a connection is shared by all until it ends, and another is
//! opened only when every one carries as many requests as it may.

use std::future::poll_fn;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use http::header::{CONNECTION, HOST, TE, TRANSFER_ENCODING, UPGRADE};
use http::uri::{Authority, Scheme};
use http::{Request, Uri};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::AbortHandle;

use super::address::Address;
use super::body::RequestBody;
use super::limits;
use super::upstream::ConnectError;
use super::wire::Wire;

/// The connections to one frontend.
#[derive(Debug, Default)]
pub(super) struct Shared {
    open: Mutex<Vec<Arc<Multiplexed>>>,
    /// Held while a connection is made, so that a crowd does not make one each.
    opening: tokio::sync::Mutex<()>,
    failures: AtomicU64,
}

/// One of them. Dropping the last hold on it cuts it.
#[derive(Debug)]
struct Multiplexed {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
    /// As the other side said last.
    most: Arc<AtomicUsize>,
    requests: AtomicUsize,
    used: AtomicBool,
    idle_since: Mutex<Instant>,
}

/// One request's place on a connection.
#[derive(Debug)]
pub(super) struct Place {
    connection: Arc<Multiplexed>,
    /// The connection has carried a request before.
    pub(super) reused: bool,
}

impl Shared {
    /// A place on a connection there is, else on a new one.
    pub(super) async fn place(&self, address: &Address) -> Result<Place, ConnectError> {
        if let Some(place) = self.free() {
            return Ok(place);
        }
        let failures = self.failures.load(Ordering::Acquire);
        let _turn = self.opening.lock().await;
        // Whoever had the turn before has made a connection, or found that none can be made.
        if let Some(place) = self.free() {
            return Ok(place);
        }
        if self.failures.load(Ordering::Acquire) != failures {
            return Err(ConnectError::Others);
        }
        match Multiplexed::open(address).await {
            Ok(connection) => {
                let place = Place::on(&connection);
                self.open().push(connection);
                Ok(place)
            }
            Err(error) => {
                self.failures.fetch_add(1, Ordering::Release);
                Err(error)
            }
        }
    }

    /// Lets go of connections that carried nothing for so long, and of those that have ended.
    pub(super) fn close_unused(&self, now: Instant, unused: Duration) {
        self.open()
            .retain(|connection| !connection.sender.is_closed() && !connection.rests(now, unused));
    }

    /// Lets go of all. What is under way on them goes on to its end.
    pub(super) fn release(&self) {
        self.open().clear();
    }

    fn free(&self) -> Option<Place> {
        let mut open = self.open();
        open.retain(|connection| !connection.sender.is_closed());
        // The fullest that has room, so that connections that are not needed fall idle.
        let with_room = open.iter().filter(|connection| connection.has_room());
        let fullest = with_room.max_by_key(|c| c.requests.load(Ordering::Relaxed))?;
        Some(Place::on(fullest))
    }

    fn open(&self) -> MutexGuard<'_, Vec<Arc<Multiplexed>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Multiplexed {
    async fn open(address: &Address) -> Result<Arc<Self>, ConnectError> {
        let stream = tokio::time::timeout(limits::CONNECT_TIME, address.connect()).await??;
        // No pings: servers of gRPC hang up on who sends more than a few. The kernel's probes tell
        // when the machine is gone.
        let (sender, connection) = http2::Builder::new(TokioExecutor::new())
            .initial_stream_window_size(limits::STREAM_WINDOW)
            .initial_connection_window_size(limits::FRONTEND_WINDOW)
            .max_header_list_size(limits::HEAD_BYTES as u32)
            .handshake::<_, RequestBody>(TokioIo::new(Wire::new(stream)?))
            .await?;
        let most = Arc::new(AtomicUsize::new(limits::STREAMS as usize));
        let heard = Arc::clone(&most);
        let task = tokio::spawn(async move {
            let mut connection = std::pin::pin!(connection);
            // Whoever waits for a response hears of an error.
            poll_fn(|cx| {
                let ended = connection.as_mut().poll(cx);
                let most = connection.current_max_send_streams();
                heard.store(most.min(limits::STREAMS as usize), Ordering::Relaxed);
                ended.map(drop)
            })
            .await;
        });
        Ok(Arc::new(Self {
            sender,
            task: task.abort_handle(),
            most,
            requests: AtomicUsize::new(0),
            used: AtomicBool::new(false),
            idle_since: Mutex::new(Instant::now()),
        }))
    }

    /// As many as we send at once, and as the other side said it takes.
    fn has_room(&self) -> bool {
        self.requests.load(Ordering::Relaxed) < self.most.load(Ordering::Relaxed)
    }

    fn rests(&self, now: Instant, unused: Duration) -> bool {
        let since = *self.idle_since();
        self.requests.load(Ordering::Relaxed) == 0 && now.duration_since(since) >= unused
    }

    fn idle_since(&self) -> MutexGuard<'_, Instant> {
        self.idle_since
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Multiplexed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Place {
    fn on(connection: &Arc<Multiplexed>) -> Self {
        connection.requests.fetch_add(1, Ordering::Relaxed);
        Self {
            connection: Arc::clone(connection),
            reused: connection.used.swap(true, Ordering::Relaxed),
        }
    }

    pub(super) fn sender(&self) -> SendRequest<RequestBody> {
        self.connection.sender.clone()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.connection.requests.fetch_sub(1, Ordering::Relaxed) == 1 {
            *self.connection.idle_since() = Instant::now();
        }
    }
}

/// Turns a request as HTTP/1.1 has it into one of HTTP/2: the host goes into the target, and what
/// speaks of one connection goes.
pub(super) fn as_http2(request: &mut Request<RequestBody>) {
    if let Some(host) = request.headers_mut().remove(HOST)
        && let Ok(authority) = Authority::try_from(host.as_bytes())
    {
        let mut parts = request.uri().clone().into_parts();
        parts.scheme = Some(Scheme::HTTP);
        parts.authority = Some(authority);
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
    }
    let headers = request.headers_mut();
    for name in [CONNECTION, UPGRADE, TRANSFER_ENCODING] {
        headers.remove(name);
    }
    // The one value that HTTP/2 knows.
    if headers.get(TE).is_some_and(|te| te != "trailers") {
        headers.remove(TE);
    }
}
