//! What an operator carries to a machine that shall become a node.
//!
//! `fj1.<roles>.<fingerprint>.<id>.<secret>.<check>`: the machine learns from it whom to believe
//! before it says a word, and the cluster learns that somebody let it in. There is no short form:
//! without the fingerprint, whoever answers could be anybody.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::{Fingerprint, base32, sha256};

const PREFIX: &str = "fj1";

#[derive(Clone, PartialEq, Eq)]
pub struct JoinToken {
    /// What the machine may become: "control", "worker", "ingress".
    pub roles: BTreeSet<String>,
    /// Of the authority of the cluster.
    pub authority: Fingerprint,
    /// By which the cluster finds it. 40 random bits; no secret.
    pub id: String,
    secret: [u8; 32],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("this is no join token, which begins with fj1.")]
    Form,
    #[error("a character of this join token is wrong or missing")]
    Damaged,
}

impl JoinToken {
    #[must_use]
    pub fn generate(roles: BTreeSet<String>, authority: Fingerprint) -> Self {
        Self {
            roles,
            authority,
            id: base32::encode(&rand::random::<[u8; 5]>()),
            secret: rand::random(),
        }
    }

    /// The sha256 of the secret as hexadecimal digits: what the cluster keeps of a token, and
    /// compares. The secret has 256 random bits, so that a plain hash gives nothing away.
    #[must_use]
    pub fn digest(&self) -> String {
        Self::digest_of(&self.secret)
    }

    /// The digest of a secret as it was sent.
    #[must_use]
    pub fn digest_of(secret: &[u8]) -> String {
        sha256(secret).iter().map(|b| format!("{b:02x}")).collect()
    }

    /// To be sent to a node that has shown that it belongs to the cluster.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// All of it, to be shown once.
    #[must_use]
    pub fn reveal(&self) -> String {
        let body = self.body();
        let check = crc32c::crc32c(body.as_bytes()).to_be_bytes();
        format!("{body}.{}", base32::encode(&check))
    }

    fn body(&self) -> String {
        let roles: Vec<_> = self.roles.iter().map(String::as_str).collect();
        let secret = base32::encode(&self.secret);
        let (roles, Self { authority, id, .. }) = (roles.join("+"), self);
        format!("{PREFIX}.{roles}.{authority}.{id}.{secret}")
    }
}

impl FromStr for JoinToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let text = text.trim();
        if !text.starts_with("fj1.") {
            return Err(TokenError::Form);
        }
        let parts: Vec<&str> = text.split('.').collect();
        let &[_, roles, authority, id, secret, _] = parts.as_slice() else {
            return Err(TokenError::Damaged);
        };
        let token = Self {
            roles: roles.split('+').map(str::to_owned).collect(),
            authority: authority.parse().map_err(|_| TokenError::Damaged)?,
            id: id.to_owned(),
            secret: base32::decode(secret).ok_or(TokenError::Damaged)?,
        };
        // The check and everything else: a token has one spelling.
        match token.reveal() == text {
            true => Ok(token),
            false => Err(TokenError::Damaged),
        }
    }
}

/// Without the secret.
impl fmt::Debug for JoinToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinToken({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use proptest::prelude::*;

    use super::*;

    fn token() -> JoinToken {
        let roles = ["control", "worker"].map(str::to_owned);
        JoinToken::generate(roles.into(), Fingerprint::new(rand::random()))
    }

    #[test]
    fn a_token_comes_back_and_keeps_its_secret_to_itself() {
        let token = token();
        let text = token.reveal();
        assert!(text.starts_with("fj1.control+worker."), "{text}");
        assert_eq!(text.parse::<JoinToken>().unwrap(), token);
        assert_eq!(format!(" {text}\n").parse::<JoinToken>().unwrap(), token);
        assert!(!format!("{token:?}").contains(&base32::encode(&token.secret)));
        assert_eq!("secret".parse::<JoinToken>(), Err(TokenError::Form));
    }

    proptest! {
        #[test]
        fn one_flipped_bit_is_noticed(at: prop::sample::Index, bit in 0..7_u8) {
            let mut text = token().reveal().into_bytes();
            let at = at.index(text.len());
            text[at] ^= 1 << bit;
            let text = String::from_utf8(text).unwrap();
            // White space around a token is not part of it.
            prop_assert!(text.parse::<JoinToken>().is_err(), "{text:?}");
        }

        #[test]
        fn no_text_is_too_odd(text in "fj1\\.[a-z.+]{0,200}|.{0,80}") {
            let _ = text.parse::<JoinToken>();
        }
    }
}
