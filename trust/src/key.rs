//! The key of a node: made where it is used, and never sent. What is sent is its public half, with
//! a proof that the other half is at hand.

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey as _};
use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};

use crate::sha256;

/// ECDSA on P-256: small, fast to make, and known to every TLS library.
pub struct NodeKey(KeyPair);

/// The public half: a point, uncompressed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey(Vec<u8>);

/// Shows that whoever sends a public key has the other half, and means this request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof(pub Vec<u8>);

/// So that a proof is never a signature of anything else.
const PURPOSE: &[u8] = b"fleet certificate request\0";

impl NodeKey {
    /// # Errors
    /// When the system has no randomness.
    pub fn generate() -> Result<Self, rcgen::Error> {
        KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// # Errors
    /// When the bytes are no PKCS #8 key on P-256.
    pub fn from_pkcs8(bytes: &[u8]) -> Result<Self, rcgen::Error> {
        let key = PrivatePkcs8KeyDer::from(bytes);
        KeyPair::from_pkcs8_der_and_sign_algo(&key, &PKCS_ECDSA_P256_SHA256).map(Self)
    }

    /// For a file with mode 0600, or a seal.
    #[must_use]
    pub fn to_pkcs8(&self) -> Vec<u8> {
        self.0.serialize_der()
    }

    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.public_key_raw().to_vec())
    }

    /// # Errors
    /// When the system has no randomness.
    pub fn prove(&self, request: &str) -> Result<Proof, rcgen::Error> {
        self.0.sign(&signed(request)).map(Proof)
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }

    pub(crate) fn for_tls(&self) -> PrivateKeyDer<'static> {
        PrivatePkcs8KeyDer::from(self.to_pkcs8()).into()
    }
}

impl std::fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeKey(…)")
    }
}

impl PublicKey {
    /// Takes the key out of a request if the proof fits both.
    #[must_use]
    pub fn proven(bytes: Vec<u8>, proof: &Proof, request: &str) -> Option<Self> {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &bytes);
        key.verify(&signed(request), &proof.0).ok()?;
        Some(Self(bytes))
    }

    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its sha256 as hexadecimal digits, by which the cluster knows it again.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.0).iter().map(|b| format!("{b:02x}")).collect()
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

fn signed(request: &str) -> Vec<u8> {
    [PURPOSE, request.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn a_proof_is_of_one_key_and_one_request() {
        let (key, other) = (NodeKey::generate().unwrap(), NodeKey::generate().unwrap());
        let proof = key.prove("join-1").unwrap();
        let bytes = |key: &NodeKey| key.public().as_bytes().to_vec();
        assert!(PublicKey::proven(bytes(&key), &proof, "join-1").is_some());
        assert!(PublicKey::proven(bytes(&key), &proof, "join-2").is_none());
        assert!(PublicKey::proven(bytes(&other), &proof, "join-1").is_none());
        assert!(PublicKey::proven(Vec::new(), &proof, "join-1").is_none());
        let again = NodeKey::from_pkcs8(&key.to_pkcs8()).unwrap();
        assert_eq!(again.public(), key.public());
    }
}
