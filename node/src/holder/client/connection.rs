//! One connection: a task that reads, a task that writes, and calls that wait for their answers.

use std::{
    collections::{HashMap, VecDeque},
    io,
    os::fd::OwnedFd,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use fleet_proto::internal::{self as pb, holder_call as ask, holder_reply as answer};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
use tokio::{
    io::{Interest, unix::AsyncFd},
    sync::{mpsc, oneshot},
};

use super::{
    super::{
        convert,
        spec::ProcessEvent,
        wire::{self, Joiner, PACKET},
    },
    Error, envelope,
};

/// Events a subscriber may leave unread before its stream is ended.
const UNREAD_EVENTS: usize = 4096;

/// Requests that may wait for the socket.
const UNSENT_CALLS: usize = 256;

/// A cheap handle. The receiver of its events lives in the handles until a subscriber takes it;
/// the connection closes when that receiver is gone.
#[derive(Clone)]
pub(super) struct Connection {
    calls: mpsc::Sender<VecDeque<Vec<u8>>>,
    waiting: Arc<Mutex<Waiting>>,
    events: Arc<Mutex<Option<mpsc::Receiver<ProcessEvent>>>>,
}

/// The calls under way. `None` once the connection is lost, so that no call can begin to wait
/// after the reader has told everybody.
struct Waiting {
    next: u64,
    calls: Option<HashMap<u64, oneshot::Sender<answer::Result>>>,
}

impl Connection {
    pub(super) fn open(run_dir: &Path) -> io::Result<Self> {
        let (_dir, address) = wire::address(run_dir)?;
        let socket = rustix::net::socket_with(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            None,
        )?;
        rustix::net::connect(&socket, &address)?;
        let socket = Arc::new(register(socket)?);
        let waiting = Arc::new(Mutex::new(Waiting {
            next: 1,
            calls: Some(HashMap::new()),
        }));
        let (calls, unsent) = mpsc::channel(UNSENT_CALLS);
        let (event_sender, events) = mpsc::channel(UNREAD_EVENTS);
        tokio::spawn(write(socket.clone(), unsent));
        tokio::spawn(read(socket, waiting.clone(), event_sender));
        Ok(Self {
            calls,
            waiting,
            events: Arc::new(Mutex::new(Some(events))),
        })
    }

    pub(super) fn is_closed(&self) -> bool {
        lock(&self.waiting).calls.is_none()
    }

    /// The events of this connection; they begin after a Watch.
    pub(super) fn take_events(&mut self) -> mpsc::Receiver<ProcessEvent> {
        let events = lock(&self.events).take();
        events.unwrap_or_else(|| mpsc::channel(1).1)
    }

    pub(super) async fn call(
        &self,
        request: ask::Request,
        within: Duration,
    ) -> Result<answer::Result, Error> {
        let (sender, receiver) = oneshot::channel();
        let call = {
            let mut waiting = lock(&self.waiting);
            let call = waiting.next;
            waiting.next += 1;
            waiting
                .calls
                .as_mut()
                .ok_or(Error::Disconnected)?
                .insert(call, sender);
            call
        };
        let packets = wire::packets(&envelope(call, request));
        let answered = async {
            self.calls
                .send(packets)
                .await
                .map_err(|_| Error::Disconnected)?;
            receiver.await.map_err(|_| Error::Disconnected)
        };
        let answered = tokio::time::timeout(within, answered).await;
        if let Some(calls) = lock(&self.waiting).calls.as_mut() {
            calls.remove(&call);
        }
        answered.unwrap_or(Err(Error::TimedOut(within)))
    }
}

#[expect(
    deprecated,
    reason = "unsound only for types that change their descriptor; OwnedFd does not"
)]
fn register(socket: OwnedFd) -> io::Result<AsyncFd<OwnedFd>> {
    AsyncFd::with_interest(socket, Interest::READABLE | Interest::WRITABLE)
}

/// Sends until the last handle is gone or the holder is.
async fn write(socket: Arc<AsyncFd<OwnedFd>>, mut unsent: mpsc::Receiver<VecDeque<Vec<u8>>>) {
    while let Some(packets) = unsent.recv().await {
        for packet in packets {
            let sent = socket
                .async_io(Interest::WRITABLE, |socket| {
                    Ok(rustix::net::send(socket, &packet, SendFlags::NOSIGNAL)?)
                })
                .await;
            if sent.is_err() {
                // The reader sees the end of the connection and tells everybody.
                return;
            }
        }
    }
}

async fn read(
    socket: Arc<AsyncFd<OwnedFd>>,
    waiting: Arc<Mutex<Waiting>>,
    events: mpsc::Sender<ProcessEvent>,
) {
    let mut joiner = Joiner::default();
    let mut packet = vec![0; PACKET];
    'connected: loop {
        let receive = socket.async_io(Interest::READABLE, |socket| {
            Ok(rustix::net::recv(socket, &mut packet[..], RecvFlags::empty())?.0)
        });
        let received = tokio::select! {
            received = receive => received,
            () = events.closed() => break,
        };
        let Ok(length @ 1..) = received else { break };
        joiner.push(&packet[..length]);
        loop {
            match joiner.next::<pb::HolderFrame>() {
                Ok(Some(frame)) => {
                    if !deliver(frame, &waiting, &events) {
                        break 'connected;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    tracing::warn!(%error, "holder sent something that is no message");
                    break 'connected;
                }
            }
        }
    }
    // Dropping the senders wakes every caller with Disconnected.
    lock(&waiting).calls = None;
}

/// Hands a frame to whom it is for; false when the connection is of no more use.
fn deliver(
    frame: pb::HolderFrame,
    waiting: &Mutex<Waiting>,
    events: &mpsc::Sender<ProcessEvent>,
) -> bool {
    match frame.frame {
        Some(pb::holder_frame::Frame::Reply(reply)) => {
            let caller = lock(waiting)
                .calls
                .as_mut()
                .and_then(|calls| calls.remove(&reply.call));
            if let (Some(caller), Some(result)) = (caller, reply.result) {
                // A caller that gave up does not mind.
                let _ = caller.send(result);
            }
            true
        }
        Some(pb::holder_frame::Frame::Event(event)) => match convert::event_from_wire(event) {
            // A full channel ends the stream: events are never dropped silently.
            Ok(event) => events.try_send(event).is_ok(),
            Err(error) => {
                tracing::warn!(%error, "holder sent an event that means nothing");
                true
            }
        },
        None => true,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
