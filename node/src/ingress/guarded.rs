//! A client's connection with the strict scanner before it.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::limits;
use super::stream::Stream;
use super::strict::Scanner;

/// What a client begins with when it speaks HTTP/2 without having asked (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// What a connection speaks, told by its first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Protocol {
    Http1,
    Http2,
}

/// A connection whose first bytes were read.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: Stream,
    /// Read while finding out the protocol.
    first: BytesMut,
    /// None when this is not HTTP/1.1.
    scanner: Option<Scanner>,
    objected: bool,
    /// When a head that has begun must be whole. Most heads come in one read and need none.
    head_until: Option<Pin<Box<Sleep>>>,
}

impl Guarded {
    /// Reads until the protocol is clear. None when the client said nothing and left.
    pub(super) async fn begin(mut stream: Stream) -> io::Result<Option<(Self, Protocol)>> {
        let mut first = BytesMut::with_capacity(4 << 10);
        let protocol = loop {
            if stream.read_buf(&mut first).await? == 0 {
                return Ok(None);
            }
            let known = first.len().min(PREFACE.len());
            if first[..known] != PREFACE[..known] {
                break Protocol::Http1;
            }
            if known == PREFACE.len() {
                break Protocol::Http2;
            }
        };
        let scanner = (protocol == Protocol::Http1).then(Scanner::default);
        let guarded = Self {
            stream,
            first,
            scanner,
            objected: false,
            head_until: None,
        };
        Ok(Some((guarded, protocol)))
    }

    fn read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let step = self.first.len().min(into.remaining());
        into.put_slice(&self.first[..step]);
        self.first.advance(step);
        if self.first.is_empty() {
            self.first = BytesMut::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Shows what was read to the scanner. What it objects to is replaced by a NUL, which is
    /// part of no request: the engine answers 400, or breaks the body off, and closes.
    fn scan(&mut self, into: &mut ReadBuf<'_>, before: usize) {
        let Some(scanner) = &mut self.scanner else {
            return;
        };
        let read = &mut into.filled_mut()[before..];
        if let Err(objection) = scanner.scan(read) {
            tracing::debug!(fault = %objection.fault, "refused a request");
            read[objection.at] = 0;
            into.set_filled(before + objection.at + 1);
            self.objected = true;
        }
        if !scanner.within_head() {
            self.head_until = None;
        }
    }

    fn head_timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        if !self.scanner.as_ref().is_some_and(Scanner::within_head) {
            return false;
        }
        let until = self.head_until.get_or_insert_with(|| {
            Box::pin(tokio::time::sleep_until(Instant::now() + limits::HEAD_TIME))
        });
        until.as_mut().poll(cx).is_ready()
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.objected {
            return Poll::Ready(Ok(()));
        }
        let before = into.filled().len();
        match this.read(cx, into) {
            Poll::Ready(Ok(())) => {
                this.scan(into, before);
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.head_timed_out(cx) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            other => other,
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
