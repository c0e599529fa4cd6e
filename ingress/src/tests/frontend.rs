//! A frontend that does what a path says, and remembers what it was asked.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use fleet_proto::internal::backend::Protocol;
use futures::StreamExt as _;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use super::world::PATIENCE;

/// Answers its own id. Paths: `/held` waits until `release`; `/echo` sends the body back as it
/// comes; `/events` sends one event, and another after `release`; `/early` answers before it reads; `/break` cuts the connection; `/upgrade`
/// echoes in whatever protocol.
pub(super) struct Frontend {
    pub(super) id: u64,
    pub(super) address: SocketAddr,
    pub(super) protocol: Protocol,
    inner: Arc<Inner>,
    accepting: Option<AbortOnDropHandle<()>>,
}

struct Inner {
    id: u64,
    seen: Mutex<Vec<Seen>>,
    connections: Mutex<u64>,
    news: watch::Sender<usize>,
    released: watch::Sender<bool>,
    killed: CancellationToken,
    tasks: TaskTracker,
}

/// A request as it arrived.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) line: String,
    pub(super) headers: HeaderMap,
}

impl Frontend {
    pub(super) async fn start(id: u64) -> Self {
        Self::speaking(id, Protocol::Http1).await
    }

    pub(super) async fn speaking(id: u64, protocol: Protocol) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            id,
            seen: Mutex::default(),
            connections: Mutex::new(0),
            news: watch::Sender::new(0),
            released: watch::Sender::new(false),
            killed: CancellationToken::new(),
            tasks: TaskTracker::new(),
        });
        let accepting = tokio::spawn(accept(listener, protocol, Arc::clone(&inner)));
        let accepting = Some(AbortOnDropHandle::new(accepting));
        Self {
            id,
            address,
            protocol,
            inner,
            accepting,
        }
    }

    pub(super) fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    pub(super) fn connections(&self) -> u64 {
        *self.inner.connections.lock().unwrap()
    }

    /// Waits until `count` requests have come.
    pub(super) async fn asked(&self, count: usize) {
        let mut news = self.inner.news.subscribe();
        let asked = news.wait_for(|seen| *seen >= count);
        tokio::time::timeout(PATIENCE, asked)
            .await
            .expect("requests")
            .unwrap();
    }

    /// Lets `/held` requests be answered, those to come too.
    pub(super) fn release(&self) {
        self.inner.released.send_replace(true);
    }

    /// What kill -9 does: connections cut, port closed.
    pub(super) async fn kill(&mut self) {
        if let Some(accepting) = self.accepting.take() {
            accepting.abort();
            let _ = accepting.await;
        }
        self.inner.killed.cancel();
        self.inner.tasks.close();
        self.inner.tasks.wait().await;
    }
}

async fn accept(listener: TcpListener, protocol: Protocol, inner: Arc<Inner>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        *inner.connections.lock().unwrap() += 1;
        let shared = Arc::clone(&inner);
        let service = service_fn(move |request| answer(Arc::clone(&shared), request));
        let killed = inner.killed.clone();
        let io = TokioIo::new(stream);
        inner.tasks.spawn(async move {
            let connection = async {
                match protocol {
                    Protocol::Http1 => {
                        let builder = hyper::server::conn::http1::Builder::new();
                        let connection = builder.serve_connection(io, service);
                        drop(connection.with_upgrades().await);
                    }
                    Protocol::Http2 => {
                        let builder =
                            hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                        drop(builder.serve_connection(io, service).await);
                    }
                }
            };
            tokio::select! {
                () = connection => {}
                () = killed.cancelled() => {}
            }
        });
    }
}

async fn answer(
    inner: Arc<Inner>,
    mut request: Request<Incoming>,
) -> Result<Response<BoxBody<Bytes, hyper::Error>>, std::io::Error> {
    let path = request
        .uri()
        .path_and_query()
        .map_or("", |path| path.as_str());
    let line = format!("{} {path}", request.method());
    let headers = request.headers().clone();
    {
        let mut seen = inner.seen.lock().unwrap();
        seen.push(Seen { line, headers });
        inner.news.send_replace(seen.len());
    }
    let text = |text: String| {
        Full::from(text)
            .map_err(|never: Infallible| match never {})
            .boxed()
    };
    match request.uri().path() {
        "/held" => {
            let mut released = inner.released.subscribe();
            let _ = released.wait_for(|released| *released).await;
        }
        "/events" => {
            let mut released = inner.released.subscribe();
            let first = futures::stream::once(async { "data: one\n\n" });
            let second = futures::stream::once(async move {
                let _ = released.wait_for(|released| *released).await;
                "data: two\n\n"
            });
            let events = first.chain(second);
            let events = events.map(|event| Ok(Frame::data(Bytes::from_static(event.as_bytes()))));
            let response = Response::builder().header("content-type", "text/event-stream");
            return Ok(response
                .body(BodyExt::boxed(StreamBody::new(events)))
                .unwrap());
        }
        "/echo" => return Ok(Response::new(request.into_body().boxed())),
        "/break" => return Err(std::io::ErrorKind::ConnectionReset.into()),
        "/count" => {
            let body = request
                .into_body()
                .collect()
                .await
                .map_err(std::io::Error::other)?;
            let trailers = body.trailers().cloned().unwrap_or_default();
            let bytes = body.to_bytes().len();
            return Ok(Response::new(text(format!("{bytes} {}", trailers.len()))));
        }
        "/upgrade" => {
            let wanted = request.headers()["upgrade"].clone();
            let upgrade = hyper::upgrade::on(&mut request);
            let killed = inner.killed.clone();
            inner.tasks.spawn(async move {
                let Ok(upgraded) = upgrade.await else { return };
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
                tokio::select! {
                    _ = tokio::io::copy(&mut read, &mut write) => {}
                    () = killed.cancelled() => {}
                }
            });
            let response = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", wanted)
                .header("sec-websocket-accept", "yes");
            return Ok(response.body(text(String::new())).unwrap());
        }
        _ => {}
    }
    Ok(Response::new(text(inner.id.to_string())))
}
