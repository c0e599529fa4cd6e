//! A back end that costs next to nothing: whatever it is asked, it answers 1 KiB.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

pub(super) struct Backend {
    pub(super) address: SocketAddr,
    accepting: JoinHandle<()>,
}

pub(super) const ANSWER: usize = 1 << 10;

impl Backend {
    pub(super) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let accepting = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move { drop(serve(stream).await) });
            }
        });
        Ok(Self { address, accepting })
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {ANSWER}\r\n\r\n");
    let mut answer = head.into_bytes();
    answer.resize(answer.len() + ANSWER, b'x');
    let mut bytes = Vec::with_capacity(64 << 10);
    loop {
        while let Some(length) = whole(&bytes) {
            bytes.drain(..length);
            stream.write_all(&answer).await?;
        }
        if stream.read_buf(&mut bytes).await? == 0 {
            return Ok(());
        }
    }
}

/// Bytes of the first request, once all of it is there. Proxies send lengths, never chunks, to who
/// was sent lengths.
fn whole(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = std::str::from_utf8(&bytes[..end])
        .ok()?
        .to_ascii_lowercase();
    let length = head
        .split_once("\r\ncontent-length:")
        .and_then(|(_, rest)| rest.split("\r\n").next()?.trim().parse().ok())
        .unwrap_or(0);
    (bytes.len() >= end + length).then_some(end + length)
}
