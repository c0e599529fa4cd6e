//! What a node shows and whom it believes, as TLS wants it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::client::Resumption;
use rustls::client::WebPkiServerVerifier;
use rustls::pki_types::{CertificateDer, UnixTime};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

use crate::{Fingerprint, NodeKey, NodeName, provider};

/// gRPC is spoken over nothing else.
pub(crate) const H2: &[u8] = b"h2";

/// A node's certificate with its key, and the authorities whose nodes it believes. Immutable:
/// renewed ones are new ones.
#[derive(Clone, Debug)]
pub struct Credentials {
    name: NodeName,
    authorities: Arc<[CertificateDer<'static>]>,
    client: Arc<ClientConfig>,
    server: Arc<ServerConfig>,
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("the certificate names no node")]
    Nameless,
    #[error("no authority that is believed has signed the certificate")]
    Unsigned,
    #[error("certificate and key do not make a TLS identity")]
    Tls(#[from] rustls::Error),
    #[error("the authorities cannot be believed")]
    Authorities(#[from] rustls::server::VerifierBuilderError),
}

impl Credentials {
    /// `good` is any moment at which the certificate is, or was, good: a node whose certificate has
    /// expired must start all the same, and is told by others that they do not believe it.
    ///
    /// # Errors
    /// When the parts do not belong together.
    pub fn new(
        certificate: &CertificateDer<'static>,
        key: &NodeKey,
        authorities: Vec<CertificateDer<'static>>,
        good: SystemTime,
    ) -> Result<Self, CredentialsError> {
        let name = NodeName::in_certificate(certificate).ok_or(CredentialsError::Nameless)?;
        let issuer =
            issuer_of(certificate, &authorities, good).ok_or(CredentialsError::Unsigned)?;
        // The issuer goes along for those who know it by its fingerprint alone.
        let chain = vec![certificate.clone(), issuer.clone()];
        let mut roots = RootCertStore::empty();
        for authority in &authorities {
            roots.add(authority.clone())?;
        }
        let roots = Arc::new(roots);
        Ok(Self {
            name,
            client: Arc::new(client(chain.clone(), key, roots.clone())?),
            server: Arc::new(server(chain, key, roots)?),
            authorities: authorities.into(),
        })
    }

    #[must_use]
    pub fn name(&self) -> &NodeName {
        &self.name
    }

    #[must_use]
    pub fn authorities(&self) -> &[CertificateDer<'static>] {
        &self.authorities
    }

    /// For calls to other nodes, with this node's certificate.
    #[must_use]
    pub fn client(&self) -> Arc<ClientConfig> {
        self.client.clone()
    }

    /// For calls of others, who may show a certificate or none.
    #[must_use]
    pub fn server(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// Which of the believed authorities signed a certificate that TLS let through.
    pub(crate) fn signed_by(&self, certificate: &CertificateDer<'_>) -> Option<Fingerprint> {
        issuer_of(certificate, &self.authorities, SystemTime::now()).map(Fingerprint::of)
    }
}

fn client(
    chain: Vec<CertificateDer<'static>>,
    key: &NodeKey,
    roots: Arc<RootCertStore>,
) -> Result<ClientConfig, CredentialsError> {
    let provider = provider();
    let verifier = WebPkiServerVerifier::builder_with_provider(roots, provider.clone()).build()?;
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(chain, key.for_tls())?;
    config.alpn_protocols = vec![H2.to_vec()];
    config.resumption = Resumption::disabled();
    Ok(config)
}

fn server(
    chain: Vec<CertificateDer<'static>>,
    key: &NodeKey,
    roots: Arc<RootCertStore>,
) -> Result<ServerConfig, CredentialsError> {
    let provider = provider();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
        .allow_unauthenticated()
        .build()?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key.for_tls())?;
    config.alpn_protocols = vec![H2.to_vec()];
    // A resumed session would outlive the certificate that began it.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Ok(config)
}

/// The authority whose signature a certificate carries. All of them have the same name.
fn issuer_of<'a>(
    certificate: &CertificateDer<'_>,
    authorities: &'a [CertificateDer<'static>],
    at: SystemTime,
) -> Option<&'a CertificateDer<'static>> {
    let leaf = webpki::EndEntityCert::try_from(certificate).ok()?;
    let known = provider().signature_verification_algorithms;
    let at = UnixTime::since_unix_epoch(at.duration_since(UNIX_EPOCH).ok()?);
    authorities.iter().find(|authority| {
        let Ok(anchor) = webpki::anchor_from_trusted_cert(authority) else {
            return false;
        };
        let anchors = [anchor];
        let usage = webpki::KeyUsage::client_auth();
        let verified = leaf.verify_for_usage(known.all, &anchors, &[], at, usage, None, None);
        verified.is_ok()
    })
}
