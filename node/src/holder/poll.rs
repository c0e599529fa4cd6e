//! What the loop waits for: descriptors by token, each with what it means.

use std::{
    collections::HashMap,
    io,
    os::fd::{AsFd, OwnedFd},
    time::{Duration, Instant},
};

use rustix::event::{Timespec, epoll};

use super::{logs::Stream, spec::ProcessId};

/// What it means that a descriptor is ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Signals,
    Accept,
    Connection(u64),
    Output(ProcessId, Stream),
    /// Readiness as a process reports it.
    Notify(ProcessId),
    /// The outcome of an exec.
    Exec(ProcessId),
    /// The end of an adopted main process.
    Exit(ProcessId),
    /// The tenure may be over.
    Tenure,
}

/// Names a watched descriptor; never used twice, so that an event fetched before its descriptor
/// was dropped finds nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Token(u64);

pub(super) struct Poll {
    epoll: OwnedFd,
    sources: HashMap<u64, Source>,
    next: u64,
}

impl Poll {
    pub(super) fn new() -> io::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Self {
            epoll,
            sources: HashMap::new(),
            next: 0,
        })
    }

    /// Waits for a descriptor to become readable, level-triggered.
    pub(super) fn watch(&mut self, fd: &impl AsFd, source: Source) -> io::Result<Token> {
        let token = self.next;
        self.next += 1;
        epoll::add(
            &self.epoll,
            fd,
            epoll::EventData::new_u64(token),
            epoll::EventFlags::IN,
        )?;
        self.sources.insert(token, source);
        Ok(Token(token))
    }

    /// Also waits until it can be written to, or no longer.
    pub(super) fn want_write(
        &mut self,
        fd: &impl AsFd,
        token: Token,
        want: bool,
    ) -> io::Result<()> {
        let write = if want {
            epoll::EventFlags::OUT
        } else {
            epoll::EventFlags::empty()
        };
        let data = epoll::EventData::new_u64(token.0);
        Ok(epoll::modify(
            &self.epoll,
            fd,
            data,
            epoll::EventFlags::IN | write,
        )?)
    }

    /// Must be called before the descriptor is closed: a child between clone and exec still holds
    /// a copy, and epoll watches for as long as any copy lives.
    pub(super) fn forget(&mut self, fd: &impl AsFd, token: Token) {
        self.sources.remove(&token.0);
        // Fails only for a descriptor that is not watched.
        let _ = epoll::delete(&self.epoll, fd);
    }

    /// What is ready, waiting until `deadline` at most.
    pub(super) fn wait(&mut self, deadline: Option<Instant>) -> io::Result<Vec<(Token, Source)>> {
        // Rounded up, so that a deadline has passed when it is looked at.
        let timeout = deadline.map(|at| {
            let left = at.saturating_duration_since(Instant::now()) + Duration::from_micros(999);
            Timespec {
                tv_sec: left.as_secs().cast_signed(),
                tv_nsec: i64::from(left.subsec_nanos()),
            }
        });
        let mut events = Vec::with_capacity(64);
        match epoll::wait(
            &self.epoll,
            rustix::buffer::spare_capacity(&mut events),
            timeout.as_ref(),
        ) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let ready = events.iter().filter_map(|event| {
            let token = event.data.u64();
            Some((Token(token), self.sources.get(&token)?.clone()))
        });
        Ok(ready.collect())
    }

    /// Whether an event fetched earlier still means something.
    pub(super) fn is_current(&self, token: Token) -> bool {
        self.sources.contains_key(&token.0)
    }
}
