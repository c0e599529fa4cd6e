//! Sealing: what lies in the replicated state, in snapshots and in backups, and is to be read by
//! control nodes alone. The key lies in a file of every control node and nowhere else.

use std::fmt;

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};

/// Begins every sealed text: a later form begins otherwise.
const VERSION: u8 = 1;

/// 32 bytes that open what was sealed with them.
#[derive(Clone)]
pub struct Seal([u8; 32]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("not a cluster key: 64 hexadecimal digits expected")]
    Form,
    #[error("sealed with another cluster key, for another purpose, or damaged")]
    Closed,
}

impl Seal {
    #[must_use]
    pub fn generate() -> Self {
        Self(rand::random())
    }

    /// # Errors
    /// When the text is not what [`Seal::reveal`] gave.
    pub fn parse(text: &str) -> Result<Self, SealError> {
        let text = text.trim();
        let mut key = [0; 32];
        if text.len() != 64 || !text.is_ascii() {
            return Err(SealError::Form);
        }
        for (at, byte) in key.iter_mut().enumerate() {
            let digits = text.get(at * 2..at * 2 + 2).ok_or(SealError::Form)?;
            *byte = u8::from_str_radix(digits, 16).map_err(|_| SealError::Form)?;
        }
        Ok(Self(key))
    }

    /// The digits, to be written to a file with mode 0600 or sent over TLS to a control node.
    #[must_use]
    pub fn reveal(&self) -> String {
        self.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Nothing that was sealed for one `purpose` can be passed off as something else.
    #[must_use]
    pub fn seal(&self, purpose: &str, plain: &[u8]) -> Vec<u8> {
        // 96 random bits: chance meets at 2^48 seals, and a cluster makes a handful.
        let nonce: [u8; NONCE_LEN] = rand::random();
        let mut text = plain.to_vec();
        let sealed = self.key().and_then(|key| {
            let nonce = Nonce::assume_unique_for_key(nonce);
            key.seal_in_place_append_tag(nonce, Aad::from(purpose), &mut text)
                .ok()
        });
        debug_assert!(sealed.is_some(), "only 256 GiB and more cannot be sealed");
        [&[VERSION][..], &nonce, &text].concat()
    }

    /// # Errors
    /// When it was not sealed with this key for this purpose.
    pub fn open(&self, purpose: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let rest = sealed.strip_prefix(&[VERSION]).ok_or(SealError::Closed)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Closed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Closed)?;
        let mut text = text.to_vec();
        let key = self.key().ok_or(SealError::Closed)?;
        let plain = key.open_in_place(nonce, Aad::from(purpose), &mut text);
        plain
            .map(|plain| plain.to_vec())
            .map_err(|_| SealError::Closed)
    }

    /// 32 bytes always make a key.
    fn key(&self) -> Option<LessSafeKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, &self.0).ok()?;
        Some(LessSafeKey::new(key))
    }
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Seal(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_key_and_purpose_open() {
        let seal = Seal::generate();
        let sealed = seal.seal("a", b"plain");
        assert!(!sealed.windows(5).any(|window| window == b"plain"));
        assert_eq!(seal.open("a", &sealed).as_deref(), Ok(&b"plain"[..]));
        assert_eq!(seal.open("b", &sealed), Err(SealError::Closed));
        assert_eq!(Seal::generate().open("a", &sealed), Err(SealError::Closed));
        for at in 0..sealed.len() {
            let mut other = sealed.clone();
            other[at] ^= 1;
            assert_eq!(seal.open("a", &other), Err(SealError::Closed));
            assert!(seal.open("a", &sealed[..at]).is_err());
        }
        let again = Seal::parse(&seal.reveal());
        assert_eq!(
            again.map(|seal| seal.open("a", &sealed)),
            Ok(Ok(b"plain".to_vec()))
        );
    }

    #[test]
    fn other_texts_are_no_key() {
        for text in ["", "00", &"g".repeat(64), &"é".repeat(32)] {
            assert_eq!(Seal::parse(text).err(), Some(SealError::Form));
        }
    }
}
