//! One thread at a time in another network namespace; the process stays where it is.

use std::fs::File;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// Longer than a healthy network of one machine ever takes, and shorter than TCP's first repeat.
const ACCEPTED_WITHIN: Duration = Duration::from_millis(700);

/// Whether a connection from a namespace is accepted in time.
pub(super) fn connects(namespace: &str, address: SocketAddr) -> Result<bool> {
    let path = format!("/run/netns/{namespace}");
    let there = File::open(&path).with_context(|| format!("opening {path}"))?;
    let thread = std::thread::spawn(move || -> Result<bool> {
        move_into_link_name_space(there.as_fd(), Some(LinkNameSpaceType::Network))?;
        Ok(TcpStream::connect_timeout(&address, ACCEPTED_WITHIN).is_ok())
    });
    thread.join().map_err(|_| anyhow!("the thread panicked"))?
}
