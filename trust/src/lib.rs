//! Who is who in a fleet, and how that is shown on a connection.
//!
//! A cluster has an [`Authority`]. It signs one certificate per node, which says the node's id and
//! roles; every port between nodes speaks TLS 1.3 and asks for one. A machine that is not a node
//! yet, and an operator's command line, know the authority by its [`Fingerprint`] alone: out of a
//! [`JoinToken`], or out of a context. What each may do is decided where calls come in
//! (`node/src/control/guard.rs`); here is only who they are. See docs/security.md.

mod accept;
mod authority;
mod base32;
mod credentials;
mod dial;
mod fingerprint;
mod key;
mod name;
mod pem;
mod pinned;
mod seal;
mod token;
mod web;

pub use accept::{Caller, Incoming, Peer, TlsIo};
pub use authority::{Authority, AuthorityError, LIFETIME, Signed};
pub use credentials::{Credentials, CredentialsError};
pub use dial::{Connector, Whom, connector};
pub use fingerprint::Fingerprint;
pub use key::{NodeKey, Proof, PublicKey};
pub use name::NodeName;
pub use pem::{certificates_from_pem, certificates_to_pem, key_from_pem, key_to_pem};
pub use pinned::pinned;
pub use rustls::ClientConfig;
pub use rustls::pki_types::CertificateDer;
pub use seal::{Seal, SealError};
pub use token::{JoinToken, TokenError};
pub use web::{
    Believing, Block, Blocks, Fault, Faulty, Identity, IdentityError, OwnIssuer, Shows, TicketKeys,
    WebAcceptor, WebCertificate, WebStream, issuer_of,
};

/// The only cryptography in use.
fn provider() -> std::sync::Arc<rustls::crypto::CryptoProvider> {
    std::sync::Arc::new(rustls::crypto::ring::default_provider())
}

/// The sha256 of bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let digest = ring::digest::digest(&ring::digest::SHA256, bytes);
    let mut out = [0; 32];
    out.copy_from_slice(digest.as_ref());
    out
}
