//! The certificate that a cluster makes for itself.
//!
//! It is an authority for the names below the cluster's domain and for nothing else, which a name
//! constraint says. Hosts are `<service>.<environment>.<app>.<domain>`, more labels than a wildcard
//! stands for, and come and go; so an ingress signs one for each host as it is asked for. Whoever
//! trusts the one certificate can verify them all: `curl --cacert`.

use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyUsagePurpose, NameConstraints, SanType,
};

use super::content::WebCertificate;
use super::identity::Identity;
use crate::authority::{BACKDATED, valid};
use crate::{AuthorityError, NodeKey};

/// Long, because people put it where they trust it; made anew by the cluster after two thirds.
const LIFETIME: Duration = Duration::from_secs(15 * 365 * 86_400);

/// Of one for a host. Some clients believe none that lives longer than 398 days.
const OF_HOST: Duration = Duration::from_secs(90 * 86_400);

/// Signs certificates for the hosts of one domain.
#[derive(Debug)]
pub struct OwnIssuer {
    domain: String,
    certificate: Vec<u8>,
    key: NodeKey,
}

impl OwnIssuer {
    /// A new one for `domain`, to be kept by the cluster.
    ///
    /// # Errors
    /// When the domain cannot stand in a certificate, or the system has no randomness.
    pub fn found(domain: &str, now: SystemTime) -> Result<WebCertificate, AuthorityError> {
        let key = NodeKey::generate()?;
        let (begins, expires) = (now - BACKDATED, now + LIFETIME);
        let mut params = issuer(domain);
        valid(&mut params, begins, expires)?;
        let certificate = params.self_signed(key.pair())?;
        Ok(WebCertificate {
            chain: vec![certificate.der().to_vec()],
            key: key.to_pkcs8(),
            common_name: called(domain),
            organization: String::new(),
            names: vec![domain.to_owned(), format!("*.{domain}")],
            begins,
            expires,
            chain_expires: None,
        })
    }

    /// The same from what was kept.
    ///
    /// # Errors
    /// When the bytes are no such key.
    pub fn restore(domain: &str, certificate: &[u8], key: &[u8]) -> Result<Self, AuthorityError> {
        Ok(Self {
            domain: domain.to_owned(),
            certificate: certificate.to_vec(),
            key: NodeKey::from_pkcs8(key)?,
        })
    }

    /// Its own certificate, DER: the one to trust.
    #[must_use]
    pub fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    /// For one host, or for the domain and what is directly below it.
    ///
    /// # Errors
    /// When the host cannot stand in a certificate, or the clock is far off.
    pub fn identity(
        &self,
        host: Option<&str>,
        now: SystemTime,
    ) -> Result<Identity, AuthorityError> {
        let names = match host {
            Some(host) => vec![host.to_owned()],
            None => vec![self.domain.clone(), format!("*.{}", self.domain)],
        };
        let mut params = CertificateParams::default();
        valid(&mut params, now - BACKDATED, now + OF_HOST)?;
        params.distinguished_name = DistinguishedName::new();
        for name in names {
            let name = name
                .as_str()
                .try_into()
                .map_err(|_| AuthorityError::Name(name.clone()))?;
            params.subject_alt_names.push(SanType::DnsName(name));
        }
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = issuer(&self.domain);
        let issuer = Issuer::from_params(&issuer, self.key.pair());
        // One key for all of them: who has it can sign for all of them anyway.
        let signed = params.signed_by(&self.key.public(), &issuer)?;
        let chain = [signed.der().as_ref(), self.certificate.as_slice()];
        let odd = |_| AuthorityError::Name(host.unwrap_or(&self.domain).to_owned());
        Identity::new(&chain, &self.key.to_pkcs8()).map_err(odd)
    }
}

fn issuer(domain: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, called(domain));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![GeneralSubtree::DnsName(domain.to_owned())],
        excluded_subtrees: Vec::new(),
    });
    params
}

fn called(domain: &str) -> String {
    format!("fleet self-signed for {domain}")
}
