//! Between nodes TLS 1.3 is spoken and nothing else, although the library can do 1.2 for clients of the
//! ingress.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::SystemTime;

use fleet_trust::{Authority, Credentials, Incoming, NodeKey, pinned};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion, version};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

fn node(authority: &Authority) -> Credentials {
    let key = NodeKey::generate().unwrap();
    let signed = authority
        .sign(1, ["control"], &key.public(), SystemTime::now())
        .unwrap();
    let authorities = vec![authority.certificate().clone()];
    Credentials::new(&signed.certificate, &key, authorities, signed.begins).unwrap()
}

fn stranger(authority: &Authority, versions: &[&'static SupportedProtocolVersion]) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let mut config = builder
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn host() -> ServerName<'static> {
    "control.fleet.internal".try_into().unwrap()
}

#[tokio::test]
async fn a_node_answers_in_tls_1_3_alone() {
    let authority = Authority::found("c1", SystemTime::now()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let credentials = Arc::new(node(&authority));
    let _incoming = Incoming::new(listener, move || credentials.clone());
    for (versions, spoken) in [
        (&[&version::TLS12][..], false),
        (&[&version::TLS12, &version::TLS13], true),
    ] {
        let connector = TlsConnector::from(Arc::new(stranger(&authority, versions)));
        let tcp = TcpStream::connect(address).await.unwrap();
        let answer = connector.connect(host(), tcp).await;
        assert_eq!(answer.is_ok(), spoken, "{:?}", answer.as_ref().err());
        if let Ok(stream) = answer {
            let version = stream.get_ref().1.protocol_version();
            assert_eq!(version, Some(rustls::ProtocolVersion::TLSv1_3));
        }
    }
}

#[tokio::test]
async fn whoever_calls_a_node_speaks_tls_1_3_alone() {
    let authority = Authority::found("c1", SystemTime::now()).unwrap();
    let credentials = node(&authority);
    // A server that would speak 1.2 and shows the right certificate.
    let certified = WithKey::of(&authority);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut server = rustls::ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(certified.chain, certified.key)
        .unwrap();
    server.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(server));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            let _ = acceptor.accept(tcp).await;
        }
    });
    let pinned = pinned(&[authority.fingerprint()]).unwrap();
    for client in [credentials.client(), pinned] {
        let tcp = TcpStream::connect(address).await.unwrap();
        let error = TlsConnector::from(client)
            .connect(host(), tcp)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("ProtocolVersion"), "{error}");
    }
    // It is the version that was refused: with 1.2 allowed the same server is believed.
    let tcp = TcpStream::connect(address).await.unwrap();
    let client = Arc::new(stranger(&authority, &[&version::TLS12]));
    TlsConnector::from(client)
        .connect(host(), tcp)
        .await
        .unwrap();
}

/// A node's certificate with its key, for a server of another kind.
struct WithKey {
    chain: Vec<rustls::pki_types::CertificateDer<'static>>,
    key: rustls::pki_types::PrivateKeyDer<'static>,
}

impl WithKey {
    fn of(authority: &Authority) -> Self {
        let key = NodeKey::generate().unwrap();
        let signed = authority
            .sign(1, ["control"], &key.public(), SystemTime::now())
            .unwrap();
        Self {
            chain: vec![signed.certificate, authority.certificate().clone()],
            key: rustls::pki_types::PrivatePkcs8KeyDer::from(key.to_pkcs8()).into(),
        }
    }
}
