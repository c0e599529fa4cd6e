//! Steady HTTP load through several ingresses.
//!
//! Open loop: requests are due at a fixed rate whether or not earlier ones were answered, and
//! latency counts from the moment a request was due, so a stall is seen by everyone who would have
//! suffered from it. How clients connect is a [`Manner`].

mod multiplexed;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Response, header};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Interval, MissedTickBehavior};

use self::multiplexed::Multiplexed;
use crate::history::{Exchange, History, Outcome};
use crate::wait;

/// A request without a complete answer after this long has failed.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);

/// Answers longer than this are not the sample app's.
const BODY_LIMIT: usize = 64 * 1024;

/// What is sent, where, and how often.
#[derive(Debug, Clone)]
pub struct Load {
    pub host: String,
    pub path: String,
    /// Taken in turn.
    pub ingresses: Vec<SocketAddr>,
    /// Requests per second over all ingresses.
    pub rate: u32,
}

/// How clients connect.
#[derive(Debug, Clone)]
pub enum Manner {
    /// HTTP/1.1 on connections that are kept and used again, as browsers and proxies do.
    Kept,
    /// A connection for each request.
    New,
    /// HTTP/2 from the first byte, all requests on one connection to each ingress.
    Http2,
    /// The same over TLS, where clients believe this; the addresses are those of HTTPS.
    Http2OverTls(Arc<ClientConfig>),
}

/// Load under way; ends with [`Running::stop`].
#[derive(Debug)]
pub struct Running {
    history: Arc<Mutex<History>>,
    stop: watch::Sender<bool>,
    rate: watch::Sender<u32>,
    generator: JoinHandle<()>,
}

impl Load {
    pub fn start(self) -> Running {
        self.start_in(Manner::Kept)
    }

    /// Starts it with clients that connect in this manner.
    pub fn start_in(self, manner: Manner) -> Running {
        let history = Arc::new(Mutex::new(History::default()));
        let (stop, stopped) = watch::channel(false);
        let (rate, rates) = watch::channel(self.rate);
        let doors = self.ingresses.iter();
        let doors = doors.map(|address| Arc::new(Door::to(*address, manner.clone())));
        let doors = doors.collect();
        let generator = generate(self, doors, Arc::clone(&history), rates, stopped);
        let generator = tokio::spawn(generator);
        Running {
            history,
            stop,
            rate,
            generator,
        }
    }
}

impl Running {
    /// What has been answered, or has failed, until now.
    pub fn so_far(&self) -> History {
        self.history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Sends `rate` requests per second from now on.
    pub fn change_rate(&self, rate: u32) {
        self.rate.send_replace(rate);
    }

    /// What was due at or after `moment` and has ended.
    pub fn since(&self, moment: Instant) -> History {
        let history = self.history.lock().unwrap_or_else(PoisonError::into_inner);
        history.since(moment)
    }

    /// Waits until `count` more requests have ended: for load that must be seen before a fault.
    pub async fn more(&self, count: usize) -> Result<()> {
        self.more_within(count, wait::GENEROUS).await
    }

    /// [`Running::more`] with a deadline of its own.
    pub async fn more_within(&self, count: usize, within: Duration) -> Result<()> {
        let goal = self.count() + count;
        wait::until(&format!("{count} more requests"), within, async || {
            let now = self.count();
            if now >= goal {
                Ok(())
            } else {
                Err(anyhow!("{now} of {goal} have ended"))
            }
        })
        .await
    }

    fn count(&self) -> usize {
        self.history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .exchanges
            .len()
    }

    /// Sends no more, waits for what is under way, and returns everything.
    pub async fn stop(self) -> Result<History> {
        self.stop.send_replace(true);
        self.generator
            .await
            .context("the load generator panicked")?;
        Ok(self
            .history
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone())
    }
}

async fn generate(
    load: Load,
    doors: Vec<Arc<Door>>,
    history: Arc<Mutex<History>>,
    mut rates: watch::Receiver<u32>,
    mut stopped: watch::Receiver<bool>,
) {
    let mut clock = ticks(load.rate);
    let mut under_way = tokio::task::JoinSet::new();
    for turn in 0_usize.. {
        let due = tokio::select! {
            due = clock.tick() => due.into_std(),
            Ok(()) = rates.changed() => {
                clock = ticks(*rates.borrow_and_update());
                continue;
            }
            _ = stopped.changed() => break,
        };
        let door = Arc::clone(&doors[turn % doors.len()]);
        let (host, path) = (load.host.clone(), load.path.clone());
        let history = Arc::clone(&history);
        under_way.spawn(async move {
            let exchange = door.exchange(due, &host, &path).await;
            history
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .exchanges
                .push(exchange);
        });
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
}

fn ticks(rate: u32) -> Interval {
    let mut clock = tokio::time::interval(Duration::from_secs(1) / rate.max(1));
    // What a busy processor made us miss is sent at once: the rate is a promise.
    clock.set_missed_tick_behavior(MissedTickBehavior::Burst);
    clock
}

/// Sends `requests` as fast as `connections` kept connections are answered: for figures of cost per
/// request, where the rate does not matter.
pub async fn burst(
    ingress: SocketAddr,
    host: &str,
    path: &str,
    connections: usize,
    requests: usize,
) -> History {
    let door = Arc::new(Door::to(ingress, Manner::Kept));
    let left = Arc::new(AtomicUsize::new(requests));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (door, left) = (Arc::clone(&door), Arc::clone(&left));
        let (host, path) = (host.to_owned(), path.to_owned());
        lanes.spawn(async move {
            let mut exchanges = Vec::new();
            let take = |n: usize| n.checked_sub(1);
            while left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                exchanges.push(door.exchange(Instant::now(), &host, &path).await);
            }
            exchanges
        });
    }
    let exchanges = lanes.join_all().await.into_iter().flatten().collect();
    History { exchanges }
}

/// Sends one request on a connection of its own.
pub async fn get(ingress: SocketAddr, host: &str, path: &str) -> Exchange {
    Door::to(ingress, Manner::New)
        .exchange(Instant::now(), host, path)
        .await
}

/// One ingress, and the connections to it that wait for their next request.
#[derive(Debug)]
struct Door {
    address: SocketAddr,
    manner: Manner,
    idle: Mutex<Vec<Connection>>,
    multiplexed: Multiplexed,
}

type Connection = SendRequest<Empty<Bytes>>;

impl Door {
    fn to(address: SocketAddr, manner: Manner) -> Door {
        Door {
            address,
            manner,
            idle: Mutex::new(Vec::new()),
            multiplexed: Multiplexed::default(),
        }
    }

    async fn exchange(&self, due: Instant, host: &str, path: &str) -> Exchange {
        let (sent, mut resent) = (Instant::now(), false);
        let answer = tokio::time::timeout(ANSWER_TIMEOUT, self.send(host, path, &mut resent)).await;
        let outcome = match answer {
            Ok(Ok((status, body))) => Outcome::Answered { status, body },
            Ok(Err(cause)) => Outcome::Broken(format!("{cause:#}")),
            Err(_) => Outcome::Broken(format!("no answer within {ANSWER_TIMEOUT:?}")),
        };
        Exchange {
            due,
            sent,
            took: due.elapsed(),
            ingress: self.address,
            outcome,
            resent,
        }
    }

    async fn send(&self, host: &str, path: &str, resent: &mut bool) -> Result<(u16, String)> {
        let tls = match &self.manner {
            Manner::Kept | Manner::New => None,
            Manner::Http2 => Some(None),
            Manner::Http2OverTls(config) => Some(Some(config)),
        };
        if let Some(tls) = tls {
            let http2 = &self.multiplexed;
            return http2.send((self.address, tls), host, path, resent).await;
        }
        if let Some(connection) = self.take_idle() {
            match self.send_on(connection, host, path).await {
                // Closed before a byte of an answer: the server had given the connection up.
                Err(cause) if closed_early(&cause) => *resent = true,
                other => return other,
            }
        }
        let connection = self.connect().await.context("connecting")?;
        self.send_on(connection, host, path).await
    }

    async fn send_on(
        &self,
        mut connection: Connection,
        host: &str,
        path: &str,
    ) -> Result<(u16, String)> {
        let request = Request::get(path)
            .header(header::HOST, host)
            .body(Empty::new())?;
        let answer = connection.send_request(request).await.context("sending")?;
        let answer = read(answer).await?;
        if matches!(self.manner, Manner::Kept) && connection.ready().await.is_ok() {
            self.idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push(connection);
        }
        Ok(answer)
    }

    fn take_idle(&self) -> Option<Connection> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.retain(SendRequest::is_ready);
        idle.pop()
    }

    async fn connect(&self) -> Result<Connection> {
        let stream = dial(self.address).await?;
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        // Its errors reach whoever waits for an answer on it.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}

async fn read(answer: Response<Incoming>) -> Result<(u16, String)> {
    let status = answer.status().as_u16();
    let body = http_body_util::Limited::new(answer.into_body(), BODY_LIMIT)
        .collect()
        .await
        .map_err(|e| anyhow!("reading the answer: {e}"))?
        .to_bytes();
    Ok((status, String::from_utf8_lossy(&body).trim().to_owned()))
}

/// A connection without Nagle's wait.
async fn dial(address: SocketAddr) -> Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn closed_early(cause: &anyhow::Error) -> bool {
    cause.downcast_ref::<hyper::Error>().is_some_and(|error| {
        error.is_canceled()
            || error.is_closed()
            || error.is_incomplete_message()
            || std::error::Error::source(error)
                .and_then(|source| source.downcast_ref::<std::io::Error>())
                .is_some_and(|io| io.kind() == std::io::ErrorKind::ConnectionReset)
    })
}
