//! Connections to frontends: made, lent for one exchange, kept when they come back clean.
//!
//! A connection comes back only after a whole response to a wholly sent request. Everything else
//! (an early response, a broken body, an upgrade, a request given up) leaves bytes on the wire
//! that the next request would meet, so there the connection is cut. That the other side wants to
//! close, or sent more than its response, the engine itself notices while the connection rests.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::task::AbortHandle;

use super::address::Address;
use super::body::{Progress, RequestBody};
use super::limits;
use super::pin;
use super::slot::Connections;
use super::wire::{Patience, Wire};

/// A request's hold on a frontend, with this engine's connections behind it.
pub(super) type Pin = pin::Pin<Pool>;

/// Connections to one frontend that nobody uses.
#[derive(Debug, Default)]
pub(super) struct Pool {
    /// Longest unused first.
    idle: Mutex<Vec<Idle>>,
}

#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: Instant,
}

/// A connection to a frontend. Dropping it cuts it.
#[derive(Debug)]
pub(super) struct Connection {
    sender: SendRequest<RequestBody>,
    task: AbortHandle,
    pub(super) patience: Arc<Patience>,
    /// Has carried a request before: its end says little about the frontend's health.
    pub(super) reused: bool,
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
}

impl Connection {
    /// A new one.
    pub(super) async fn open(address: &Address) -> Result<Self, ConnectError> {
        let stream = tokio::time::timeout(limits::CONNECT_TIME, address.connect()).await??;
        let wire = Wire::new(stream)?;
        let patience = wire.patience();
        let (sender, connection) = http1::Builder::new()
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
            reused: false,
        })
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(
        &mut self,
        request: Request<RequestBody>,
    ) -> Result<Response<Incoming>, SendError> {
        self.sender
            .try_send_request(request)
            .await
            .map_err(|mut error| match error.take_message() {
                Some(request) => SendError::Unsent(Box::new(request)),
                None => SendError::Failed(error.into_error()),
            })
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Pool {
    /// The connection used last that can carry a request now.
    pub(super) fn take(&self) -> Option<Connection> {
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

    /// Closes what has not been used for long.
    pub(super) fn close_unused(&self, now: Instant) {
        let unused = |idle: &Idle| now.duration_since(idle.since) >= limits::FRONTEND_IDLE;
        self.idle()
            .retain(|idle| !unused(idle) && !idle.connection.sender.is_closed());
    }

    fn put(&self, mut connection: Connection) {
        connection.reused = true;
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
    }
}

/// One request and its response on one connection.
#[derive(Debug)]
pub(super) struct Exchange {
    // Before the pin: the connection is cut before the frontend counts as left alone.
    connection: Connection,
    progress: Option<Arc<Progress>>,
    pin: Pin,
}

impl Exchange {
    pub(super) fn new(connection: Connection, progress: Option<Arc<Progress>>, pin: Pin) -> Self {
        Self {
            connection,
            progress,
            pin,
        }
    }

    /// The response has ended as it should: gives the connection back, if it is clean.
    pub(super) fn complete(self) {
        let Self {
            connection,
            progress,
            pin,
        } = self;
        let sent = progress.is_none_or(|progress| progress.is_done());
        if sent && !connection.sender.is_closed() {
            pin.slot.connections.put(connection);
            // The frontend may have been withdrawn between its last look at the pool and `put`.
            if pin.slot.is_withdrawn() {
                pin.slot.connections.close_idle();
            }
        }
    }
}
