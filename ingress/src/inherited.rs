//! What the holder hands over: the public sockets and the descriptor to say READY on.
//!
//! The numbers come in `LISTEN_FDS`, `LISTEN_FDNAMES` and `NOTIFY_FD`. Making owners of bare
//! numbers is unsafe, and unsafe code is the holder's alone; so the kernel is asked for a second
//! descriptor of the same socket through a pidfd of ourselves. The first one stays open, which
//! costs nothing: the holder keeps the socket open for as long as the node lives.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::TcpListener;
use std::os::fd::OwnedFd;

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};

/// The first descriptor handed over, by the convention of `LISTEN_FDS`.
const FIRST: i32 = 3;

/// Public sockets, by what is spoken on them.
#[derive(Debug, Default)]
pub struct Listeners {
    pub http: Vec<TcpListener>,
    pub https: Vec<TcpListener>,
}

/// Plain HTTP alone.
impl From<Vec<TcpListener>> for Listeners {
    fn from(http: Vec<TcpListener>) -> Self {
        Self {
            http,
            https: Vec::new(),
        }
    }
}

/// Sockets and ready descriptor, as far as they were given.
#[derive(Debug, Default)]
pub(super) struct Inherited {
    pub(super) listeners: Listeners,
    notify: Option<File>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("{variable} is {value:?}, which is no number")]
    Number {
        variable: &'static str,
        value: String,
    },
    #[error("taking over descriptor {number} ({name})")]
    Take {
        number: i32,
        name: String,
        source: io::Error,
    },
}

impl Inherited {
    /// Takes what the environment names; empty when it names nothing.
    pub(super) fn take() -> Result<Self, Error> {
        let count = number("LISTEN_FDS")?.unwrap_or(0);
        let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut names = names.split(':');
        let mut inherited = Self::default();
        for number in FIRST..FIRST + count {
            let name = names.next().unwrap_or_default();
            let listeners = match name {
                "http" => &mut inherited.listeners.http,
                "https" => &mut inherited.listeners.https,
                _ => {
                    tracing::info!(number, name, "leaving a socket that has no use yet");
                    continue;
                }
            };
            listeners.push(take(number, name)?.into());
        }
        if let Some(number) = number("NOTIFY_FD")? {
            inherited.notify = Some(take(number, "notify")?.into());
        }
        Ok(inherited)
    }

    /// Tells the holder that this process can serve.
    pub(super) fn ready(&mut self) -> io::Result<()> {
        match self.notify.take() {
            Some(mut notify) => notify.write_all(b"READY=1\n"),
            None => Ok(()),
        }
    }
}

fn number(variable: &'static str) -> Result<Option<i32>, Error> {
    match std::env::var(variable) {
        Err(_) => Ok(None),
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => match value.parse() {
            Ok(number) => Ok(Some(number)),
            Err(_) => Err(Error::Number { variable, value }),
        },
    }
}

fn take(number: i32, name: &str) -> Result<OwnedFd, Error> {
    let own = pidfd_open(getpid(), PidfdFlags::empty());
    let taken = own.and_then(|own| pidfd_getfd(own, number, PidfdGetfdFlags::empty()));
    taken.map_err(|source| Error::Take {
        number,
        name: name.to_owned(),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn a_taken_listener_is_the_same_socket() {
        let original = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let taken = TcpListener::from(take(original.as_raw_fd(), "http").expect("taken"));
        let address = original.local_addr().expect("an address");
        assert_eq!(taken.local_addr().expect("an address"), address);
        let _client = std::net::TcpStream::connect(address).expect("connects");
        taken.accept().expect("accepts what came to the original");
        let refused = take(i32::MAX, "http").expect_err("no such descriptor");
        assert_eq!(
            refused.to_string(),
            "taking over descriptor 2147483647 (http)"
        );
    }
}
