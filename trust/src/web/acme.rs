//! What it takes to be given a certificate by an authority (ACME): a signed request for it, the
//! certificate by which a host shows in a handshake that it is ours, and a connection to the
//! authority's own server.

use std::io;
use std::sync::Arc;

use rcgen::{
    CertificateParams, CustomExtension, DistinguishedName, ExtendedKeyUsagePurpose, IsCa,
    KeyUsagePurpose, SanType,
};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::blocks::Blocks;
use super::content::WebCertificate;
use super::faults::Faulty;
use super::identity::Identity;
use crate::{AuthorityError, NodeKey, pem, provider, sha256};

/// What a client says it speaks when it asks for such a certificate, and nothing else beside
/// (RFC 8737, 3).
pub(super) const ACME_TLS_1: &[u8] = b"acme-tls/1";

impl WebCertificate {
    /// A request for a certificate for `names`, signed with its key: DER (PKCS #10).
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn request<'a>(
        key: &NodeKey,
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Vec<u8>, AuthorityError> {
        let params = for_hosts(names)?;
        let request = params.serialize_request(key.pair())?;
        Ok(request.der().to_vec())
    }

    /// Reads and checks what an authority gave for a key: PEM, that of the server first.
    ///
    /// # Errors
    /// The first fault that is found, with the block it is in.
    pub fn given(chain: &str, key: &NodeKey) -> Result<Self, Faulty> {
        Self::read(&Blocks {
            certificate: chain.as_bytes().to_vec(),
            chain: Vec::new(),
            key: pem::key_to_pem(key).into_bytes(),
        })
    }
}

impl Identity {
    /// What is shown to an authority that asks `host` in a handshake for `proof` (RFC 8737, 3):
    /// signed by itself, for that host alone, with the digest of the proof.
    ///
    /// # Errors
    /// When the host cannot stand in a certificate, or the system has no randomness.
    pub fn answering(host: &str, proof: &str) -> Result<Self, AuthorityError> {
        let key = NodeKey::generate()?;
        let mut params = for_hosts([host])?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(&sha256(
            proof.as_bytes(),
        ))];
        let certificate = params.self_signed(key.pair())?;
        // Its extension is critical, and known to those who ask for it alone.
        Self::unchecked(&[certificate.der()], &key.to_pkcs8())
            .map_err(|_| AuthorityError::Name(host.to_owned()))
    }
}

fn for_hosts<'a>(
    names: impl IntoIterator<Item = &'a str>,
) -> Result<CertificateParams, AuthorityError> {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    for name in names {
        let odd = |_| AuthorityError::Name(name.to_owned());
        let name = name.try_into().map_err(odd)?;
        params.subject_alt_names.push(SanType::DnsName(name));
    }
    Ok(params)
}

/// Connects to servers of the world whose certificates are signed by one that is believed.
#[derive(Clone)]
pub struct Believing(TlsConnector);

impl Believing {
    /// What cannot be read of `roots` is believed by nobody.
    ///
    /// # Errors
    /// None that this build could run into: the provider knows both versions.
    pub fn new(
        roots: impl IntoIterator<Item = CertificateDer<'static>>,
    ) -> Result<Self, rustls::Error> {
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&versions)?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Takes as long as the server does: whoever calls sets a limit.
    ///
    /// # Errors
    /// When nothing answers there, or nothing that is believed.
    pub async fn connect(&self, host: &str, port: u16) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
        let tcp = TcpStream::connect((host, port)).await?;
        tcp.set_nodelay(true)?;
        self.0.connect(name, tcp).await
    }
}

impl std::fmt::Debug for Believing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Believing")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_digest_of_the_proof_stands_in_the_answer() {
        let answer = Identity::answering("shop.test", "token.thumb").unwrap();
        let der = answer.certificate();
        let holds = |bytes: &[u8]| der.windows(bytes.len()).any(|window| window == bytes);
        // 1.3.6.1.5.5.7.1.31, critical, an octet string in an octet string (RFC 8737, 3).
        let extension = [
            &[0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 1, 31, 0x01, 0x01, 0xff][..],
            &[0x04, 0x22, 0x04, 0x20],
            &sha256(b"token.thumb"),
        ]
        .concat();
        assert!(holds(&extension) && holds(b"shop.test"));
        assert!(Identity::answering("ümlaut", "a.b").is_err());
    }

    #[test]
    fn a_request_names_the_hosts_and_is_signed() {
        let key = NodeKey::generate().unwrap();
        let der = WebCertificate::request(&key, ["a.shop.test", "b.shop.test"]).unwrap();
        for part in [&b"a.shop.test"[..], b"b.shop.test", key.public().as_bytes()] {
            assert!(der.windows(part.len()).any(|window| window == part));
        }
    }
}
