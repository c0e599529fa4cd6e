//! What one address may open: connections at once, and handshakes of TLS a second.
//!
//! A connection belongs to no environment before it asks for something, so these are settings of the
//! node. Trusted proxies and balancers are exempt: they come for everybody, and tell for whom.

use std::io;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use super::counted::{Addresses, Seat};
use super::gate::{CONNECTIONS, HANDSHAKES};
use super::pace::{Pace, Rate};
use super::proxy::now_ns;
use super::trusted::Trusted;

/// What an address may open; what is absent is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PerAddress {
    /// Connections at once.
    pub connections: Option<NonZeroU32>,
    /// Handshakes of TLS a second, and as many at once after a silence.
    pub handshakes: Option<NonZeroU32>,
}

/// Counts what comes.
#[derive(Debug)]
pub(super) struct Arrivals {
    addresses: Arc<Addresses>,
    trusted: Arc<Trusted>,
    limits: PerAddress,
    /// Zero of the clock that handshakes are paced by.
    started: Instant,
}

impl Arrivals {
    pub(super) fn new(
        addresses: Arc<Addresses>,
        trusted: Arc<Trusted>,
        limits: PerAddress,
        started: Instant,
    ) -> Self {
        Self {
            addresses,
            trusted,
            limits,
            started,
        }
    }

    /// Counts a connection in, until what is answered is dropped.
    ///
    /// # Errors
    /// When its client has opened too much. It is closed without a word: an answer would cost more than
    /// the connection.
    pub(super) fn enter(&self, client: IpAddr, tls: bool) -> io::Result<Option<Seat>> {
        let PerAddress {
            connections,
            handshakes,
        } = self.limits;
        let handshakes = handshakes.filter(|_| tls);
        if (connections.is_none() && handshakes.is_none()) || self.trusted.contain(client) {
            return Ok(None);
        }
        let now = now_ns(self.started);
        let enter = |purpose, most, pace| {
            let entered = self.addresses.enter(purpose, client, most, pace, now);
            entered.map_err(|_| io::Error::other("its address has opened too many"))
        };
        let seat = match connections {
            None => None,
            Some(most) => Some(enter(CONNECTIONS, Some(most.get()), None)?),
        };
        if let Some(per_second) = handshakes {
            let burst = per_second.get();
            enter(HANDSHAKES, None, Some(Pace::of(Rate { per_second, burst })))?;
        }
        Ok(seat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_so_many_connections_and_handshakes_and_proxies_have_all() {
        let trusted = Trusted::new(vec!["10.0.0.0/8".parse().unwrap()]);
        let limits = PerAddress {
            connections: NonZeroU32::new(2),
            handshakes: NonZeroU32::new(1),
        };
        let arrivals = Arrivals::new(Arc::default(), Arc::new(trusted), limits, Instant::now());
        let enter = |address: &str, tls| arrivals.enter(address.parse().unwrap(), tls);
        let first = enter("192.0.2.1", true).unwrap();
        enter("192.0.2.1", true).expect_err("a second handshake at once");
        // The connection that was refused is not counted.
        let second = enter("192.0.2.1", false).unwrap();
        enter("192.0.2.1", false).expect_err("a third connection");
        drop(first);
        drop(enter("192.0.2.1", false).unwrap());
        drop((enter("192.0.2.2", true).unwrap(), second));
        for _ in 0..10 {
            assert!(enter("10.0.0.1", true).unwrap().is_none());
        }
    }
}
