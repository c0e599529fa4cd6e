//! An HTTPS client that says what it believes.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use bytes::Bytes;
use fleet_trust::certificates_from_pem;
use http_body_util::{BodyExt as _, Empty};
use hyper::Request;
use hyper_util::rt::TokioIo;
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// For one handshake or one answer, on a machine that is shared with a compiler.
const WITHIN: Duration = Duration::from_secs(30);

#[derive(Clone)]
pub(crate) struct Client(ClientConfig);

impl Client {
    pub(crate) fn trusting_pem(roots: &[&str]) -> Result<Self> {
        let mut store = RootCertStore::empty();
        for root in roots {
            for der in certificates_from_pem(root)? {
                store.add(der)?;
            }
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(store)
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        Ok(Self(config))
    }

    /// Resumes sessions; clones remember together.
    pub(crate) fn remembering(mut self) -> Self {
        self.0.resumption = Resumption::in_memory_sessions(32);
        self
    }

    async fn shake(&self, address: SocketAddr, host: &str) -> Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.0.clone()));
        let host = ServerName::try_from(host.to_owned())?;
        let shaken = async {
            connector
                .connect(host, TcpStream::connect(address).await?)
                .await
        };
        tokio::time::timeout(WITHIN, shaken)
            .await
            .context("no end of a handshake")?
            .context("no handshake")
    }

    /// Status and body of one GET on a connection of its own.
    pub(crate) async fn get(
        &self,
        address: SocketAddr,
        host: &str,
        path: &str,
    ) -> Result<(u16, String)> {
        let stream = self.shake(address, host).await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driving = tokio::spawn(connection);
        let request = Request::get(path)
            .header("host", host)
            .body(Empty::<Bytes>::new())?;
        let answer = tokio::time::timeout(WITHIN, async {
            let answer = sender.send_request(request).await?;
            let status = answer.status().as_u16();
            let body = answer.into_body().collect().await?.to_bytes();
            anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
        })
        .await
        .context("no answer")?;
        driving.abort();
        answer
    }

    /// Whether the next handshake takes up an earlier session.
    pub(crate) async fn resumes(&self, address: SocketAddr, host: &str) -> Result<bool> {
        let stream = self.shake(address, host).await?;
        Ok(stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed))
    }
}

/// The head of what is answered to a GET in plain HTTP.
pub(crate) async fn plain_head(address: SocketAddr, host: &str, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    tokio::time::timeout(WITHIN, stream.read_to_end(&mut answer))
        .await
        .context("no answer")??;
    let text = String::from_utf8_lossy(&answer);
    Ok(text.split("\r\n\r\n").next().unwrap_or_default().to_owned())
}
