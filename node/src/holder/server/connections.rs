//! The clients: what they send, what they are sent, and who wants events.

use std::{
    collections::{BTreeMap, VecDeque},
    fs, io,
    os::fd::OwnedFd,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    time::{Duration, Instant},
};

use fleet_proto::internal::{
    HolderCall, HolderFrame, HolderReply, holder_frame, holder_reply as answer,
};
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};

use super::super::{
    convert,
    poll::{Poll, Source, Token},
    process::Caller,
    table::Notice,
    wire::{self, Joiner, PACKET},
};

/// Unsent packets (at most 64 KiB each) at which a client that does not read is dropped.
const MOST_UNSENT: usize = 1024;

/// Clients at once: one agent, a few tools.
const MOST_CONNECTIONS: usize = 64;

/// How long the last answers may take to be sent when the holder ends.
const FAREWELL: Duration = Duration::from_secs(1);

#[derive(Default)]
pub(super) struct Connections {
    listener: Option<OwnedFd>,
    open: BTreeMap<u64, Connection>,
    next: u64,
}

struct Connection {
    fd: OwnedFd,
    token: Token,
    joiner: Joiner,
    unsent: VecDeque<Vec<u8>>,
    watches: bool,
}

impl Connections {
    /// Opens the socket, which only our own user may connect to.
    pub(super) fn listen(&mut self, run_dir: &Path, poll: &mut Poll) -> io::Result<()> {
        let path = run_dir.join(wire::SOCKET);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let (_dir, address) = wire::address(run_dir)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let fd = rustix::net::socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        rustix::net::bind(&fd, &address)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?;
        rustix::net::listen(&fd, 64)?;
        poll.watch(&fd, Source::Accept)?;
        self.listener = Some(fd);
        Ok(())
    }

    pub(super) fn accept(&mut self, poll: &mut Poll) {
        let Some(listener) = &self.listener else {
            return;
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        while let Ok(fd) = rustix::net::accept_with(listener, flags) {
            if self.open.len() >= MOST_CONNECTIONS || !is_trusted(&fd) {
                continue;
            }
            let number = self.next;
            self.next += 1;
            if let Ok(token) = poll.watch(&fd, Source::Connection(number)) {
                let connection = Connection {
                    fd,
                    token,
                    joiner: Joiner::default(),
                    unsent: VecDeque::new(),
                    watches: false,
                };
                self.open.insert(number, connection);
            }
        }
    }

    /// The whole calls that have come in. Also sends what can be sent: a connection is woken for
    /// both.
    pub(super) fn receive(&mut self, number: u64, poll: &mut Poll) -> Vec<HolderCall> {
        let mut calls = Vec::new();
        let Some(connection) = self.open.get_mut(&number) else {
            return calls;
        };
        let mut packet = vec![0; PACKET];
        let mut usable = true;
        while usable {
            match rustix::net::recv(&connection.fd, &mut packet[..], RecvFlags::empty()) {
                Ok((length @ 1.., _)) => connection.joiner.push(&packet[..length]),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => break,
                Ok(_) | Err(_) => usable = false,
            }
            loop {
                match connection.joiner.next::<HolderCall>() {
                    Ok(Some(call)) => calls.push(call),
                    Ok(None) => break,
                    Err(error) => {
                        tracing::warn!(%error, "client sent something that is no message");
                        usable = false;
                        break;
                    }
                }
            }
        }
        usable &= connection.send(poll);
        if !usable {
            self.close(number, poll);
        }
        calls
    }

    pub(super) fn watch(&mut self, number: u64) {
        if let Some(connection) = self.open.get_mut(&number) {
            connection.watches = true;
        }
    }

    /// Sends answers to callers and events to watchers; what cannot be sent now is kept.
    pub(super) fn send(&mut self, notices: Vec<Notice>, poll: &mut Poll) {
        let mut touched = Vec::new();
        for notice in notices {
            let (frame, only) = match notice {
                Notice::Reply(Caller { connection, call }, result) => {
                    (reply(call, result), Some(connection))
                }
                Notice::Event(kind, process) => (
                    holder_frame::Frame::Event(convert::event_to_wire(kind, &process)),
                    None,
                ),
            };
            let packets = wire::packets(&HolderFrame { frame: Some(frame) });
            for (number, connection) in &mut self.open {
                if only.map_or(connection.watches, |only| only == *number) {
                    connection.unsent.extend(packets.iter().cloned());
                    touched.push(*number);
                }
            }
        }
        for number in touched {
            if self
                .open
                .get_mut(&number)
                .is_some_and(|connection| !connection.send(poll))
            {
                self.close(number, poll);
            }
        }
    }

    /// Sends the rest before the holder ends.
    pub(super) fn flush(&mut self) {
        let deadline = Instant::now() + FAREWELL;
        for connection in self.open.values_mut() {
            while let Some(packet) = connection.unsent.front() {
                match rustix::net::send(&connection.fd, packet, SendFlags::NOSIGNAL) {
                    Ok(_) => drop(connection.unsent.pop_front()),
                    Err(rustix::io::Errno::AGAIN) if Instant::now() < deadline => {
                        std::thread::yield_now()
                    }
                    Err(_) => break,
                }
            }
        }
    }

    fn close(&mut self, number: u64, poll: &mut Poll) {
        if let Some(connection) = self.open.remove(&number) {
            poll.forget(&connection.fd, connection.token);
        }
    }
}

impl Connection {
    /// Sends what the socket takes; false when the connection is of no more use.
    fn send(&mut self, poll: &mut Poll) -> bool {
        while let Some(packet) = self.unsent.front() {
            match rustix::net::send(&self.fd, packet, SendFlags::NOSIGNAL) {
                Ok(_) => drop(self.unsent.pop_front()),
                Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => break,
                Err(_) => return false,
            }
        }
        self.unsent.len() <= MOST_UNSENT
            && poll
                .want_write(&self.fd, self.token, !self.unsent.is_empty())
                .is_ok()
    }
}

fn reply(call: u64, result: answer::Result) -> holder_frame::Frame {
    holder_frame::Frame::Reply(HolderReply {
        call,
        result: Some(result),
    })
}

/// Root and our own user may give orders; the mode of the socket says the same.
fn is_trusted(fd: &OwnedFd) -> bool {
    let own = rustix::process::geteuid();
    sockopt::socket_peercred(fd).is_ok_and(|peer| peer.uid.is_root() || peer.uid == own)
}
