//! What is sent to a contender.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context as _, Result, ensure};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::backend::ANSWER;
use super::contenders::Contender;
use super::entry::{Entry, Stream};
use crate::wait;

/// A request to one of so many hosts, with a body of so many bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request {
    pub(super) routes: usize,
    pub(super) body: usize,
}

pub(super) fn host(number: usize) -> String {
    format!("h{number}.bench.test")
}

impl Request {
    /// The hosts take turns, in steps that are not neighbours.
    fn host(self, turn: usize) -> String {
        host(turn.wrapping_mul(7_919) % self.routes)
    }

    fn bytes(self, turn: usize) -> Vec<u8> {
        let host = self.host(turn);
        let mut bytes = match self.body {
            0 => format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes(),
            length => {
                format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n\r\n")
                    .into_bytes()
            }
        };
        bytes.resize(bytes.len() + self.body, b'y');
        bytes
    }
}

/// As fast as so many connections are answered, one request after the other on each.
pub(super) async fn kept(
    entry: Entry,
    request: Request,
    connections: usize,
    requests: usize,
) -> Result<()> {
    lanes(connections, requests, move |turns| {
        let entry = entry.clone();
        async move {
            let mut stream = entry.open(&host(0), true).await?;
            let mut read = Vec::new();
            while let Some(turn) = turns.next() {
                stream.write_all(&request.bytes(turn)).await?;
                stream.flush().await?;
                answered(&mut stream, &mut read).await?;
            }
            Ok(())
        }
    })
    .await
}

/// The same, with a connection for each request.
pub(super) async fn connecting(
    entry: Entry,
    request: Request,
    at_once: usize,
    requests: usize,
) -> Result<()> {
    lanes(at_once, requests, move |turns| {
        let entry = entry.clone();
        async move {
            while let Some(turn) = turns.next() {
                let mut stream = entry.open(&request.host(turn), false).await?;
                stream.write_all(&request.bytes(turn)).await?;
                stream.flush().await?;
                answered(&mut stream, &mut Vec::new()).await?;
            }
            Ok(())
        }
    })
    .await
}

/// So many streams at once on one connection of HTTP/2.
pub(super) async fn multiplexed(
    to: SocketAddr,
    request: Request,
    streams: usize,
    requests: usize,
) -> Result<()> {
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder
        .handshake::<_, Empty<Bytes>>(TokioIo::new(connect(to).await?))
        .await?;
    let driver = tokio::spawn(connection);
    let done = lanes(streams, requests, move |turns| {
        let mut sender = sender.clone();
        async move {
            while let Some(turn) = turns.next() {
                let uri = format!("http://{}/", request.host(turn));
                let asked = hyper::Request::get(uri).body(Empty::new())?;
                let answer = sender.send_request(asked).await?;
                ensure!(answer.status() == 200, "status {}", answer.status());
                let body = answer.into_body().collect().await?.to_bytes();
                ensure!(body.len() == ANSWER, "{} bytes", body.len());
            }
            Ok(())
        }
    })
    .await;
    driver.abort();
    done
}

/// MiB that a contender holds while so many connections that were used once do nothing.
pub(super) async fn resident_with(contender: &Contender, connections: usize) -> Result<f64> {
    let request = Request { routes: 1, body: 0 };
    let mut idle = Vec::with_capacity(connections);
    for turn in 0..connections {
        let mut stream = connect(contender.http1).await?;
        stream.write_all(&request.bytes(turn)).await?;
        answered(&mut stream, &mut Vec::new()).await?;
        idle.push(stream);
    }
    let resident = contender.resident_mib()?;
    drop(idle);
    Ok(resident)
}

/// Numbers of requests, handed out until there are none left.
#[derive(Clone)]
struct Turns(Arc<AtomicUsize>, usize);

impl Turns {
    fn next(&self) -> Option<usize> {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        (turn < self.1).then_some(turn)
    }
}

async fn lanes<F>(count: usize, requests: usize, lane: impl Fn(Turns) -> F) -> Result<()>
where
    F: Future<Output = Result<()>> + Send + 'static,
{
    let turns = Turns(Arc::default(), requests);
    let mut lanes = JoinSet::new();
    for _ in 0..count {
        lanes.spawn(lane(turns.clone()));
    }
    while let Some(ended) = lanes.join_next().await {
        ended.context("a lane panicked")??;
    }
    Ok(())
}

async fn connect(to: SocketAddr) -> Result<TcpStream> {
    let stream = tokio::time::timeout(wait::GENEROUS, TcpStream::connect(to)).await??;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Reads one answer of the back end, whatever heads the proxy put before it.
async fn answered(stream: &mut (impl Stream + ?Sized), read: &mut Vec<u8>) -> Result<()> {
    read.clear();
    let mut length = None;
    while length.is_none_or(|length| read.len() < length) {
        let count = tokio::time::timeout(wait::GENEROUS, stream.read_buf(read)).await??;
        ensure!(count > 0, "the connection ended within an answer");
        if length.is_none() {
            let end = read.windows(4).position(|window| window == b"\r\n\r\n");
            if let Some(end) = end {
                let status = read.get(9..12).unwrap_or_default();
                ensure!(
                    status == b"200",
                    "{}",
                    String::from_utf8_lossy(&read[..end])
                );
                length = Some(end + 4 + ANSWER);
            }
        }
    }
    Ok(())
}
