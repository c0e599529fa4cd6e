//! A client that says which certificates it believes.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::tests::world::PATIENCE;

#[derive(Clone)]
pub(super) struct Client(ClientConfig);

type Secure = TlsStream<TcpStream>;
type Sender = http1::SendRequest<Empty<Bytes>>;

impl Client {
    pub(super) fn trusting(
        roots: &[&[u8]],
        versions: &[&'static SupportedProtocolVersion],
    ) -> Self {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(CertificateDer::from(root.to_vec())).unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider);
        let mut config = builder
            .with_protocol_versions(versions)
            .unwrap()
            .with_root_certificates(store)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Self(config)
    }

    pub(super) fn speaking(&self, protocols: &[&str]) -> Self {
        let mut config = self.0.clone();
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        Self(config)
    }

    /// Says for nobody what host it wants.
    pub(super) fn nameless(&self) -> Self {
        let mut config = self.0.clone();
        config.enable_sni = false;
        Self(config)
    }

    /// Resumes sessions; clones remember together.
    pub(super) fn remembering(mut self) -> Self {
        self.0.resumption = Resumption::in_memory_sessions(32);
        self
    }

    pub(super) async fn shake(&self, address: SocketAddr, host: &str) -> io::Result<Secure> {
        let connector = TlsConnector::from(Arc::new(self.0.clone()));
        let host = ServerName::try_from(host.to_owned()).unwrap();
        let shaken = async {
            connector
                .connect(host, TcpStream::connect(address).await?)
                .await
        };
        tokio::time::timeout(PATIENCE, shaken)
            .await
            .expect("a handshake or its end")
    }
}

/// Status and body of one GET, after which the connection is closed.
pub(super) async fn get(stream: Secure, host: &str, path: &str) -> (u16, String) {
    let (mut sender, driving) = open(stream).await;
    let answer = ask(&mut sender, host, path).await;
    driving.abort();
    answer
}

pub(super) async fn open(stream: Secure) -> (Sender, JoinHandle<hyper::Result<()>>) {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    (sender, tokio::spawn(connection))
}

pub(super) async fn ask(sender: &mut Sender, host: &str, path: &str) -> (u16, String) {
    let request = Request::get(path)
        .header("host", host)
        .body(Empty::new())
        .unwrap();
    let answer = async {
        sender.ready().await.unwrap();
        answer(sender.send_request(request).await.unwrap()).await
    };
    tokio::time::timeout(PATIENCE, answer)
        .await
        .expect("an answer")
}

pub(super) async fn get_h2(stream: Secure, host: &str, path: &str) -> (u16, String) {
    let builder = http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    let driving = tokio::spawn(connection);
    let uri = format!("https://{host}{path}");
    let request = Request::get(uri).body(Empty::<Bytes>::new()).unwrap();
    let sent = tokio::time::timeout(PATIENCE, sender.send_request(request)).await;
    let answer = answer(sent.expect("an answer").unwrap()).await;
    driving.abort();
    answer
}

async fn answer(response: http::Response<hyper::body::Incoming>) -> (u16, String) {
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}
