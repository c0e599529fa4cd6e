//! Tickets by which a client resumes its session, sealed with keys that all ingresses share: whichever
//! one it comes back to can open them.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use rustls::server::ProducesTickets;

/// Which key it is, in front of every ticket.
const ID: usize = 8;

/// The keys that open tickets, one of which seals new ones. Immutable: a rotation makes another.
pub struct TicketKeys {
    present: u64,
    keys: Vec<(u64, LessSafeKey)>,
    lifetime_seconds: u32,
}

impl TicketKeys {
    /// `present` is the id of the key that seals; without it, nothing is sealed. `lifetime_seconds` is
    /// how long clients may keep a ticket.
    #[must_use]
    pub fn new(
        keys: impl IntoIterator<Item = (u64, [u8; 32])>,
        present: u64,
        lifetime_seconds: u32,
    ) -> Self {
        let key = |(id, secret): (u64, [u8; 32])| {
            // 32 bytes always make a key.
            let key = UnboundKey::new(&CHACHA20_POLY1305, &secret).ok()?;
            Some((id, LessSafeKey::new(key)))
        };
        Self {
            present,
            keys: keys.into_iter().filter_map(key).collect(),
            lifetime_seconds,
        }
    }

    pub(super) fn lifetime_seconds(&self) -> u32 {
        self.lifetime_seconds
    }

    fn key(&self, id: u64) -> Option<&LessSafeKey> {
        self.keys
            .iter()
            .find(|(known, _)| *known == id)
            .map(|(_, key)| key)
    }

    /// 96 random bits for each: a key seals for half a day, and at 10,000 handshakes a second all that
    /// time two nonces meet once in 2^37 clusters.
    pub(super) fn seal(&self, plain: &[u8]) -> Option<Vec<u8>> {
        let key = self.key(self.present)?;
        let (id, nonce) = (
            self.present.to_be_bytes(),
            rand::random::<[u8; NONCE_LEN]>(),
        );
        let mut text = plain.to_vec();
        let sealing = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(sealing, Aad::from(id), &mut text)
            .ok()?;
        Some([&id[..], &nonce, &text].concat())
    }

    /// `ticket` is whatever a client sends.
    pub(super) fn open(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        let (id, rest) = ticket.split_first_chunk::<ID>()?;
        let (nonce, text) = rest.split_first_chunk::<NONCE_LEN>()?;
        let key = self.key(u64::from_be_bytes(*id))?;
        let mut text = text.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = key.open_in_place(nonce, Aad::from(*id), &mut text).ok()?;
        Some(plain.to_vec())
    }
}

impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys(present {})", self.present)
    }
}

/// The keys of the moment, as TLS asks for them.
pub(super) struct Ticketer(pub(super) std::sync::Arc<dyn super::Shows>);

impl ProducesTickets for Ticketer {
    fn enabled(&self) -> bool {
        true
    }

    fn lifetime(&self) -> u32 {
        self.0.tickets().lifetime_seconds()
    }

    fn encrypt(&self, plain: &[u8]) -> Option<Vec<u8>> {
        self.0.tickets().seal(plain)
    }

    fn decrypt(&self, ticket: &[u8]) -> Option<Vec<u8>> {
        self.0.tickets().open(ticket)
    }
}

impl fmt::Debug for Ticketer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticketer")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn keys(ids: &[u64], present: u64) -> TicketKeys {
        TicketKeys::new(ids.iter().map(|id| (*id, [*id as u8; 32])), present, 60)
    }

    #[test]
    fn what_one_ingress_seals_another_opens_over_two_rotations() {
        let ticket = keys(&[1, 2], 1).seal(b"session").unwrap();
        for (ids, opens) in [(&[1, 2][..], true), (&[1, 2, 3], true), (&[2, 3, 4], false)] {
            let opened = keys(ids, ids[1]).open(&ticket);
            assert_eq!(opened.as_deref() == Some(b"session"), opens, "{ids:?}");
        }
        // One that has heard of the rotation first seals with what the others know already.
        let early = keys(&[1, 2, 3], 2).seal(b"session").unwrap();
        assert!(keys(&[1, 2], 1).open(&early).is_some());
    }

    #[test]
    fn a_ticket_is_ours_or_nothing() {
        let keys = keys(&[1, 2], 1);
        let ticket = keys.seal(b"session").unwrap();
        assert!(!ticket.windows(7).any(|window| window == b"session"));
        for at in 0..ticket.len() {
            let mut other = ticket.clone();
            other[at] ^= 1;
            assert_eq!(keys.open(&other), None, "byte {at}");
            assert_eq!(keys.open(&ticket[..at]), None, "cut at {at}");
        }
        assert_eq!(
            self::keys(&[], 1).seal(b"session"),
            None,
            "no key, no ticket"
        );
    }
}
