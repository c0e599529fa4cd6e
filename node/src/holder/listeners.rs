//! The public listening sockets: bound once, held for as long as the holder lives, handed to the
//! processes that serve them. While no process accepts, connections wait in the backlog.

use std::{
    collections::BTreeMap,
    fs, io,
    net::SocketAddr,
    os::fd::{AsFd, OwnedFd},
    path::PathBuf,
};

use fleet_proto::internal::{HeldListener, HeldListeners};
use prost::Message as _;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::record;

/// Connections that may wait to be accepted; the kernel caps it at net.core.somaxconn (4096).
const BACKLOG: i32 = 4096;

pub(super) struct Listeners {
    path: PathBuf,
    sockets: BTreeMap<String, Socket>,
    /// Known from the record of an earlier holder, not yet in our hands.
    lost: Vec<HeldListener>,
}

struct Socket {
    asked: SocketAddr,
    bound: SocketAddr,
    fd: OwnedFd,
}

/// Why there is no such listener.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("listener {name:?} is bound to {bound} and cannot also be bound to {asked}")]
    Taken {
        name: String,
        bound: SocketAddr,
        asked: SocketAddr,
    },
    #[error("{address} cannot be bound: {source}")]
    Bind {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("the list of listeners cannot be written: {0}")]
    Record(io::Error),
}

impl Listeners {
    /// Reads what an earlier holder had bound.
    pub(super) fn open(path: PathBuf) -> Self {
        let lost = fs::read(&path)
            .ok()
            .and_then(|bytes| HeldListeners::decode(&bytes[..]).ok());
        let lost = lost
            .filter(|list| list.version <= record::VERSION)
            .unwrap_or_default()
            .listeners;
        Self {
            path,
            sockets: BTreeMap::new(),
            lost,
        }
    }

    /// Binds `asked` under `name`, or returns what is bound.
    pub(super) fn listen(&mut self, name: &str, asked: SocketAddr) -> Result<SocketAddr, Error> {
        match self.sockets.get(name) {
            Some(socket) if socket.asked == asked || socket.bound == asked => {
                return Ok(socket.bound);
            }
            Some(socket) => {
                return Err(Error::Taken {
                    name: name.to_owned(),
                    bound: socket.bound,
                    asked,
                });
            }
            None => {}
        }
        // A port the kernel chose for an earlier holder stays the same.
        let before = self
            .lost
            .iter()
            .find(|lost| lost.name == name && lost.asked == asked.to_string());
        let address = before
            .and_then(|lost| lost.bound.parse().ok())
            .unwrap_or(asked);
        let failed = |source| Error::Bind { address, source };
        let fd = bind(address).map_err(failed)?;
        let bound = local_address(&fd).map_err(failed)?;
        self.keep(name, asked, bound, fd).map_err(Error::Record)?;
        Ok(bound)
    }

    pub(super) fn get(&self, name: &str) -> Option<&OwnedFd> {
        self.sockets.get(name).map(|socket| &socket.fd)
    }

    /// Takes sockets back from a process of an earlier holder, which still has them.
    pub(super) fn recover(&mut self, pid: u32, pidfd: &OwnedFd) {
        let mut missing: Vec<_> = self
            .lost
            .iter()
            .filter(|lost| !self.sockets.contains_key(&lost.name))
            .cloned()
            .collect();
        for number in descriptors(pid) {
            if missing.is_empty() {
                return;
            }
            let Some((fd, address)) = listening_copy(pidfd, number) else {
                continue;
            };
            let Some(found) = missing
                .iter()
                .position(|lost| lost.bound == address.to_string())
            else {
                continue;
            };
            let lost = missing.swap_remove(found);
            let asked = lost.asked.parse().unwrap_or(address);
            if let Err(error) = self.keep(&lost.name, asked, address, fd) {
                tracing::warn!(%error, "list of listeners cannot be written");
            }
        }
    }

    /// Binds again what no process had any more.
    pub(super) fn rebind_lost(&mut self) {
        for lost in self.lost.clone() {
            let Ok(asked) = lost.asked.parse() else {
                continue;
            };
            if !self.sockets.contains_key(&lost.name)
                && let Err(error) = self.listen(&lost.name, asked)
            {
                // Tried again when the agent asks for it.
                tracing::warn!(name = lost.name, %error, "listener of an earlier holder is lost");
            }
        }
    }

    fn keep(
        &mut self,
        name: &str,
        asked: SocketAddr,
        bound: SocketAddr,
        fd: OwnedFd,
    ) -> io::Result<()> {
        self.sockets
            .insert(name.to_owned(), Socket { asked, bound, fd });
        let listeners = self.sockets.iter().map(|(name, socket)| HeldListener {
            name: name.clone(),
            asked: socket.asked.to_string(),
            bound: socket.bound.to_string(),
        });
        let mut listeners: Vec<_> = listeners.collect();
        listeners.extend(
            self.lost
                .iter()
                .filter(|lost| !self.sockets.contains_key(&lost.name))
                .cloned(),
        );
        record::replace(
            &self.path,
            &HeldListeners {
                version: record::VERSION,
                listeners,
            }
            .encode_to_vec(),
        )
    }
}

/// A listening TCP socket that does not block, as every server of ours expects it.
fn bind(address: SocketAddr) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() {
        AddressFamily::INET
    } else {
        AddressFamily::INET6
    };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    // Connections of an earlier life in TIME_WAIT do not keep the port.
    sockopt::set_socket_reuseaddr(&fd, true)?;
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(fd)
}

fn local_address(fd: &impl AsFd) -> io::Result<SocketAddr> {
    Ok(rustix::net::getsockname(fd)?.try_into()?)
}

/// The descriptors a process has, lowest first: listeners were given to it as 3 and up.
fn descriptors(pid: u32) -> Vec<i32> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd"))
        .into_iter()
        .flatten()
        .flatten();
    let mut numbers: Vec<i32> = entries
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect();
    numbers.sort_unstable();
    numbers
}

/// A copy of a descriptor of another process, if it is a listening internet socket.
fn listening_copy(pidfd: &OwnedFd, number: i32) -> Option<(OwnedFd, SocketAddr)> {
    let fd = rustix::process::pidfd_getfd(pidfd, number, rustix::process::PidfdGetfdFlags::empty())
        .ok()?;
    let listens = sockopt::socket_acceptconn(&fd).unwrap_or(false);
    let address = local_address(&fd).ok()?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).ok()?;
    listens.then_some((fd, address))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_same_name_and_address_is_bound_once_and_another_address_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let mut listeners = Listeners::open(dir.path().join("listeners"));
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let bound = listeners.listen("http", any).unwrap();
        assert_ne!(bound.port(), 0);
        assert_eq!(listeners.listen("http", any).unwrap(), bound);
        assert_eq!(listeners.listen("http", bound).unwrap(), bound);
        let other = "127.0.0.2:0".parse().unwrap();
        assert!(matches!(
            listeners.listen("http", other),
            Err(Error::Taken { .. })
        ));
        assert!(matches!(
            listeners.listen("other", bound),
            Err(Error::Bind { .. })
        ));
        std::net::TcpStream::connect(bound).unwrap();
    }

    #[test]
    fn a_port_the_kernel_chose_stays_the_same_for_the_next_holder() {
        let dir = tempfile::tempdir().unwrap();
        let any: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let path = dir.path().join("listeners");
        let bound = Listeners::open(path.clone()).listen("http", any).unwrap();
        let mut next = Listeners::open(path);
        next.rebind_lost();
        assert_eq!(next.listen("http", any).unwrap(), bound);
    }
}
