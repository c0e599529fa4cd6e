//! Asks a frontend whether it is well, from outside, as an ingress would reach it.
//!
//! A check goes to the address that ingresses use, whatever its path says; it follows no
//! redirect, reads at most 64 KiB of an answer it does not care about, and never outlives its
//! timeout. What answers add up to is the business of [`Health`] and [`Rows`].

mod health;
mod rows;

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::Code;
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

pub(crate) use self::{
    health::{Health, Verdict},
    rows::{Row, Rows},
};
use super::assignment::CheckKind;

/// Of the answer's body; the status is all that counts.
const BODY_LIMIT: usize = 64 * 1024;

/// One check; `Err` says why it failed, in words for the author of the release.
pub(crate) async fn probe(
    kind: &CheckKind,
    patience: Duration,
    address: &str,
) -> Result<(), String> {
    let attempt = async {
        match kind {
            CheckKind::Settle => Ok(()),
            CheckKind::Tcp => connect(address).await.map(drop),
            CheckKind::Http(path) => get(address, path).await,
            CheckKind::Grpc => ask(address).await,
        }
    };
    match timeout(patience, attempt).await {
        Ok(result) => result,
        Err(_) => Err(format!("no answer within {} s", patience.as_secs_f64())),
    }
}

async fn connect(address: &str) -> Result<TcpStream, String> {
    let refused = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::ConnectionRefused => format!("nothing listens on {address}"),
        _ => format!("could not connect to {address}: {error}"),
    };
    TcpStream::connect(address).await.map_err(refused)
}

async fn get(address: &str, path: &str) -> Result<(), String> {
    let stream = connect(address).await?;
    let broken = |error: hyper::Error| format!("answered with something that is not HTTP: {error}");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let request = http::Request::get(path)
        .header(http::header::HOST, address)
        .header(http::header::USER_AGENT, "fleet-probe")
        .header(http::header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| format!("could not ask for {path}: {error}"))?;
    let exchange = async {
        let response = sender.send_request(request).await.map_err(broken)?;
        let status = response.status();
        if !(status.is_success() || status.is_redirection()) {
            return Err(format!("answered with status {}", status.as_u16()));
        }
        drain(response.into_body()).await;
        Ok(())
    };
    // The connection is driven beside the exchange and dropped with it.
    tokio::select! {
        result = exchange => result,
        Err(error) = async { connection.await.map_err(broken) } => Err(error),
    }
}

/// Asks for the health of the whole server, as clients of gRPC do.
async fn ask(address: &str) -> Result<(), String> {
    // Who listens is asked first, since that failure has its own words.
    drop(connect(address).await?);
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|error| format!("could not ask {address}: {error}"))?;
    let failed = |error: &dyn std::fmt::Display| format!("did not answer in gRPC: {error}");
    let channel = endpoint.connect().await.map_err(|error| failed(&error))?;
    let answer = HealthClient::new(channel)
        .check(HealthCheckRequest::default())
        .await
        .map_err(|status| match status.code() {
            Code::Unimplemented => "has no health service (grpc.health.v1.Health)".to_owned(),
            _ => failed(&status.message()),
        })?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(format!("says that it is {}", status.as_str_name())),
    }
}

/// Lets a frontend finish a small answer, so that its log shows no broken pipe each second.
async fn drain(mut body: hyper::body::Incoming) {
    let mut read = 0;
    let all = async {
        while let Some(Ok(frame)) = body.frame().await {
            read += frame.data_ref().map_or(0, Bytes::len);
            if read >= BODY_LIMIT {
                break;
            }
        }
    };
    // The status has been seen: a body that dribbles changes nothing about it.
    let _ = timeout(Duration::from_millis(500), all).await;
}

#[cfg(test)]
mod tests;
