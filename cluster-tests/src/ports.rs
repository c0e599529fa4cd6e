//! Ports for daemons that run beside each other and beside other test processes.
//!
//! A daemon names its ports before it starts and keeps them over restarts, so "port 0" is not
//! enough: between two runs somebody else could take them. A [`Block`] is a range that belongs to
//! whoever holds the lock on its file; it lies below the ephemeral range, which the kernel hands to
//! outgoing connections.

use std::fs::{File, OpenOptions, TryLockError};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

/// First port of the first block, and where the last block ends (Linux hands out 32768 and above).
const FIRST: u16 = 10_400;
const LIMIT: u16 = 32_000;
const BLOCK: u16 = 100;
/// Ports of a block that are not for frontends.
const FIXED: u16 = 10;

/// A hundred ports of one node, ours until it is dropped.
#[derive(Debug)]
pub struct Block {
    base: u16,
    _lock: File,
}

impl Block {
    /// Takes the first block that nobody holds and on whose fixed ports nobody listens.
    pub fn reserve() -> Result<Block> {
        let dir = lock_dir()?;
        // Concurrent test processes start looking at different places.
        let blocks = (LIMIT - FIRST) / BLOCK;
        let start = u16::try_from(std::process::id() % u32::from(blocks))?;
        for step in 0..blocks {
            let base = FIRST + (start + step) % blocks * BLOCK;
            let path = dir.join(format!("{base}.lock"));
            let lock = OpenOptions::new()
                .create(true)
                .truncate(false)
                .write(true)
                .open(&path)
                .with_context(|| format!("opening {}", path.display()))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(e)) => return Err(e).context("locking a port block"),
            }
            if (base..base + FIXED).all(is_free) {
                return Ok(Block { base, _lock: lock });
            }
        }
        bail!("all {blocks} port blocks between {FIRST} and {LIMIT} are in use")
    }

    /// Where the control process listens.
    pub fn api(&self) -> SocketAddr {
        local(self.base)
    }

    /// Where the ingress listens.
    pub fn http(&self) -> SocketAddr {
        local(self.base + 1)
    }

    /// Where the ingress speaks TLS.
    pub fn https(&self) -> SocketAddr {
        local(self.base + 3)
    }

    /// Where the ingress shows its metrics, and at the next port the control process.
    pub fn metrics(&self) -> SocketAddr {
        local(self.base + 4)
    }

    /// A port for something of the test's own.
    pub fn spare(&self) -> SocketAddr {
        local(self.base + 2)
    }

    /// What the node's frontends may listen on.
    pub fn frontends(&self) -> RangeInclusive<u16> {
        self.base + FIXED..=self.base + BLOCK - 1
    }

    /// User ids for the node's frontends: nodes on one machine must not share them. The range is
    /// the one that fleetd uses by default, divided by our ports.
    pub fn uids(&self) -> RangeInclusive<u32> {
        let first = 1_900_000_000 + u32::from(self.base);
        first..=first + u32::from(BLOCK) - 1
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

fn is_free(port: u16) -> bool {
    TcpListener::bind(local(port)).is_ok()
}

fn lock_dir() -> Result<PathBuf> {
    let dir = std::env::temp_dir().join("fleet-test-ports");
    std::fs::create_dir_all(&dir).with_context(|| format!("creating {}", dir.display()))?;
    Ok(dir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_blocks_never_meet() {
        let one = Block::reserve().unwrap();
        let two = Block::reserve().unwrap();
        assert_ne!(one.api(), two.api());
        assert!(!one.frontends().contains(two.frontends().start()));
        assert!(!one.frontends().contains(&one.http().port()));
    }
}
