//! TLS as the world sees it: certificates that operators bring, the one that a cluster makes for
//! itself, and the handshake at the ingress.
//!
//! It shares the cryptography with the TLS between nodes and nothing else. There only TLS 1.3 is
//! spoken and both sides are known; here clients are strangers, TLS 1.2 is still spoken by some of
//! them, and who is asked for decides what is shown. See docs/ingress.md.

mod accept;
mod acme;
mod blocks;
mod content;
mod der;
mod faults;
mod identity;
mod own;
mod tickets;

pub use accept::{Shows, WebAcceptor, WebStream};
pub use acme::Believing;
pub use blocks::Blocks;
pub use content::{WebCertificate, issuer_of};
pub use faults::{Block, Fault, Faulty};
pub use identity::{Identity, IdentityError};
pub use own::OwnIssuer;
pub use tickets::TicketKeys;
