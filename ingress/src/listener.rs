//! Accepts clients and serves each until it leaves, idles too long, or the process drains.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::task::TaskTracker;

use super::arrivals::{Arrivals, PerAddress};
use super::body::Held;
use super::guarded::{Guarded, Protocol};
use super::headers::Client;
use super::lifecycle::{Phase, reached};
use super::limits;
use super::observe::Handshake;
use super::proxied;
use super::proxy::{Proxy, now_ms};
use super::stream::Stream;
use super::taken::Streams;
use super::tls::door::{Door, Entered};
use super::tls::handshakes::Handshakes;
use super::trusted::Trusted;
use crate::config::Network;

/// Serves the connections of all listeners.
#[derive(Debug)]
pub(super) struct Server {
    proxy: Arc<Proxy>,
    /// Whose connections begin with a PROXY header.
    balancers: Vec<Network>,
    trusted: Arc<Trusted>,
    arrivals: Arrivals,
    places: Arc<Semaphore>,
    pub(super) connections: TaskTracker,
}

/// What is spoken on a listener.
#[derive(Clone, Debug)]
pub(super) enum Entry {
    /// Plain HTTP; and the port that HTTPS is at, if it is served.
    Plain {
        https: Option<u16>,
    },
    Tls(Arc<Handshakes>),
}

/// After a failed accept, which means that descriptors or memory have run out.
const AFTER_FAILURE: Duration = Duration::from_millis(50);

impl Server {
    pub(super) fn new(
        proxy: Arc<Proxy>,
        balancers: Vec<Network>,
        trusted: Trusted,
        per_address: PerAddress,
    ) -> Self {
        let trusted = Arc::new(trusted);
        let arrivals = Arrivals::new(
            Arc::clone(&proxy.addresses),
            Arc::clone(&trusted),
            per_address,
            proxy.started,
        );
        let places = Arc::new(Semaphore::new(limits::CLIENT_CONNECTIONS));
        Self {
            proxy,
            balancers,
            trusted,
            arrivals,
            places,
            connections: TaskTracker::new(),
        }
    }

    /// Accepts until the process begins to close. Nothing accepted is dropped; what is in the
    /// backlog then belongs to whoever else holds the socket.
    pub(super) async fn accept(self: Arc<Self>, listener: TcpListener, entry: Entry) {
        let mut phase = self.proxy.lifecycle.watch();
        let port = listener.local_addr().map_or(0, |address| address.port());
        loop {
            let place = Arc::clone(&self.places).acquire_owned();
            let accepted = async {
                let place = place.await.ok();
                listener.accept().await.map(|accepted| (place, accepted))
            };
            tokio::select! {
                biased;
                () = reached(&mut phase, Phase::Closing) => return,
                accepted = accepted => match accepted {
                    Ok((place, (stream, peer))) => {
                        self.proxy.observer.figures.accepted.one();
                        self.begin(stream, peer, port, entry.clone(), place);
                    }
                    Err(error) => {
                        self.proxy.observer.figures.not_accepted.one();
                        tracing::warn!(%error, "accepting a connection failed");
                        tokio::time::sleep(AFTER_FAILURE).await;
                    }
                },
            }
        }
    }

    fn begin(
        self: &Arc<Self>,
        stream: TcpStream,
        address: SocketAddr,
        port: u16,
        entry: Entry,
        place: Option<OwnedSemaphorePermit>,
    ) {
        let server = Arc::clone(self);
        let client = Client {
            address,
            port,
            scheme: "http",
            proto: "http",
            chain: None,
        };
        self.connections.spawn(async move {
            if let Err(error) = server.serve(stream, client, entry).await {
                if is_malformed(&error) {
                    server.proxy.observer.figures.malformed.one();
                }
                tracing::debug!(%address, %error, "a client connection ended badly");
            }
            drop(place);
        });
    }

    async fn serve(
        &self,
        mut stream: TcpStream,
        mut client: Client,
        entry: Entry,
    ) -> std::io::Result<()> {
        stream.set_nodelay(true)?;
        let mut phase = self.proxy.lifecycle.watch();
        let entered = async {
            self.heed_balancer(&mut stream, &mut client).await?;
            let tls = matches!(entry, Entry::Tls(_));
            let seat = self.arrivals.enter(client.address.ip(), tls)?;
            self.enter(stream, entry)
                .await
                .map(|entered| (entered, seat))
        };
        let entered = tokio::select! {
            entered = entered => entered,
            () = reached(&mut phase, Phase::Leaving) => return Ok(()),
        };
        let (Some((stream, door)), _seat) = entered? else {
            return Ok(());
        };
        (client.scheme, client.proto) = (door.scheme(), door.scheme());
        let tls = stream.tls();
        let begin = Guarded::begin(stream, self.proxy.times.take);
        let begun = tokio::select! {
            begun = tokio::time::timeout(limits::HEAD_TIME, begin) => begun,
            () = reached(&mut phase, Phase::Leaving) => return Ok(()),
        };
        let Some((guarded, protocol)) = begun.unwrap_or(Ok(None))? else {
            return Ok(());
        };
        let activity = Arc::new(Activity {
            requests: AtomicU64::new(0),
            idle_since_ms: AtomicU64::new(now_ms(self.proxy.started)),
            written: guarded.written(),
        });
        let (proxy, counted) = (Arc::clone(&self.proxy), Arc::clone(&activity));
        let trusted = Arc::clone(&self.trusted);
        let service = service_fn(move |request: Request<Incoming>| {
            let counted = Counted::new(Arc::clone(&counted), proxy.started);
            let proxy = Arc::clone(&proxy);
            let client = trusted.client(&client, request.headers());
            let mut account = proxy.observer.open(&client, tls, &request);
            let entered = door.enter(&proxy.routes, &client, request);
            // Boxed: the engine keeps the room of a request for as long as a connection lives, and
            // most connections are idle.
            Box::pin(async move {
                let answer = match entered {
                    Entered::In(request) => proxy.answer(&client, request, &mut account).await,
                    Entered::Answered(page) => page,
                };
                let table = || proxy.routes.current.load_full();
                proxy.observer.answered(&mut account, &answer, table);
                let answer = answer.map(|body| Held::new(body, account, counted));
                Ok::<_, std::convert::Infallible>(answer)
            })
        });
        let (io, started) = (TokioIo::new(guarded), self.proxy.started);
        match protocol {
            Protocol::Http1 => {
                let connection = http1().serve_connection(io, service).with_upgrades();
                let connection = Driven {
                    connection,
                    close: |c| c.graceful_shutdown(),
                };
                connection
                    .drive(Phase::Leaving, &activity, phase, started)
                    .await
            }
            Protocol::Http2 => {
                let connection = http2(self.proxy.times.take).serve_connection(io, service);
                let connection = Driven {
                    connection,
                    close: |c| c.graceful_shutdown(),
                };
                connection
                    .drive(Phase::Closing, &activity, phase, started)
                    .await
            }
        }
    }

    /// Learns from a balancer whose connection this is. Who has to say it and does not is not
    /// served, for whatever it asked would be asked in the balancer's name.
    async fn heed_balancer(
        &self,
        stream: &mut TcpStream,
        client: &mut Client,
    ) -> std::io::Result<()> {
        let peer = client.address.ip();
        if !self.balancers.iter().any(|network| network.contains(peer)) {
            return Ok(());
        }
        let read = tokio::time::timeout(limits::HEAD_TIME, proxied::read(stream)).await;
        let read = match read {
            Ok(read) => read.map_err(std::io::Error::other),
            Err(elapsed) => Err(elapsed.into()),
        };
        let read = read.inspect_err(|_| self.proxy.observer.figures.refused.one())?;
        if let Some(origin) = read {
            client.address = origin.client;
            client.port = origin.local.port();
        }
        Ok(())
    }

    /// Makes what is spoken out of what was accepted; `None` when the handshake was all of it.
    async fn enter(&self, tcp: TcpStream, entry: Entry) -> std::io::Result<Option<(Stream, Door)>> {
        match entry {
            Entry::Plain { https } => Ok(Some((Stream::Plain(tcp), Door::Plain { https }))),
            Entry::Tls(handshakes) => {
                let greeted = Box::pin(handshakes.greet(tcp)).await;
                self.proxy.observer.figures.shaken(match &greeted {
                    Ok(Some(stream)) if stream.is_resumed() => Handshake::Resumed,
                    Ok(_) => Handshake::Full,
                    Err(_) => Handshake::Failed,
                });
                Ok(greeted?.map(|stream| {
                    let door = Door::tls(stream.server_name());
                    (Stream::Tls(Box::new(stream)), door)
                }))
            }
        }
    }
}

/// Whether a connection ended because what came over it could not be read as HTTP.
fn is_malformed(error: &std::io::Error) -> bool {
    let cause = error.get_ref();
    let cause = cause.and_then(|cause| cause.downcast_ref::<hyper::Error>());
    cause.is_some_and(hyper::Error::is_parse)
}

fn http1() -> http1::Builder {
    let mut builder = http1::Builder::new();
    // Idle and slow clients are timed by us: a slow head is not the same as a silent connection.
    builder
        .header_read_timeout(None)
        .max_buf_size(limits::HEAD_BYTES);
    builder
}

fn http2(take_time: Duration) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(Streams::new(take_time));
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS)
        .initial_stream_window_size(limits::STREAM_WINDOW)
        .initial_connection_window_size(limits::CONNECTION_WINDOW)
        .max_send_buf_size(limits::STREAM_WINDOW as usize)
        .max_header_list_size(limits::HEAD_BYTES as u32)
        .max_pending_accept_reset_streams(limits::PENDING_RESETS)
        .max_local_error_reset_streams(limits::LOCAL_RESETS)
        .keep_alive_interval(limits::PING)
        .keep_alive_timeout(limits::PING);
    builder
}

/// Whether a connection has requests, and since when it has none.
#[derive(Debug)]
struct Activity {
    requests: AtomicU64,
    idle_since_ms: AtomicU64,
    /// Bytes that went to the client.
    written: Arc<AtomicU64>,
}

/// One request, until the last of its response is handed over.
#[derive(Debug)]
struct Counted(Arc<Activity>, Instant);

impl Activity {
    /// How much longer it may idle; zero when the time is up.
    fn left(&self, now_ms: u64) -> Duration {
        if self.requests.load(Ordering::Relaxed) > 0 {
            return limits::CLIENT_IDLE;
        }
        let idle = now_ms.saturating_sub(self.idle_since_ms.load(Ordering::Relaxed));
        limits::CLIENT_IDLE.saturating_sub(Duration::from_millis(idle))
    }

    /// Something that changes while anything goes on; None while requests are under way.
    fn stillness(&self) -> Option<u64> {
        let still = self.requests.load(Ordering::Relaxed) == 0;
        still.then(|| self.written.load(Ordering::Relaxed))
    }
}

impl Counted {
    fn new(activity: Arc<Activity>, started: Instant) -> Self {
        activity.requests.fetch_add(1, Ordering::Relaxed);
        Self(activity, started)
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0
            .idle_since_ms
            .store(now_ms(self.1), Ordering::Relaxed);
        self.0.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection of either protocol.
struct Driven<C> {
    connection: C,
    /// Asks it to end once nothing is under way.
    close: fn(Pin<&mut C>),
}

impl<C: Future<Output = hyper::Result<()>>> Driven<C> {
    /// Drives it to its end; asks it to close at `closes_at`, or when it idles too long. One that
    /// was asked and has nothing under way is cut when its client takes none of what is left.
    async fn drive(
        self,
        closes_at: Phase,
        activity: &Activity,
        mut phase: tokio::sync::watch::Receiver<Phase>,
        started: Instant,
    ) -> std::io::Result<()> {
        let mut connection = std::pin::pin!(self.connection);
        let mut timer = std::pin::pin!(tokio::time::sleep(limits::CLIENT_IDLE));
        let mut closing = false;
        let mut still_at = None;
        loop {
            let wait = tokio::select! {
                ended = connection.as_mut() => return ended.map_err(std::io::Error::other),
                () = reached(&mut phase, closes_at), if !closing => Duration::ZERO,
                () = timer.as_mut() => match (closing, activity.stillness()) {
                    (false, _) => activity.left(now_ms(started)),
                    (true, Some(written)) if still_at == Some(written) => return Ok(()),
                    (true, stillness) => {
                        still_at = stillness;
                        limits::TAKE_TIME
                    }
                },
            };
            if wait.is_zero() {
                closing = true;
                (self.close)(connection.as_mut());
            }
            let wait = if wait.is_zero() {
                limits::TAKE_TIME
            } else {
                wait
            };
            timer.as_mut().reset(tokio::time::Instant::now() + wait);
        }
    }
}
