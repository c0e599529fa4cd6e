//! Bodies on their way through, never held: what one side has not taken stops the other.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;

use super::observe::{Account, Meter};
use super::retry;
use super::taken::Offer;
use super::upstream::Exchange;

/// A request body on its way to a frontend.
#[derive(Debug)]
pub(super) enum RequestBody {
    Absent,
    Streamed {
        incoming: Incoming,
        progress: Arc<Progress>,
    },
}

/// How far a request body has come, seen by who does not hold it.
#[derive(Debug, Default)]
pub(super) struct Progress {
    stage: AtomicU8,
    bytes: AtomicU64,
    /// The frontend's side has asked for more than the client has sent.
    wanted: AtomicBool,
}

const UNTOUCHED: u8 = 0;
const BEGUN: u8 = 1;
const DONE: u8 = 2;
const FAILED: u8 = 3;

impl Progress {
    pub(super) fn is_done(&self) -> bool {
        self.stage.load(Ordering::Acquire) == DONE
    }

    /// The client broke it off, or it was no proper body.
    pub(super) fn has_failed(&self) -> bool {
        self.stage.load(Ordering::Acquire) == FAILED
    }

    /// Whether it is the client for whom everybody waits.
    pub(super) fn waits_for_client(&self) -> bool {
        self.wanted.load(Ordering::Acquire)
    }

    /// As the rules of repeating see it.
    pub(super) fn body(&self) -> retry::Body {
        match self.stage.load(Ordering::Acquire) {
            UNTOUCHED => retry::Body::Untouched,
            _ => retry::Body::Begun,
        }
    }

    fn set(&self, stage: u8) {
        self.stage.store(stage, Ordering::Release);
    }
}

impl Meter for Progress {
    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }
}

impl RequestBody {
    /// The body of a request, and the eye on it if there is one.
    pub(super) fn new(incoming: Incoming) -> (Self, Option<Arc<Progress>>) {
        if incoming.is_end_stream() {
            return (Self::Absent, None);
        }
        let progress = Arc::new(Progress::default());
        (
            Self::Streamed {
                incoming,
                progress: Arc::clone(&progress),
            },
            Some(progress),
        )
    }

    /// The eye on it.
    pub(super) fn progress(&self) -> Option<Arc<Progress>> {
        match self {
            Self::Absent => None,
            Self::Streamed { progress, .. } => Some(Arc::clone(progress)),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self::Streamed { incoming, progress } = self.get_mut() else {
            return Poll::Ready(None);
        };
        let frame = Pin::new(&mut *incoming).poll_frame(cx);
        progress.wanted.store(frame.is_pending(), Ordering::Release);
        let frame = ready!(frame);
        match &frame {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                progress.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                // With a known length the engine does not ask again after the last byte.
                progress.set(if incoming.is_end_stream() {
                    DONE
                } else {
                    BEGUN
                });
            }
            Some(Err(_)) => progress.set(FAILED),
            None => progress.set(DONE),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Absent => true,
            Self::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Absent => SizeHint::with_exact(0),
            Self::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// A response body on its way to a client.
#[derive(Debug)]
pub(super) enum ResponseBody {
    /// Ours, and whole.
    Page(Option<Bytes>),
    /// A frontend's. Holds the exchange: as long as bytes may come, the frontend is busy.
    Streamed {
        incoming: Incoming,
        exchange: Option<Exchange>,
        ended: bool,
    },
}

impl ResponseBody {
    pub(super) fn page(text: String) -> Self {
        Self::Page((!text.is_empty()).then(|| Bytes::from(text)))
    }

    pub(super) fn streamed(incoming: Incoming, exchange: Exchange) -> Self {
        Self::Streamed {
            incoming,
            exchange: Some(exchange),
            ended: false,
        }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match self.get_mut() {
            Self::Page(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Streamed {
                incoming, ended, ..
            } => {
                let frame = ready!(Pin::new(incoming).poll_frame(cx));
                *ended = frame.is_none();
                Poll::Ready(frame)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Page(bytes) => bytes.is_none(),
            Self::Streamed { incoming, .. } => incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Page(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, Bytes::len) as u64),
            Self::Streamed { incoming, .. } => incoming.size_hint(),
        }
    }
}

/// A body, its account, and what is to be kept for as long as it lives.
#[derive(Debug)]
pub(super) struct Held<T> {
    body: ResponseBody,
    account: Account,
    /// Where what was offered to a stream's client is noted.
    offer: Option<Arc<Offer>>,
    _held: T,
}

impl<T> Held<T> {
    pub(super) fn new(body: ResponseBody, account: Account, held: T) -> Self {
        let offer = Offer::mine();
        // A client whose window was never open is offered all of it, and asks for nothing.
        if let (Some(offer), false) = (&offer, body.is_end_stream()) {
            offer.made();
        }
        Self {
            body,
            account,
            offer,
            _held: held,
        }
    }
}

impl<T> Drop for Held<T> {
    fn drop(&mut self) {
        // With a known length nobody asks again after the last byte.
        if self.body.is_end_stream() {
            self.account.ended();
        }
    }
}

impl<T: Unpin> Body for Held<T> {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        if let Some(offer) = &this.offer {
            offer.accepted();
        }
        let frame = ready!(Pin::new(&mut this.body).poll_frame(cx));
        if let (Some(offer), Some(_)) = (&this.offer, &frame) {
            offer.made();
        }
        match &frame {
            Some(Ok(frame)) => this
                .account
                .sent(frame.data_ref().map_or(0, Bytes::len) as u64),
            Some(Err(_)) => this.account.broken(),
            None => this.account.ended(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let Self::Streamed {
            incoming,
            exchange,
            ended,
            ..
        } = self
        else {
            return;
        };
        if (*ended || incoming.is_end_stream())
            && let Some(exchange) = exchange.take()
        {
            exchange.complete();
        }
    }
}
