//! Shows the page to whoever asks, at an address of its own.
//!
//! Nothing is asked of who asks: whoever reaches the address reads. So the settings have none by
//! default, and say who reaches it (docs/operating.md).

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE as CONTENT_TYPE_HEADER, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Where the page is.
pub const PATH: &str = "/metrics";

/// What the page says of itself.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Between attempts to bind: a process that is being replaced lets go of the address when it drains.
const AGAIN: Duration = Duration::from_millis(200);
/// For a request, and for its answer to be taken.
const TIME: Duration = Duration::from_secs(10);
/// Connections at once: collectors are few, and each costs a page.
const AT_ONCE: usize = 8;

/// Shows what `page` writes at `address`, for as long as it is polled. An address that cannot be bound
/// is said, and tried again: figures are never a reason for a process to end.
pub async fn serve(address: SocketAddr, page: impl Fn() -> String + Send + Sync + 'static) {
    let page = Arc::new(page);
    let listener = bound(address).await;
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, _)) => {
                let page = Arc::clone(&page);
                connections.spawn(async move {
                    // Who leaves early has no figures, and that is all.
                    let _ = tokio::time::timeout(TIME, show(stream, page.as_ref())).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "accepting a connection for metrics failed");
                tokio::time::sleep(AGAIN).await;
            }
        }
    }
}

async fn bound(address: SocketAddr) -> TcpListener {
    let mut said = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => {
                tracing::info!(%address, "metrics are shown");
                return listener;
            }
            Err(error) if !std::mem::replace(&mut said, true) => {
                tracing::warn!(%address, %error, "metrics cannot be shown yet");
            }
            Err(_) => {}
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// One request on a connection; the next one makes another.
async fn show(stream: TcpStream, page: &impl Fn() -> String) -> io::Result<()> {
    let service = service_fn(|request: Request<Incoming>| {
        std::future::ready(Ok::<_, Infallible>(answer(&request, page)))
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service)
        .await
        .map_err(io::Error::other)
}

fn answer<B>(request: &Request<B>, page: &impl Fn() -> String) -> Response<Full<Bytes>> {
    let (status, text) = match (request.method(), request.uri().path()) {
        (&Method::GET | &Method::HEAD, PATH) => (StatusCode::OK, page()),
        (_, PATH) => (StatusCode::METHOD_NOT_ALLOWED, String::new()),
        _ => (StatusCode::NOT_FOUND, format!("Figures are at {PATH}.\n")),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(CONTENT_TYPE);
    response.headers_mut().insert(CONTENT_TYPE_HEADER, kind);
    response
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    async fn ask(address: SocketAddr, line: &str) -> String {
        let asked = async {
            loop {
                // It may not be bound yet.
                let Ok(mut stream) = TcpStream::connect(address).await else {
                    tokio::task::yield_now().await;
                    continue;
                };
                let request = format!("{line} HTTP/1.1\r\nHost: x\r\n\r\n");
                stream.write_all(request.as_bytes()).await.unwrap();
                let mut text = String::new();
                stream.read_to_string(&mut text).await.unwrap();
                return text;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), asked)
            .await
            .expect("an answer")
    }

    #[tokio::test]
    async fn the_page_is_at_one_path_and_read_only() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let served = tokio::spawn(serve(address, || "a 1\n".to_owned()));
        // Somebody else has the address, and lets go of it.
        tokio::task::yield_now().await;
        drop(taken);
        let page = ask(address, "GET /metrics").await;
        assert!(page.starts_with("HTTP/1.1 200 OK\r\n"), "{page}");
        assert!(page.contains(CONTENT_TYPE), "{page}");
        assert!(page.ends_with("\r\n\r\na 1\n"), "{page}");
        let elsewhere = ask(address, "GET /").await;
        assert!(elsewhere.starts_with("HTTP/1.1 404"), "{elsewhere}");
        let posted = ask(address, "POST /metrics").await;
        assert!(posted.starts_with("HTTP/1.1 405"), "{posted}");
        served.abort();
    }
}
