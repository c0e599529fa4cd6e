//! Ways into a contender: plain, and TLS 1.3 with or without the memory of a session.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::Result;
use fleet_trust::{NodeKey, certificates_to_pem, key_to_pem};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::wait;

/// What all contenders show: ECDSA P-256, the kind that ACME clients ask for.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) certificate: CertificateDer<'static>,
    /// PKCS #8.
    pub(super) key: Vec<u8>,
    /// Both, as haproxy and nginx read them.
    pub(super) pem: String,
}

impl Certificate {
    pub(super) fn new() -> Result<Self> {
        let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256)?;
        let names = vec!["*.bench.test".to_owned()];
        let certificate = rcgen::CertificateParams::new(names)?.self_signed(&key)?;
        let certificate = certificate.der().clone();
        let key = NodeKey::from_pkcs8(&key.serialize_der())?;
        Ok(Self {
            pem: certificates_to_pem([&certificate]) + &key_to_pem(&key),
            certificate,
            key: key.to_pkcs8(),
        })
    }

    /// A client that believes it and speaks nothing but TLS 1.3; with a memory for sessions or without.
    fn client(&self, resumption: Resumption) -> Result<TlsConnector> {
        let mut roots = RootCertStore::empty();
        roots.add(self.certificate.clone())?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.resumption = resumption;
        Ok(TlsConnector::from(Arc::new(config)))
    }
}

/// How connections are made.
#[derive(Clone)]
pub(super) enum Entry {
    Plain(SocketAddr),
    /// TLS 1.3, and how many handshakes were whole so far.
    Tls(SocketAddr, TlsConnector, Arc<AtomicUsize>),
}

pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

impl Entry {
    /// Each handshake whole.
    pub(super) fn whole(to: SocketAddr, shown: &Certificate) -> Result<Self> {
        let client = shown.client(Resumption::disabled())?;
        Ok(Self::Tls(to, client, Arc::default()))
    }

    /// Each handshake resumed, once there is a session.
    pub(super) fn resumed(to: SocketAddr, shown: &Certificate) -> Result<Self> {
        let client = shown.client(Resumption::in_memory_sessions(256))?;
        Ok(Self::Tls(to, client, Arc::default()))
    }

    /// Handshakes until now that resumed no session.
    pub(super) fn whole_handshakes(&self) -> usize {
        match self {
            Self::Plain(_) => 0,
            Self::Tls(_, _, whole) => whole.load(Ordering::Relaxed),
        }
    }

    /// A connection for requests to `host`. With `linger` it ends as connections do; without, by a
    /// reset: those that linger would use up the ports.
    pub(super) async fn open(&self, host: &str, linger: bool) -> Result<Box<dyn Stream>> {
        let (Self::Plain(to) | Self::Tls(to, ..)) = self;
        let tcp = tokio::time::timeout(wait::GENEROUS, TcpStream::connect(to)).await??;
        tcp.set_nodelay(true)?;
        if !linger {
            tcp.set_zero_linger()?;
        }
        let Self::Tls(_, client, whole) = self else {
            return Ok(Box::new(tcp));
        };
        let name = ServerName::try_from(host.to_owned())?;
        let stream = tokio::time::timeout(wait::GENEROUS, client.connect(name, tcp)).await??;
        if stream.get_ref().1.handshake_kind() != Some(HandshakeKind::Resumed) {
            whole.fetch_add(1, Ordering::Relaxed);
        }
        Ok(Box::new(stream))
    }
}
