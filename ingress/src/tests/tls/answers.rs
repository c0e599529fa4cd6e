//! What authorities that give certificates ask, and are answered.

use std::sync::Arc;

use fleet_proto::internal as wire;
use fleet_trust::sha256;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, Error, SignatureScheme, version};
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::client::{Client, get};
use super::material::{Given, own, secured};
use crate::tests::frontend::Frontend;
use crate::tests::world::{HOST, PATIENCE, table, world};

const PAGE: &str = "/.well-known/acme-challenge/page";

/// prod redirects, and an authority asks it in both ways; of stage nobody knows.
fn asked(frontend: &Frontend, prod: &Given) -> wire::RouteTable {
    let certificates = vec![own().wire, prod.wire("prod")];
    let mut routes = secured(table(1, &[frontend]), &["prod"], certificates);
    routes.environments[0].redirect = true;
    let answer = |token: &str, tls_alpn| wire::AcmeAnswer {
        host: HOST.to_owned(),
        token: token.to_owned(),
        proof: format!("{token}.thumb"),
        tls_alpn,
    };
    if let Some(tls) = &mut routes.tls {
        tls.answers = vec![answer("page", false), answer("shake", true)];
    }
    routes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_for_an_authority_comes_before_redirection_maintenance_and_routing() {
    let frontend = Frontend::start(1).await;
    let prod = Given::new(&[HOST]);
    for maintenance in [false, true] {
        let mut routes = asked(&frontend, &prod);
        routes.environments[0].maintenance = maintenance;
        let (_control, ingress) = world(routes).await;
        let answered = (200, "page.thumb".to_owned());
        // By its host, by another that leads here, and through the other door.
        for host in [HOST, "nobody.test"] {
            assert_eq!(ingress.get(host, PAGE).await, answered, "{host}");
        }
        let client = Client::trusting(&[&prod.der], &[&version::TLS13]);
        let stream = client.shake(ingress.https, HOST).await.unwrap();
        assert_eq!(get(stream, HOST, PAGE).await, answered);
        // What is not known is treated like everything else.
        let (status, _) = ingress.get(HOST, "/.well-known/acme-challenge/other").await;
        assert_eq!(status, 308);
        let stream = client.shake(ingress.https, HOST).await.unwrap();
        let theirs = get(stream, HOST, "/.well-known/acme-challenge/other").await;
        match maintenance {
            true => assert_eq!(theirs.0, 503),
            false => assert_eq!(theirs, (200, "1".to_owned())),
        }
    }
    let lines: Vec<_> = frontend
        .seen()
        .iter()
        .map(|seen| seen.line.clone())
        .collect();
    assert_eq!(lines, ["GET /.well-known/acme-challenge/other"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handshake_for_an_authority_shows_the_proof_and_ends_there() {
    let frontend = Frontend::start(1).await;
    let prod = Given::new(&[HOST]);
    let (_control, ingress) = world(asked(&frontend, &prod)).await;
    let address = ingress.https;
    let shake = |host: &'static str, protocols: &'static [&'static str]| {
        authority(address, host, protocols)
    };
    let mut stream = shake(HOST, &["acme-tls/1"]).await.unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.alpn_protocol(), Some(&b"acme-tls/1"[..]));
    let [shown] = session.peer_certificates().unwrap() else {
        panic!("one certificate alone");
    };
    let digest = sha256(b"shake.thumb");
    assert!(shown.windows(32).any(|window| window == digest));
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert_eq!(ended.expect("the connection is closed").unwrap(), 0);

    // Hosts of which nobody asked: an alert and not a certificate.
    assert!(shake("stage.shop.test", &["acme-tls/1"]).await.is_err());
    // Who speaks something else too is a client like others.
    let stream = shake(HOST, &["acme-tls/1", "http/1.1"]).await.unwrap();
    let session = stream.get_ref().1;
    assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(session.peer_certificates().unwrap()[0].to_vec(), prod.der);
    assert!(frontend.seen().is_empty());
}

/// Shakes hands as an authority does, believing anything.
async fn authority(
    address: std::net::SocketAddr,
    host: &str,
    protocols: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Credulous))
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
    let host = ServerName::try_from(host.to_owned()).unwrap();
    let tcp = TcpStream::connect(address).await?;
    let shaken = TlsConnector::from(Arc::new(config)).connect(host, tcp);
    tokio::time::timeout(PATIENCE, shaken)
        .await
        .expect("a handshake or its end")
}

/// The tests look at what is shown themselves.
#[derive(Debug)]
struct Credulous;

impl ServerCertVerifier for Credulous {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![
            SignatureScheme::ECDSA_NISTP256_SHA256,
            SignatureScheme::RSA_PSS_SHA256,
        ]
    }
}
