//! What can be wrong with a certificate that somebody brings. Every fault names its block, for people
//! paste three and must know which to look at.

/// The three things a certificate comes as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Block {
    Certificate,
    Chain,
    Key,
}

/// A block and what is wrong with it. The sentence never holds any of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {} block {fault}", block.as_str())]
pub struct Faulty {
    pub block: Block,
    pub fault: Fault,
}

/// Completes "the certificate block …".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("is empty")]
    Empty,
    #[error("has more than {} KiB", super::blocks::LARGEST >> 10)]
    TooLarge,
    #[error("is not PEM: no line of it begins with -----BEGIN")]
    NotPem,
    #[error("has text outside its PEM sections, at line {line}")]
    Text { line: usize },
    #[error("breaks off: the section that begins at line {line} has no end")]
    Unended { line: usize },
    #[error("is damaged: the section that begins at line {line} is not base 64")]
    Base64 { line: usize },
    #[error("holds a section {found:?} where {wanted:?} is expected, at line {line}")]
    Label {
        found: String,
        wanted: &'static str,
        line: usize,
    },
    #[error("is encrypted")]
    Encrypted,
    #[error("holds {0} keys")]
    SeveralKeys(usize),
    #[error("holds {0} certificates, and there is a chain block")]
    SeveralCertificates(usize),
    #[error("holds something that is no X.509 certificate, in section {0}")]
    NotX509(usize),
    #[error("is the certificate of an authority, not of a server")]
    Authority,
    #[error("is not meant for servers: its extended key usage says otherwise")]
    Usage,
    #[error("names no host: it has no DNS name among its subject alternative names")]
    NoNames,
    #[error("holds no key, or one of a kind that is not supported")]
    Kind,
    #[error("holds an RSA key of less than 2048 bits")]
    WeakKey,
    #[error("does not belong to the certificate: the keys differ")]
    OtherKey,
    #[error("repeats the certificate")]
    Repeats,
    #[error("does not begin with the one that signed the certificate, which is {issuer:?}")]
    NotIssuer { issuer: String },
    #[error(
        "is in the wrong order: its certificate {early} ({name:?}) was not signed by the next one"
    )]
    Order { early: usize, name: String },
    #[error("holds a certificate that may not sign others: {0:?}")]
    MayNotSign(String),
    #[error("holds certificates that are never valid together")]
    NeverTogether,
    #[error("does not vouch for the certificate: {0}")]
    Path(String),
    #[error("cannot be believed: {0}")]
    Unsound(String),
}

impl Block {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Chain => "chain",
            Self::Key => "private key",
        }
    }

    pub(super) fn is(self, fault: Fault) -> Faulty {
        Faulty { block: self, fault }
    }
}

impl Faulty {
    /// What to do about it, where that is not plain.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match &self.fault {
            Fault::Encrypted => "open it first: openssl pkey -in KEY -out OPEN-KEY",
            Fault::Text { .. } => "leave only what is between BEGIN and END: openssl x509 -in FILE",
            Fault::NotPem => "convert it: openssl x509 -inform der -in FILE",
            Fault::SeveralCertificates(_) => {
                "leave those behind the first to the chain block, or leave the chain block empty"
            }
            Fault::Order { .. } => "each certificate must be followed by the one that signed it",
            Fault::NotIssuer { .. } => {
                "the chain begins with the one that signed the certificate, and does not repeat it"
            }
            Fault::Authority => {
                "make one for a server: openssl req -x509 … -addext basicConstraints=critical,CA:FALSE"
            }
            Fault::NoNames => "make one with names: openssl req … -addext subjectAltName=DNS:HOST",
            Fault::Kind | Fault::WeakKey => {
                "supported are RSA from 2048 bits on, ECDSA on P-256 and P-384, and Ed25519"
            }
            _ => return None,
        })
    }
}
