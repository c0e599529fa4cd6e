//! Which control node to ask next. Pure: it remembers and decides, the session asks.

use std::time::Duration;

/// The addresses known, the one that is said to lead first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Contacts {
    known: Vec<String>,
    /// Said to lead by one that does not; asked before anyone else, once.
    leader: Option<String>,
    next: usize,
    /// Asked without success since the last success.
    failures: usize,
}

/// Waits after a round in which nobody helped.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

impl Contacts {
    pub(super) fn new(known: Vec<String>) -> Self {
        Self {
            known,
            ..Self::default()
        }
    }

    pub(super) fn known(&self) -> &[String] {
        &self.known
    }

    /// Replaces the addresses by what control said; true if that is news.
    pub(super) fn learn(&mut self, addresses: Vec<String>) -> bool {
        let news = !addresses.is_empty() && addresses != self.known;
        if news {
            self.known = addresses;
            self.next = 0;
        }
        news
    }

    /// Whom to ask now; None when no address is known.
    pub(super) fn next(&mut self) -> Option<String> {
        if let Some(leader) = self.leader.take() {
            return Some(leader);
        }
        let address = self.known.get(self.next % self.known.len().max(1))?.clone();
        self.next = (self.next + 1) % self.known.len();
        Some(address)
    }

    /// The one asked leads: it is the first to be asked again when the session breaks.
    pub(super) fn found(&mut self, address: &str) {
        self.failures = 0;
        if let Some(index) = self.known.iter().position(|known| known == address) {
            self.next = index;
        }
    }

    /// The one asked did not help; it may have named another. Returns how long to wait.
    ///
    /// A hint is followed at once, but two nodes that point at each other do not make this spin:
    /// hints count as failures like any other answer.
    pub(super) fn failed(&mut self, leader: Option<String>) -> Duration {
        self.failures += 1;
        let round = self.known.len().max(1) + 1;
        let rounds = self.failures / round;
        self.leader = leader.filter(|_| rounds < 3);
        if !self.failures.is_multiple_of(round) {
            return Duration::ZERO;
        }
        let doubled = FIRST_WAIT.saturating_mul(1 << (rounds - 1).min(16));
        doubled.min(LONGEST_WAIT)
    }

    /// Whether everybody known was asked in vain.
    pub(super) fn exhausted(&self) -> bool {
        self.failures > self.known.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contacts(known: &[&str]) -> Contacts {
        Contacts::new(known.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn everyone_is_asked_in_turn_with_growing_pauses() {
        let mut contacts = contacts(&["a", "b"]);
        let mut waits = Vec::new();
        let mut asked = Vec::new();
        for _ in 0..24 {
            asked.extend(contacts.next());
            waits.push(contacts.failed(None).as_millis());
        }
        assert_eq!(asked.concat(), "ab".repeat(12));
        waits.retain(|wait| *wait > 0);
        assert_eq!(waits, [100, 200, 400, 800, 1600, 2000, 2000, 2000]);
        assert!(contacts.exhausted());
    }

    #[test]
    fn a_hint_is_followed_at_once_and_a_leader_is_returned_to() {
        let mut contacts = contacts(&["a", "b", "c"]);
        assert_eq!(contacts.next().as_deref(), Some("a"));
        assert_eq!(contacts.failed(Some("c".to_owned())), Duration::ZERO);
        assert_eq!(contacts.next().as_deref(), Some("c"));
        contacts.found("c");
        assert_eq!(contacts.next().as_deref(), Some("c"));
        contacts.failed(None);
        assert_eq!(contacts.next().as_deref(), Some("a"));
    }

    #[test]
    fn nodes_that_point_at_each_other_do_not_make_it_spin() {
        let mut contacts = contacts(&["a", "b"]);
        let total: Duration = (0..100)
            .map(|_| {
                contacts
                    .next()
                    .map_or(Duration::ZERO, |_| contacts.failed(Some("a".to_owned())))
            })
            .sum();
        assert!(total > Duration::from_secs(10), "{total:?}");
    }

    #[test]
    fn without_addresses_there_is_nobody() {
        let mut contacts = contacts(&[]);
        assert_eq!(contacts.next(), None);
        assert!(!contacts.learn(Vec::new()));
        assert!(contacts.learn(vec!["a".to_owned()]));
        assert_eq!(contacts.next().as_deref(), Some("a"));
    }
}
