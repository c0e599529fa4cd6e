//! A client's connection with a scanner before it, and an eye on whether the client takes what it
//! is sent.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::frames::{self, Frames};
use super::limits;
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
pub(super) struct Guarded<S> {
    stream: S,
    /// To be read before anything else: what was read while finding out the protocol, or what the
    /// engine is told in place of what was objected to.
    first: Bytes,
    scanner: Eye,
    objected: bool,
    /// When a head that has begun must be whole. Most heads come in one read and need none.
    head_until: Deadline,
    /// When some of what waits to be written must have been taken.
    taken_until: Deadline,
    take_time: Duration,
    begun: Instant,
    written: Arc<AtomicU64>,
    /// Of `written`, what the scanner has heard of.
    told: u64,
    /// Frames of HTTP/2 that the engine was given since it last had to wait.
    turn: u32,
}

#[derive(Debug)]
enum Eye {
    Http1(Scanner),
    Http2(Frames),
}

/// A timer that is made when it is first needed.
#[derive(Debug, Default)]
struct Deadline(Option<Pin<Box<Sleep>>>);

impl<S: AsyncRead + AsyncWrite + Unpin> Guarded<S> {
    /// Reads until the protocol is clear; `take_time` is what a client has to take something. None when the client said nothing and left.
    pub(super) async fn begin(
        mut stream: S,
        take_time: Duration,
    ) -> io::Result<Option<(Self, Protocol)>> {
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
        let scanner = match protocol {
            Protocol::Http1 => Eye::Http1(Scanner::default()),
            Protocol::Http2 => Eye::Http2(Frames::new(PREFACE.len(), 0)),
        };
        let guarded = Self {
            stream,
            first: first.freeze(),
            scanner,
            objected: false,
            head_until: Deadline::default(),
            taken_until: Deadline::default(),
            take_time,
            begun: Instant::now(),
            written: Arc::default(),
            told: 0,
            turn: 0,
        };
        Ok(Some((guarded, protocol)))
    }

    /// Bytes that the client's side has taken so far, as the kernel sees it.
    pub(super) fn written(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.written)
    }

    fn read(&mut self, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.first.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, into);
        }
        let step = self.first.len().min(into.remaining());
        into.put_slice(&self.first[..step]);
        self.first.advance(step);
        if self.first.is_empty() {
            self.first = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }

    /// Shows what was read to the scanner.
    fn scan(&mut self, into: &mut ReadBuf<'_>, before: usize) {
        let read = &mut into.filled_mut()[before..];
        match &mut self.scanner {
            // What it objects to is replaced by a NUL, which is part of no request: the engine
            // answers 400, or breaks the body off, and closes.
            Eye::Http1(scanner) => {
                if let Err(objection) = scanner.scan(read) {
                    tracing::debug!(fault = %objection.fault, "refused a request");
                    read[objection.at] = 0;
                    into.set_filled(before + objection.at + 1);
                    self.first = Bytes::new();
                    self.objected = true;
                }
                if !scanner.within_head() {
                    self.head_until.lift();
                }
            }
            // From there the engine hears of frames that make it end the connection.
            Eye::Http2(frames) => {
                let now_ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                let written = self.written.load(Ordering::Relaxed);
                let news = written - self.told;
                self.told = written;
                let verdict = frames.scan(read, news, now_ms);
                self.turn += frames.take_begun();
                if let Err(too_much) = verdict {
                    tracing::debug!("a client keeps us busy without asking for anything");
                    into.set_filled(before + too_much.at);
                    self.first = frames::calming().into();
                    self.objected = true;
                }
            }
        }
    }

    fn head_timed_out(&mut self, cx: &mut Context<'_>) -> bool {
        let within_head = match &self.scanner {
            Eye::Http1(scanner) => scanner.within_head(),
            Eye::Http2(_) => false,
        };
        within_head && self.head_until.passed(limits::HEAD_TIME, cx)
    }

    /// Counts what was written, and gives up a client that has taken nothing for long.
    fn taken(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        match written {
            Poll::Ready(Ok(count)) => {
                self.written.fetch_add(count as u64, Ordering::Relaxed);
                self.taken_until.lift();
            }
            Poll::Pending if self.taken_until.passed(self.take_time, cx) => {
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            _ => {}
        }
        written
    }
}

impl Deadline {
    /// Whether it has passed; it begins with the first question.
    fn passed(&mut self, patience: Duration, cx: &mut Context<'_>) -> bool {
        let begin = || Box::pin(tokio::time::sleep_until(Instant::now() + patience));
        self.0
            .get_or_insert_with(begin)
            .as_mut()
            .poll(cx)
            .is_ready()
    }

    fn lift(&mut self) {
        self.0 = None;
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.objected {
            return match this.first.is_empty() {
                true => Poll::Ready(Ok(())),
                false => this.read(cx, into),
            };
        }
        if this.turn >= limits::FRAMES_A_TURN {
            this.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let before = into.filled().len();
        match this.read(cx, into) {
            Poll::Ready(Ok(())) => {
                if into.filled().len() > before {
                    this.scan(into, before);
                }
                // Nothing read would mean the end, and there is something to be said first.
                if this.objected && into.filled().len() == before {
                    return this.read(cx, into);
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending if this.head_timed_out(cx) => {
                Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
            }
            other => {
                this.turn = 0;
                other
            }
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.taken(written, cx)
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
        let this = self.get_mut();
        let written = Pin::new(&mut this.stream).poll_write_vectored(cx, bytes);
        this.taken(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test]
    async fn a_client_that_takes_nothing_is_given_up_and_a_slow_one_is_not() {
        const TAKE_TIME: Duration = Duration::from_secs(2);
        let (mut client, server) = tokio::io::duplex(1 << 10);
        client.write_all(b"GET").await.unwrap();
        let begun = Guarded::begin(server, TAKE_TIME).await.unwrap();
        let (mut guarded, _) = begun.unwrap();
        let writing = tokio::spawn(async move { guarded.write_all(&[7; 64 << 10]).await });
        // Slowly, and for longer than a client may take nothing.
        let mut pace = tokio::time::interval(TAKE_TIME / 20);
        let began = Instant::now();
        while began.elapsed() < 2 * TAKE_TIME {
            pace.tick().await;
            client.read_exact(&mut [0; 64]).await.unwrap();
            assert!(
                !writing.is_finished(),
                "given up while it still takes something"
            );
        }
        let given_up = writing.await.unwrap().unwrap_err();
        assert_eq!(given_up.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test]
    async fn a_flood_of_frames_lets_others_have_their_turn() {
        let (mut client, server) = tokio::io::duplex(1 << 20);
        client.write_all(PREFACE).await.unwrap();
        // Few enough to be paid for.
        let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
        client.write_all(&ping.repeat(500)).await.unwrap();
        let begun = Guarded::begin(server, limits::TAKE_TIME).await.unwrap();
        let (mut guarded, _) = begun.unwrap();
        let (mut turns, mut read) = (1, 0);
        let mut space = [0; 10 * 17];
        while read < PREFACE.len() + 500 * ping.len() {
            let step = std::future::poll_fn(|cx| {
                let mut into = ReadBuf::new(&mut space);
                let polled = Pin::new(&mut guarded).poll_read(cx, &mut into);
                Poll::Ready(polled.map_ok(|()| into.filled().len()))
            });
            match step.await {
                Poll::Ready(step) => read += step.unwrap(),
                Poll::Pending => {
                    turns += 1;
                    // Pending by its own will, so it wakes itself.
                    tokio::task::yield_now().await;
                }
            }
        }
        assert!((6..=8).contains(&turns), "{turns} turns for 500 frames");
    }
}
