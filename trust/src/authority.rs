//! The authority of a cluster: the key whose signature makes a machine a node.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType, date_time_ymd,
};
use rustls::pki_types::CertificateDer;

use crate::{Fingerprint, NodeKey, NodeName, PublicKey};

/// Of a node's certificate, as Swarm has it (engineering notes on reliability, section 5.2).
pub const LIFETIME: Duration = Duration::from_secs(90 * 86_400);

/// Certificates begin that long ago, so that a node whose clock is slow believes a new one.
pub(crate) const BACKDATED: Duration = Duration::from_secs(3600);

/// Of the authority itself: it is replaced by rotation, not by age.
const AUTHORITY_LIFETIME: Duration = Duration::from_secs(20 * 365 * 86_400);

/// A key and the certificate that says it may sign.
#[derive(Debug)]
pub struct Authority {
    cluster: String,
    key: NodeKey,
    certificate: CertificateDer<'static>,
}

/// A certificate for a node.
#[derive(Clone, Debug)]
pub struct Signed {
    pub certificate: CertificateDer<'static>,
    pub begins: SystemTime,
    pub expires: SystemTime,
}

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("failed making a certificate")]
    Make(#[from] rcgen::Error),
    #[error("{0:?} cannot be part of a certificate")]
    Name(String),
    #[error("the clock of this machine stands before 1970")]
    Clock,
}

impl Authority {
    /// A new one.
    ///
    /// # Errors
    /// When the system has no randomness, or the clock is far off.
    pub fn found(cluster: &str, now: SystemTime) -> Result<Self, AuthorityError> {
        let key = NodeKey::generate()?;
        let mut params = issuer(cluster);
        valid(&mut params, now - BACKDATED, now + AUTHORITY_LIFETIME)?;
        let certificate = params.self_signed(key.pair())?.der().clone();
        Ok(Self {
            cluster: cluster.to_owned(),
            key,
            certificate,
        })
    }

    /// The same as before, from what was kept of it.
    ///
    /// # Errors
    /// When the bytes are no key.
    pub fn restore(
        cluster: &str,
        certificate: CertificateDer<'static>,
        pkcs8: &[u8],
    ) -> Result<Self, AuthorityError> {
        Ok(Self {
            cluster: cluster.to_owned(),
            key: NodeKey::from_pkcs8(pkcs8)?,
            certificate,
        })
    }

    #[must_use]
    pub fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    #[must_use]
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of(&self.certificate)
    }

    /// The key, to be sealed.
    #[must_use]
    pub fn to_pkcs8(&self) -> Vec<u8> {
        self.key.to_pkcs8()
    }

    /// A certificate that says that the owner of `key` is the node `id` with these roles.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn sign(
        &self,
        id: u64,
        roles: impl IntoIterator<Item = impl Into<String>>,
        key: &PublicKey,
        now: SystemTime,
    ) -> Result<Signed, AuthorityError> {
        let name = NodeName {
            cluster: self.cluster.clone(),
            node: id,
            roles: roles.into_iter().map(Into::into).collect(),
        };
        let (begins, expires) = (now - BACKDATED, now + LIFETIME);
        let odd = |_| AuthorityError::Name(name.uri());
        let mut params = CertificateParams::default();
        valid(&mut params, begins, expires)?;
        params.distinguished_name = called(&format!("fleet node {id}"));
        params.subject_alt_names = vec![SanType::URI(name.uri().try_into().map_err(odd)?)];
        for host in name.hosts() {
            let host = host.try_into().map_err(odd)?;
            params.subject_alt_names.push(SanType::DnsName(host));
        }
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![
            ExtendedKeyUsagePurpose::ServerAuth,
            ExtendedKeyUsagePurpose::ClientAuth,
        ];
        params.use_authority_key_identifier_extension = true;
        let issuer = issuer(&self.cluster);
        let issuer = Issuer::from_params(&issuer, self.key.pair());
        Ok(Signed {
            certificate: params.signed_by(key, &issuer)?.der().clone(),
            begins,
            expires,
        })
    }
}

/// What every authority of a cluster is called: they differ in their keys.
fn issuer(cluster: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = called(&format!("fleet authority of {cluster}"));
    // It signs nodes, and nothing that signs.
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params
}

fn called(name: &str) -> DistinguishedName {
    let mut called = DistinguishedName::new();
    called.push(DnType::CommonName, name);
    called
}

/// In whole seconds, as certificates count.
pub(crate) fn valid(
    params: &mut CertificateParams,
    begins: SystemTime,
    expires: SystemTime,
) -> Result<(), AuthorityError> {
    let since = |at: SystemTime| {
        let since = at.duration_since(UNIX_EPOCH);
        since.map(|since| Duration::from_secs(since.as_secs()))
    };
    let epoch = date_time_ymd(1970, 1, 1);
    let (Ok(begins), Ok(expires)) = (since(begins), since(expires)) else {
        return Err(AuthorityError::Clock);
    };
    params.not_before = epoch + begins;
    params.not_after = epoch + expires;
    Ok(())
}
