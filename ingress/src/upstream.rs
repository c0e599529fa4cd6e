//! Connections to frontends: made, lent for one exchange, kept when they come back clean.
//!
//! A connection of HTTP/1.1 comes back only after a whole response to a wholly sent request.
//! Everything else (an early response, a broken body, an upgrade, a request given up) leaves bytes
//! on the wire that the next request would meet, so there the connection is cut. That the other
//! side wants to close, or sent more than its response, the engine itself notices while the
//! connection rests. One of HTTP/2 is shared instead; see `multiplexed`.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderValue, Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::address::Address;
use super::body::{Progress, RequestBody};
use super::gate::Pass;
use super::limits;
use super::multiplexed::{Place, Shared, as_http2};
use super::pin;
use super::slot::{Connections, Slot};
use super::spec::Protocol;
use super::wire::{Patience, Wire};

/// A request's hold on a frontend, with this engine's connections behind it.
pub(super) type Pin = pin::Pin<Pool>;

/// Connections to one frontend.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Those that nobody uses, longest unused first.
    idle: Mutex<Vec<Idle>>,
    shared: Shared,
}

#[derive(Debug)]
struct Idle {
    connection: Own,
    since: Instant,
}

/// A connection to a frontend, or a request's part of one. Dropping it cuts it.
#[derive(Debug)]
pub(super) struct Connection {
    carrier: Carrier,
    /// Has carried a request before: its end says little about the frontend's health.
    pub(super) reused: bool,
}

#[derive(Debug)]
enum Carrier {
    Own(Own),
    Shared(Place),
}

/// A connection of HTTP/1.1.
#[derive(Debug)]
struct Own {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
    patience: Arc<Patience>,
}

/// No connection came about.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error("connecting to a frontend")]
    Io(#[from] io::Error),
    #[error("beginning HTTP with a frontend")]
    Http(#[from] hyper::Error),
    #[error("a frontend did not take the connection in time")]
    TimedOut(#[from] tokio::time::error::Elapsed),
    #[error("another request found a moment ago that a frontend takes no connection")]
    Others,
}

/// No response came.
#[derive(Debug)]
pub(super) enum SendError {
    /// The connection had ended before; nothing of the request was sent.
    Unsent(Box<Request<RequestBody>>),
    /// Something of the request may have been sent.
    Failed(hyper::Error),
    /// Nothing came in time.
    TimedOut,
    /// The client did not send the rest of its request in time.
    ClientTimedOut,
}

impl Connection {
    /// One that rests, else a new one; a new one in any case if `fresh`.
    pub(super) async fn to(slot: &Slot<Pool>, fresh: bool) -> Result<Self, ConnectError> {
        if slot.protocol == Protocol::Http2 {
            let place = slot.connections.shared.place(&slot.address).await?;
            return Ok(Self {
                reused: place.reused,
                carrier: Carrier::Shared(place),
            });
        }
        let rested = (!fresh).then(|| slot.connections.take()).flatten();
        let reused = rested.is_some();
        let own = match rested {
            Some(own) => own,
            None => Own::open(&slot.address).await?,
        };
        let carrier = Carrier::Own(own);
        Ok(Self { carrier, reused })
    }

    /// How long silence of the machine over there is borne; not of a connection that is shared,
    /// where others wait who may not be sent again.
    pub(super) fn patience(&self) -> Option<Arc<Patience>> {
        match &self.carrier {
            Carrier::Own(own) => Some(Arc::clone(&own.patience)),
            Carrier::Shared(_) => None,
        }
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        mut request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, SendError> {
        match &mut self.carrier {
            Carrier::Own(own) => {
                as_http1(&mut request);
                own.sender.try_send_request(request).await.map_err(unsent)
            }
            Carrier::Shared(place) => {
                as_http2(&mut request);
                place
                    .sender()
                    .try_send_request(request)
                    .await
                    .map_err(unsent)
            }
        }
    }
}

impl Own {
    async fn open(address: &Address) -> Result<Self, ConnectError> {
        let stream = tokio::time::timeout(limits::CONNECT_TIME, address.connect()).await??;
        let wire = Wire::new(stream)?;
        let patience = wire.patience();
        let (sender, connection) = http1::Builder::new()
            .max_buf_size(limits::FRONTEND_BUFFER)
            .handshake::<_, RequestBody>(TokioIo::new(wire))
            .await?;
        let task = tokio::spawn(async move {
            // Whoever waits for a response hears of the error; in rest there is nobody to tell.
            let _ = connection.with_upgrades().await;
        });
        Ok(Self {
            sender,
            task: task.abort_handle(),
            patience,
        })
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn unsent(mut error: TrySendError<Request<RequestBody>>) -> SendError {
    match error.take_message() {
        Some(request) => SendError::Unsent(Box::new(request)),
        None => SendError::Failed(error.into_error()),
    }
}

/// Says how a body without a length is framed: the engine would send a GET with one as if there
/// were none. Takes back what an attempt over HTTP/2 made of the target.
fn as_http1(request: &mut Request<RequestBody>) {
    if let Some(authority) = request.uri().authority() {
        let host = HeaderValue::try_from(authority.as_str());
        let path = request.uri().path_and_query().cloned();
        host.into_iter()
            .for_each(|host| drop(request.headers_mut().insert(HOST, host)));
        *request.uri_mut() = path.map(Uri::from).unwrap_or_default();
    }
    let streamed = request.body().progress().is_some();
    let headers = request.headers_mut();
    if streamed && !headers.contains_key(CONTENT_LENGTH) {
        headers.insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
}

impl Pool {
    /// Closes what has not been used for long.
    pub(super) fn close_unused(&self, now: Instant) {
        let unused = |idle: &Idle| now.duration_since(idle.since) >= limits::FRONTEND_IDLE;
        self.idle()
            .retain(|idle| !unused(idle) && !idle.connection.sender.is_closed());
        self.shared.close_unused(now, limits::FRONTEND_IDLE);
    }

    /// The connection used last that can carry a request now.
    fn take(&self) -> Option<Own> {
        let mut idle = self.idle();
        for index in (0..idle.len()).rev() {
            let sender = &idle[index].connection.sender;
            if sender.is_closed() {
                idle.remove(index);
            } else if sender.is_ready() {
                return Some(idle.remove(index).connection);
            }
            // Neither: its task has not run since the response ended. It will be ready soon.
        }
        None
    }

    fn put(&self, connection: Own) {
        let mut idle = self.idle();
        if idle.len() >= limits::FRONTEND_IDLE_CONNECTIONS {
            idle.remove(0);
        }
        idle.push(Idle {
            connection,
            since: Instant::now(),
        });
    }

    fn idle(&self) -> MutexGuard<'_, Vec<Idle>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connections for Pool {
    fn close_idle(&self) {
        self.idle().clear();
        self.shared.release();
    }
}

/// One request and its response on one connection.
#[derive(Debug)]
pub(super) struct Exchange {
    // Before the pin: the connection is cut before the frontend counts as left alone.
    connection: Connection,
    progress: Option<Arc<Progress>>,
    pin: Pin,
    /// Counts the request within its environment's limits.
    pass: Option<Pass>,
}

impl Exchange {
    pub(super) fn new(connection: Connection, progress: Option<Arc<Progress>>, pin: Pin) -> Self {
        Self {
            connection,
            progress,
            pin,
            pass: None,
        }
    }

    /// Keeps a request counted for as long as it takes.
    pub(super) fn counted(&mut self, pass: Option<Pass>) {
        self.pass = pass;
    }

    pub(super) fn pin(&self) -> &Pin {
        &self.pin
    }

    /// The response has ended as it should: gives the connection back, if it is clean.
    pub(super) fn complete(self) {
        let Self {
            connection,
            progress,
            pin,
            pass: _,
        } = self;
        let Carrier::Own(own) = connection.carrier else {
            return;
        };
        let sent = progress.is_none_or(|progress| progress.is_done());
        if sent && !own.sender.is_closed() {
            pin.slot.connections.put(own);
            // The frontend may have been withdrawn between its last look at the pool and `put`.
            if pin.slot.is_withdrawn() {
                pin.slot.connections.close_idle();
            }
        }
    }
}
