//! What one client may take. Users cannot change these yet; the edge limits of the issue on the
//! ingress at full strength will make some of them settings.

use std::time::Duration;

/// Bytes of a request head; beyond it 431.
pub(super) const HEAD_BYTES: usize = 64 << 10;
/// From a head's first byte to its last. Slower is an attack or a broken path.
pub(super) const HEAD_TIME: Duration = Duration::from_secs(10);
/// Between two pieces of a request's body, while its frontend waits for them: a phone that loses
/// its network for a moment comes back within it.
pub(super) const BODY_TIME: Duration = Duration::from_secs(30);
/// Between two pieces of a response, while they wait for the client: nginx's `send_timeout`.
pub(super) const TAKE_TIME: Duration = Duration::from_secs(60);
/// How long clients are waited for that owe something; tests wait less long.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// Between two pieces of a request's body.
    pub body: Duration,
    /// Between two pieces of a response.
    pub take: Duration,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            body: BODY_TIME,
            take: TAKE_TIME,
        }
    }
}

/// A client connection without any request: after a request as browsers and peers keep theirs,
/// so that reuse seldom meets a close.
pub(super) const CLIENT_IDLE: Duration = Duration::from_secs(75);
/// Client connections at once, over all listeners. More wait in the backlog.
pub(super) const CLIENT_CONNECTIONS: usize = 50_000;

/// HTTP/2 streams of one client at once, and the windows of each and of all.
pub(super) const STREAMS: u32 = 100;
pub(super) const STREAM_WINDOW: u32 = 64 << 10;
pub(super) const CONNECTION_WINDOW: u32 = 1 << 20;
/// Streams reset by a client before we looked at them; beyond it GOAWAY (rapid reset).
pub(super) const PENDING_RESETS: usize = 20;
/// Streams we reset ourselves because the client provoked it (MadeYouReset).
pub(super) const LOCAL_RESETS: usize = 1024;
/// Frames of one connection that are looked at before the others have their turn: small ones, which is
/// what floods are made of, take some milliseconds. The runtime counts reads, of which each may hold
/// hundreds of them.
pub(super) const FRAMES_A_TURN: u32 = 64;
/// A silent HTTP/2 client is asked whether it is alive this often, and has as long to answer.
pub(super) const PING: Duration = Duration::from_secs(20);

/// Requests in flight have this long to end, and WebSockets to last, once their frontend or this
/// process has to go: the drain time of frontends where the manifest says nothing.
pub(super) const DRAIN: Duration = Duration::from_secs(30);
/// For the last words to both sides of a WebSocket that has to end, and what they say to that.
pub(super) const FAREWELL: Duration = Duration::from_secs(2);

/// To a frontend. It is near and listens, or it is as good as gone.
pub(super) const CONNECT_TIME: Duration = Duration::from_secs(2);
/// A request that may be repeated and has waited so long is worth a look whether the frontend's
/// machine still acknowledges anything. Nearly all are answered before.
pub(super) const LATE: Duration = Duration::from_millis(500);
/// How long that machine may acknowledge nothing, before such a request is sent elsewhere: three or
/// four retransmissions. A busy machine acknowledges all the same; only one that is gone does not.
pub(super) const UNACKNOWLEDGED: Duration = Duration::from_secs(3);
/// An unused connection to a frontend. Shorter than the 5 s after which the servers of Node.js
/// and uvicorn close theirs: a request that meets a close can be lost if it is not idempotent.
pub(super) const FRONTEND_IDLE: Duration = Duration::from_secs(4);
/// Of a frontend's response, what is read before the client has taken some: bounds the head, and
/// what each of many streams of one client can hold.
pub(super) const FRONTEND_BUFFER: usize = 64 << 10;
/// What all streams of a connection to a frontend may hold together: as much as each alone, so
/// that clients who take nothing do not stop the others.
pub(super) const FRONTEND_WINDOW: u32 = STREAMS * STREAM_WINDOW;
/// Unused connections kept per frontend.
pub(super) const FRONTEND_IDLE_CONNECTIONS: usize = 256;
