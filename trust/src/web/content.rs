//! What is in a certificate, and whether its parts belong together.
//!
//! Whether it is valid now is not asked here: that is decided by the time in the log.

use std::time::{SystemTime, UNIX_EPOCH};

use ring::rsa;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use webpki::{EndEntityCert, Error as Doubt, KeyUsage};

use super::blocks::{Blocks, Sections};
use super::der::{self, Said};
use super::faults::{Block, Fault, Faulty};
use super::identity::{Identity, IdentityError};
use crate::provider;

/// A certificate for servers with its key, all of whose parts fit.
#[derive(Clone)]
pub struct WebCertificate {
    /// DER, that of the server first, each signed by the next.
    pub chain: Vec<Vec<u8>>,
    /// DER; to be sealed.
    pub key: Vec<u8>,
    /// Of its subject; empty where that has none.
    pub common_name: String,
    pub organization: String,
    /// Hosts it is for, in lower case; the first label may be `*`.
    pub names: Vec<String>,
    pub begins: SystemTime,
    pub expires: SystemTime,
    /// When the first of those that signed it ends.
    pub chain_expires: Option<SystemTime>,
}

impl WebCertificate {
    /// Reads and checks the three blocks.
    ///
    /// # Errors
    /// The first fault that is found, with the block it is in.
    pub fn read(blocks: &Blocks) -> Result<Self, Faulty> {
        let Sections {
            certificates,
            chain_from,
            key,
        } = blocks.sections()?;
        let block_of = |at: usize| match at < chain_from {
            true => Block::Certificate,
            false => Block::Chain,
        };
        let mut said = Vec::new();
        for (at, der) in certificates.iter().enumerate() {
            let section = if at < chain_from { at } else { at - chain_from };
            let whole = CertificateDer::from(&**der);
            let sound = EndEntityCert::try_from(&whole).is_ok();
            let one = der::said(der).filter(|_| sound);
            said.push(one.ok_or_else(|| block_of(at).is(Fault::NotX509(section + 1)))?);
        }
        // First, for a weak key would be found as a signature that is not accepted.
        check_key(&certificates, &key).map_err(|fault| Block::Key.is(fault))?;
        let names = server(&certificates[0], &said[0]);
        let names = names.map_err(|fault| Block::Certificate.is(fault))?;
        chained(&certificates, &said, chain_from)?;
        Ok(Self {
            key,
            names,
            common_name: said[0].common_name.clone(),
            organization: said[0].organization.clone(),
            begins: said[0].begins,
            expires: said[0].expires,
            chain_expires: said[1..].iter().map(|one| one.expires).min(),
            chain: certificates,
        })
    }
}

impl std::fmt::Debug for WebCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WebCertificate({:?})", self.names)
    }
}

/// What whoever signed a certificate is called in it; empty when it has no name or is none.
#[must_use]
pub fn issuer_of(certificate: &[u8]) -> String {
    der::common_name(&parties(certificate).1)
}

/// The names of a certificate that a server may show.
fn server(der: &[u8], said: &Said) -> Result<Vec<String>, Fault> {
    match alone(der, said) {
        Ok(()) | Err(Doubt::UnknownIssuer) => {}
        Err(Doubt::CaUsedAsEndEntity) => return Err(Fault::Authority),
        Err(Doubt::RequiredEkuNotFoundContext(_)) => return Err(Fault::Usage),
        Err(doubt) => return Err(Fault::Unsound(doubt.to_string())),
    }
    let der = CertificateDer::from(der);
    let parsed = EndEntityCert::try_from(&der).map_err(|_| Fault::NotX509(1))?;
    let mut names: Vec<String> = parsed
        .valid_dns_names()
        .map(str::to_ascii_lowercase)
        .collect();
    names.sort_unstable();
    names.dedup();
    match names.is_empty() {
        true => Err(Fault::NoNames),
        false => Ok(names),
    }
}

/// Verifies a certificate as if it were its own authority: what does not depend on who signed it is
/// looked at first.
fn alone(der: &[u8], said: &Said) -> Result<(), Doubt> {
    verify(&[der.to_vec()], said.begins)
}

/// That each was signed by the next, and the last is believed.
fn verify(chain: &[Vec<u8>], at: SystemTime) -> Result<(), Doubt> {
    let chain: Vec<_> = chain
        .iter()
        .map(|der| CertificateDer::from(&**der))
        .collect();
    let [leaf, others @ ..] = chain.as_slice() else {
        return Err(Doubt::UnknownIssuer);
    };
    let (last, between) = others.split_last().unwrap_or((leaf, &[]));
    let anchors = [webpki::anchor_from_trusted_cert(last)?];
    let at = at.duration_since(UNIX_EPOCH).unwrap_or_default();
    let known = provider().signature_verification_algorithms;
    EndEntityCert::try_from(leaf)?
        .verify_for_usage(
            known.all,
            &anchors,
            between,
            UnixTime::since_unix_epoch(at),
            KeyUsage::server_auth(),
            None,
            None,
        )
        .map(|_| ())
}

fn chained(chain: &[Vec<u8>], said: &[Said], chain_from: usize) -> Result<(), Faulty> {
    let [leaf, others @ ..] = chain else {
        return Ok(());
    };
    if others.is_empty() {
        return Ok(());
    }
    // Without a chain block they all came in one.
    let block = if chain_from > 1 {
        Block::Certificate
    } else {
        Block::Chain
    };
    in_order(chain, leaf, others).map_err(|fault| block.is(fault))?;
    for (der, said) in others.iter().zip(&said[1..]) {
        if !matches!(alone(der, said), Err(Doubt::CaUsedAsEndEntity)) {
            return Err(block.is(Fault::MayNotSign(said.common_name.clone())));
        }
    }
    let begins = said.iter().map(|one| one.begins).max();
    let ends = said.iter().map(|one| one.expires).min();
    let (Some(begins), true) = (begins, begins <= ends) else {
        return Err(block.is(Fault::NeverTogether));
    };
    verify(chain, begins).map_err(|doubt| block.is(Fault::Path(doubt.to_string())))
}

/// By the names of who signed whom.
fn in_order(chain: &[Vec<u8>], leaf: &[u8], others: &[Vec<u8>]) -> Result<(), Fault> {
    if others.iter().any(|other| other == leaf) {
        return Err(Fault::Repeats);
    }
    let parties: Vec<(Vec<u8>, Vec<u8>)> = chain.iter().map(|der| parties(der)).collect();
    let signed_by = |at: usize| &parties[at].1;
    for at in 0..parties.len() - 1 {
        if *signed_by(at) == parties[at + 1].0 {
            continue;
        }
        let elsewhere = parties[1..]
            .iter()
            .any(|(subject, _)| subject == signed_by(at));
        return Err(match (at, elsewhere) {
            (0, false) => Fault::NotIssuer {
                issuer: der::common_name(signed_by(0)),
            },
            // The first of the chain block is to blame for not having signed the certificate.
            (0, true) => Fault::Order {
                early: 1,
                name: der::common_name(&parties[1].0),
            },
            (at, _) => Fault::Order {
                early: at,
                name: der::common_name(&parties[at].0),
            },
        });
    }
    Ok(())
}

/// Subject and issuer, as they stand in the certificate.
fn parties(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let der = CertificateDer::from(der);
    match EndEntityCert::try_from(&der) {
        Ok(parsed) => (parsed.subject().to_vec(), parsed.issuer().to_vec()),
        Err(_) => (Vec::new(), Vec::new()),
    }
}

fn check_key(chain: &[Vec<u8>], key: &[u8]) -> Result<(), Fault> {
    let typed = PrivateKeyDer::try_from(key).map_err(|_| Fault::Kind)?;
    let rsa = match &typed {
        PrivateKeyDer::Pkcs1(der) => rsa::KeyPair::from_der(der.secret_pkcs1_der()).err(),
        PrivateKeyDer::Pkcs8(der) => rsa::KeyPair::from_pkcs8(der.secret_pkcs8_der()).err(),
        _ => None,
    };
    // What ring says of a key that it has read and finds too short.
    if rsa.is_some_and(|rejected| rejected.to_string() == "TooSmall") {
        return Err(Fault::WeakKey);
    }
    match Identity::new(chain, key) {
        Ok(_) => Ok(()),
        Err(IdentityError::OtherKey) => Err(Fault::OtherKey),
        Err(IdentityError::Key | IdentityError::Certificate) => Err(Fault::Kind),
    }
}
