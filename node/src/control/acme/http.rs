//! How authorities are spoken to: HTTP/1.1 over TLS, a connection for each request. An order is a
//! dozen of them in a quarter of a year.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use fleet_model::{Time, time::Millis};
use fleet_trust::Believing;
use http::{
    HeaderMap, HeaderValue, Request, Response, StatusCode, Uri,
    header::{HOST, RETRY_AFTER},
    uri::PathAndQuery,
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::control::authority::instant;

/// For one request with its answer, connecting included.
const WITHIN: Duration = Duration::from_secs(30);

/// Bytes of an answer: many times a long chain.
const LARGEST: usize = 1 << 20;

/// Speaks to one authority.
#[derive(Clone, Debug)]
pub(super) struct Http {
    believing: Believing,
    patience: Patience,
}

/// Until when the authority wants to be left alone, as it last said with a refusal.
#[derive(Clone, Debug, Default)]
pub(super) struct Patience(Arc<Mutex<Option<Time>>>);

impl Http {
    pub(super) fn new(believing: Believing, patience: Patience) -> Self {
        Self {
            believing,
            patience,
        }
    }
}

impl Patience {
    pub(super) fn until(&self) -> Option<Time> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn heed(&self, status: StatusCode, headers: &HeaderMap, now: SystemTime) {
        // With an answer that is no refusal it says when to look again, which is heeded elsewhere.
        let refused = matches!(
            status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        );
        let until = headers.get(RETRY_AFTER).filter(|_| refused);
        let until = until.and_then(|value| asked(value.to_str().ok()?, now));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// Seconds or a date (RFC 9110, 10.2.3).
fn asked(value: &str, now: SystemTime) -> Option<Time> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(instant(now).plus(Millis::seconds(seconds)));
    }
    let date = jiff::fmt::rfc2822::parse(value.trim()).ok()?;
    let millis = u64::try_from(date.timestamp().as_millisecond()).ok()?;
    Some(Time(millis))
}

impl HttpClient for Http {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let this = self.clone();
        Box::pin(async move {
            let answer = tokio::time::timeout(WITHIN, ask(&this.believing, request)).await;
            let answer = answer
                .map_err(|_| HttpError::Silent)
                .and_then(|answer| answer)
                .map_err(|error| Error::Other(Box::new(error)))?;
            this.patience
                .heed(answer.status(), answer.headers(), SystemTime::now());
            Ok(BytesResponse::from(answer))
        })
    }
}

#[derive(Debug, thiserror::Error)]
enum HttpError {
    #[error("the authority's address is none that can be asked")]
    Address,
    #[error("the authority cannot be reached")]
    Connect(#[source] std::io::Error),
    #[error("the authority did not answer in {} s", WITHIN.as_secs())]
    Silent,
    #[error("the authority gave no proper answer")]
    Answer(#[source] Box<dyn std::error::Error + Send + Sync>),
}

async fn ask(
    believing: &Believing,
    request: Request<BodyWrapper<Bytes>>,
) -> Result<Response<Full<Bytes>>, HttpError> {
    let (mut parts, body) = request.into_parts();
    let (host, port) = server(&parts.uri).ok_or(HttpError::Address)?;
    let authority = parts.uri.authority().ok_or(HttpError::Address)?;
    let named = HeaderValue::try_from(authority.as_str()).map_err(|_| HttpError::Address)?;
    parts.headers.insert(HOST, named);
    // Of the server it is asked by its path alone.
    let path = parts.uri.path_and_query().cloned();
    parts.uri = path
        .unwrap_or_else(|| PathAndQuery::from_static("/"))
        .into();

    let stream = believing.connect(&host, port).await;
    let stream = TokioIo::new(stream.map_err(HttpError::Connect)?);
    let broken = |error: hyper::Error| HttpError::Answer(Box::new(error));
    let (mut sender, connection) = http1::handshake(stream).await.map_err(broken)?;
    let exchange = async {
        let answer = sender.send_request(Request::from_parts(parts, body)).await;
        let (head, body) = answer.map_err(broken)?.into_parts();
        let body = Limited::new(body, LARGEST).collect().await;
        let body = body.map_err(HttpError::Answer)?.to_bytes();
        Ok(Response::from_parts(head, Full::new(body)))
    };
    tokio::pin!(exchange);
    let mut driven = std::pin::pin!(connection);
    let mut over = false;
    loop {
        tokio::select! {
            answer = &mut exchange => return answer,
            // What it ended with is heard from the exchange.
            _ = &mut driven, if !over => over = true,
        }
    }
}

/// Host and port of an address with the scheme `https`.
fn server(uri: &Uri) -> Option<(String, u16)> {
    let secure = uri.scheme_str() == Some("https");
    // An IPv6 address stands in brackets there and not here.
    let host = uri.host().filter(|_| secure)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    Some((host.to_owned(), uri.port_u16().unwrap_or(443)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_says_in_seconds_or_by_a_date_when_it_will_be_asked_again() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let table = [
            ("120", Some(Time(1_000_120_000))),
            (
                "Wed, 21 Oct 2015 07:28:00 GMT",
                Some(Time(1_445_412_480_000)),
            ),
            ("soon", None),
            ("-1", None),
        ];
        for (said, expected) in table {
            assert_eq!(asked(said, now), expected, "{said}");
        }
        let patience = Patience::default();
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("5"));
        patience.heed(StatusCode::OK, &headers, now);
        assert_eq!(patience.until(), None);
        patience.heed(StatusCode::TOO_MANY_REQUESTS, &headers, now);
        assert_eq!(patience.until(), Some(Time(1_000_005_000)));
    }

    #[test]
    fn only_https_is_asked() {
        let server = |uri: &'static str| server(&Uri::from_static(uri));
        assert_eq!(server("http://ca.test/dir"), None);
        assert_eq!(
            server("https://ca.test/dir"),
            Some(("ca.test".to_owned(), 443))
        );
        assert_eq!(
            server("https://[::1]:14000/dir"),
            Some(("::1".to_owned(), 14_000))
        );
    }
}
