//! How often an address may try join tokens.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::Mutex,
    time::{Duration, Instant},
};

/// Tries of one address in one window: at this rate 2^255 guesses take longer than anything lasts,
/// so that it is the log that is spared (engineering notes on reliability, section 5.3, row 22).
const MOST: u32 = 10;
const WINDOW: Duration = Duration::from_secs(1);

/// Addresses remembered before those of past windows are dropped.
const REMEMBERED: usize = 4096;

#[derive(Debug, Default)]
pub(super) struct Guesses(Mutex<HashMap<IpAddr, (Instant, u32)>>);

impl Guesses {
    /// Counts a try; false when there were too many.
    pub(super) fn allow(&self, address: IpAddr, now: Instant) -> bool {
        let mut seen = self
            .0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if seen.len() >= REMEMBERED {
            seen.retain(|_, (began, _)| now.duration_since(*began) < WINDOW);
        }
        let (began, tries) = seen.entry(address).or_insert((now, 0));
        if now.duration_since(*began) >= WINDOW {
            (*began, *tries) = (now, 0);
        }
        *tries = tries.saturating_add(1);
        *tries <= MOST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_ten_tries_a_second() {
        let guesses = Guesses::default();
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let now = Instant::now();
        let allowed = (0..10_000).filter(|_| guesses.allow(one, now)).count();
        assert_eq!(allowed, 10);
        assert!(guesses.allow(other, now), "others are not held responsible");
        assert!(guesses.allow(one, now + WINDOW));
    }
}
