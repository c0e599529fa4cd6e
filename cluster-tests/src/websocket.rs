//! A client of a WebSocket (RFC 6455) that says short texts and hears short answers.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, bail, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::wait;

/// An open one.
#[derive(Debug)]
pub struct WebSocket {
    stream: TcpStream,
}

/// What the other side said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Heard {
    Text(String),
    /// It closes, with this code, if it said one.
    Closed(Option<u16>),
    /// The connection ended without a word.
    Ended,
}

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

impl WebSocket {
    /// Opens one at a page of a host.
    ///
    /// # Errors
    /// When there is no connection, or no upgrade.
    pub async fn open(ingress: SocketAddr, host: &str, path: &str) -> Result<Self> {
        let mut stream = TcpStream::connect(ingress).await.context("connecting")?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream
            .write_all(request.as_bytes())
            .await
            .context("asking")?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let byte = tokio::time::timeout(wait::GENEROUS, stream.read_u8()).await;
            head.push(byte.context("no answer")?.context("reading the answer")?);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        ensure!(head.starts_with("http/1.1 101"), "no upgrade: {head}");
        // That of the key above, as the RFC has it.
        ensure!(
            head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="),
            "not this upgrade: {head}"
        );
        Ok(Self { stream })
    }

    /// Says a text of at most 125 bytes.
    pub async fn say(&mut self, text: &str) -> Result<()> {
        self.send(TEXT, text.as_bytes()).await
    }

    /// The next text or end. To a close it answers in kind.
    pub async fn hear(&mut self) -> Result<Heard> {
        let mut head = [0; 2];
        match self.stream.read_exact(&mut head).await {
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                return Ok(Heard::Ended);
            }
            Err(error) => return Err(error).context("reading a frame"),
        }
        ensure!(head[1] < 126, "a frame as none was asked for: {head:?}");
        let mut payload = vec![0; usize::from(head[1])];
        self.stream.read_exact(&mut payload).await?;
        match head[0] {
            TEXT => Ok(Heard::Text(String::from_utf8(payload)?)),
            CLOSE => {
                // It may have gone already.
                drop(self.send(CLOSE, &payload).await);
                let code = payload.first_chunk().copied().map(u16::from_be_bytes);
                Ok(Heard::Closed(code))
            }
            other => bail!("a frame that begins with {other:#x}"),
        }
    }

    async fn send(&mut self, kind: u8, payload: &[u8]) -> Result<()> {
        let length = u8::try_from(payload.len())
            .ok()
            .filter(|length| *length < 126);
        let length = length.context("too long a frame")?;
        // A mask of zeros leaves everything as it is; nothing here caches what it forwards.
        let mut frame = vec![kind, 0x80 | length, 0, 0, 0, 0];
        frame.extend(payload);
        Ok(self.stream.write_all(&frame).await?)
    }
}
