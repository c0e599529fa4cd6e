//! A back end that counts every byte it is sent, and reads it as strictly as it can.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

/// Answers every whole request with its method and target, and remembers it.
pub(super) struct Ledger {
    pub(super) address: SocketAddr,
    book: Arc<Mutex<Book>>,
    _accepting: AbortOnDropHandle<()>,
}

/// What was received.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// Method and target of every request that was there from its first byte to its last.
    pub(super) requests: Vec<String>,
    /// Bytes that belong to no request.
    pub(super) strays: Vec<String>,
    pub(super) bytes: usize,
}

/// A request at the beginning of some bytes.
enum Read {
    Whole {
        line: String,
        length: usize,
    },
    Unfinished,
    /// Not a request, or one with two readings.
    Stray,
}

impl Ledger {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let book = Arc::<Mutex<Book>>::default();
        let shared = Arc::clone(&book);
        let accepting = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            book,
            _accepting: AbortOnDropHandle::new(accepting),
        }
    }

    /// What was received since the last call.
    pub(super) fn take(&self) -> Book {
        std::mem::take(&mut self.book.lock().unwrap())
    }
}

async fn serve(mut stream: TcpStream, book: Arc<Mutex<Book>>) {
    let mut bytes = Vec::new();
    loop {
        let count = stream.read_buf(&mut bytes).await.unwrap_or(0);
        book.lock().unwrap().bytes += count;
        if count == 0 {
            return;
        }
        loop {
            let line = match read(&bytes) {
                Read::Unfinished => break,
                Read::Whole { line, length } => {
                    bytes.drain(..length);
                    line
                }
                Read::Stray => {
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    book.lock().unwrap().strays.push(text);
                    return;
                }
            };
            let length = line.len();
            let body = if line.starts_with("HEAD ") { "" } else { &line };
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
            book.lock().unwrap().requests.push(line.clone());
            if stream.write_all(answer.as_bytes()).await.is_err() {
                return;
            }
        }
    }
}

fn read(bytes: &[u8]) -> Read {
    let Some(end) = find(bytes, b"\r\n\r\n") else {
        return Read::Unfinished;
    };
    let Ok(head) = std::str::from_utf8(&bytes[..end]) else {
        return Read::Stray;
    };
    let mut lines = head.split("\r\n");
    let words: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let [method, target, "HTTP/1.1"] = words[..] else {
        return Read::Stray;
    };
    let (mut lengths, mut chunked, mut hosts) = (Vec::new(), 0, 0);
    for line in lines {
        let Some((name, value)) = line.split_once(": ") else {
            return Read::Stray;
        };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => lengths.push(value.parse::<usize>()),
            "transfer-encoding" if value == "chunked" => chunked += 1,
            "transfer-encoding" => return Read::Stray,
            "host" => hosts += 1,
            _ => {}
        }
    }
    let after = &bytes[end + 4..];
    let body = match (lengths.as_slice(), chunked) {
        ([], 0) => Some(0),
        ([Ok(length)], 0) => (after.len() >= *length).then_some(*length),
        ([], 1) => match chunks(after) {
            Ok(length) => length,
            Err(()) => return Read::Stray,
        },
        _ => return Read::Stray,
    };
    match body {
        _ if hosts != 1 => Read::Stray,
        None => Read::Unfinished,
        Some(body) => Read::Whole {
            line: format!("{method} {target}"),
            length: end + 4 + body,
        },
    }
}

/// Bytes of a chunked body with its trailers; None when it has not ended.
fn chunks(bytes: &[u8]) -> Result<Option<usize>, ()> {
    let mut at = 0;
    loop {
        let Some(end) = find(&bytes[at..], b"\r\n") else {
            return Ok(None);
        };
        let size = std::str::from_utf8(&bytes[at..at + end]).map_err(|_| ())?;
        let size = usize::from_str_radix(size, 16).map_err(|_| ())?;
        at += end + 2;
        if size == 0 {
            // Trailers, up to an empty line.
            while let Some(end) = find(&bytes[at..], b"\r\n") {
                at += end + 2;
                if end == 0 {
                    return Ok(Some(at));
                }
            }
            return Ok(None);
        }
        let Some(after) = bytes.get(at + size..at + size + 2) else {
            return Ok(None);
        };
        if after != b"\r\n" {
            return Err(());
        }
        at += size + 2;
    }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
