//! A client that says exactly what it is told to.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::world::PATIENCE;

pub(super) struct Raw {
    pub(super) stream: TcpStream,
    read: Vec<u8>,
}

#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    /// Lower case, one line each, without the status line.
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Reply {
    pub(super) fn text(self) -> String {
        String::from_utf8(self.body).unwrap()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines
            .filter(|(given, _)| *given == name)
            .map(|(_, value)| value)
            .next()
    }
}

impl Raw {
    pub(super) async fn connect(address: SocketAddr) -> Self {
        let stream = tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await;
        Self {
            stream: stream.expect("connects").unwrap(),
            read: Vec::new(),
        }
    }

    pub(super) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(super) async fn get(&mut self, host: &str, path: &str) {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await;
    }

    /// The next response, with its body.
    pub(super) async fn response(&mut self) -> Reply {
        self.response_or_end().await.expect("a response")
    }

    /// The next response that is not an interim one; of an answer to HEAD only the head.
    pub(super) async fn final_response(&mut self, head_only: bool) -> Option<Reply> {
        loop {
            let reply = self.head().await?;
            match reply.status {
                100 | 102 | 103 => {}
                _ if head_only => return Some(reply),
                _ => return Some(self.with_body(reply).await),
            }
        }
    }

    /// The next response, or None when the connection ends before it.
    pub(super) async fn response_or_end(&mut self) -> Option<Reply> {
        let reply = self.head().await?;
        Some(self.with_body(reply).await)
    }

    async fn head(&mut self) -> Option<Reply> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).unwrap();
        let (first, head) = head.split_once("\r\n").unwrap();
        let status = first.split(' ').nth(1).unwrap().parse().unwrap();
        Some(Reply {
            status,
            head: head.to_lowercase(),
            body: Vec::new(),
        })
    }

    async fn with_body(&mut self, mut reply: Reply) -> Reply {
        if let Some(length) = reply.header("content-length") {
            reply.body = self.exactly(length.parse().unwrap()).await;
        } else if reply.header("transfer-encoding").is_some() {
            while let Some(chunk) = self.chunk().await {
                reply.body.extend(chunk);
            }
        }
        reply
    }

    /// The next chunk; None for the last one, whose trailers are read and dropped.
    pub(super) async fn chunk(&mut self) -> Option<Vec<u8>> {
        let size = self.until(b"\r\n").await.expect("a chunk size");
        let size = std::str::from_utf8(&size).unwrap().trim();
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            while self.until(b"\r\n").await.expect("trailers") != b"\r\n" {}
            return None;
        }
        let chunk = self.exactly(size).await;
        assert_eq!(self.exactly(2).await, b"\r\n");
        Some(chunk)
    }

    pub(super) async fn exactly(&mut self, count: usize) -> Vec<u8> {
        while self.read.len() < count {
            assert!(self.fill().await, "the connection ended");
        }
        self.read.drain(..count).collect()
    }

    /// Whether the other side has ended the connection, everything read before it being ignored.
    pub(super) async fn ends(&mut self) {
        while self.fill().await {}
    }

    pub(super) async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self
                .read
                .windows(end.len())
                .position(|window| window == end)
            {
                return Some(self.read.drain(..at + end.len()).collect());
            }
            if !self.fill().await {
                return None;
            }
        }
    }

    /// Reads some more; false at the end.
    async fn fill(&mut self) -> bool {
        let read = self.stream.read_buf(&mut self.read);
        let read = tokio::time::timeout(PATIENCE, read)
            .await
            .expect("neither bytes nor an end");
        // A reset is an end too: the ingress may cut a connection with unread bytes.
        read.unwrap_or(0) > 0
    }
}
