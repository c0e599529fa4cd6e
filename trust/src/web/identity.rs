//! A certificate with its key, ready for handshakes.

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::provider;

/// Cheap to clone; shared by all connections that are shown it.
#[derive(Clone)]
pub struct Identity(pub(super) Arc<CertifiedKey>);

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("there is no certificate, or one that cannot be read")]
    Certificate,
    #[error("the key cannot be read, or is of a kind that is not supported")]
    Key,
    #[error("the key belongs to another certificate")]
    OtherKey,
}

impl Identity {
    /// `chain` and `key` are DER.
    ///
    /// # Errors
    /// When they cannot be read or do not belong together.
    pub fn new(chain: &[impl AsRef<[u8]>], key: &[u8]) -> Result<Self, IdentityError> {
        let identity = Self::unchecked(chain, key)?;
        match identity.0.keys_match() {
            Ok(()) => Ok(identity),
            Err(Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => {
                Err(IdentityError::OtherKey)
            }
            Err(_) => Err(IdentityError::Certificate),
        }
    }

    /// The same of what was just made, and holds what the library that verifies does not understand.
    pub(super) fn unchecked(chain: &[impl AsRef<[u8]>], key: &[u8]) -> Result<Self, IdentityError> {
        let key = PrivateKeyDer::try_from(key).map_err(|_| IdentityError::Key)?;
        let key = provider().key_provider.load_private_key(key.clone_key());
        let key = key.map_err(|_| IdentityError::Key)?;
        let chain = chain
            .iter()
            .map(|der| CertificateDer::from(der.as_ref().to_vec()));
        Ok(Self(Arc::new(CertifiedKey::new(chain.collect(), key))))
    }

    /// The certificate itself, DER.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        self.0.cert.first().map_or(&[], |der| der.as_ref())
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Identity(…)")
    }
}
