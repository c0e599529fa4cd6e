//! The answers that come from the ingress itself.

use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};

/// The methods that pass; others that are not CONNECT or TRACE do too.
const PASSED: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// Why there is no answer of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason<'a> {
    /// The request cannot be one; the sentence says what is wrong.
    BadRequest(&'a str),
    /// CONNECT and TRACE.
    Method,
    /// No environment has the host.
    UnknownHost(&'a str),
    /// No table was ever received.
    NoTable,
    /// The client is not among those who are let in.
    Refused(&'a str),
    /// More than the environment's limits let through; seconds until it may be let in.
    TooMany(&'a str, u32),
    Maintenance(&'a str),
    /// Nobody healthy, for as long as the request was held.
    NobodyHealthy(&'a str),
    /// The frontend was reached and did not answer in HTTP.
    BadGateway(&'a str),
    Timeout(&'a str),
    /// The client did not send the rest of its request.
    SlowBody,
    /// The connection was made for another environment.
    Misdirected(&'a str),
    /// To HTTPS; the caller says where.
    Redirected(&'a str),
}

/// Why there are answers of ours, in the words of metrics and of the access log.
pub(super) const NAMES: [&str; 13] = [
    "bad_request",
    "method",
    "unknown_host",
    "not_admitted",
    "too_many",
    "no_table",
    "maintenance",
    "nobody_healthy",
    "bad_gateway",
    "timeout",
    "slow_body",
    "misdirected",
    "redirected",
];

/// Goes with a page, for those who count: why it was made, and for which host if it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// One of [`NAMES`].
    pub(super) reason: &'static str,
    pub(super) host: Option<String>,
}

const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
const GRPC_MESSAGE: HeaderName = HeaderName::from_static("grpc-message");

impl Reason<'_> {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownHost(_) => StatusCode::NOT_FOUND,
            Self::Refused(_) => StatusCode::FORBIDDEN,
            Self::TooMany(..) => StatusCode::TOO_MANY_REQUESTS,
            Self::NoTable | Self::Maintenance(_) | Self::NobodyHealthy(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::SlowBody => StatusCode::REQUEST_TIMEOUT,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Redirected(_) => StatusCode::PERMANENT_REDIRECT,
        }
    }

    /// The code by which clients of gRPC know it. What may be tried again is UNAVAILABLE; the rest
    /// as gRPC maps statuses of HTTP, except that a timeout is one. None for what is said to a
    /// client's HTTP and not to its gRPC: that it should connect otherwise.
    fn grpc_status(self) -> Option<HeaderValue> {
        const DEADLINE_EXCEEDED: &str = "4";
        const PERMISSION_DENIED: &str = "7";
        const RESOURCE_EXHAUSTED: &str = "8";
        const UNIMPLEMENTED: &str = "12";
        const INTERNAL: &str = "13";
        const UNAVAILABLE: &str = "14";
        let status = match self {
            Self::Timeout(_) | Self::SlowBody => DEADLINE_EXCEEDED,
            Self::UnknownHost(_) | Self::Method => UNIMPLEMENTED,
            Self::Refused(_) => PERMISSION_DENIED,
            Self::TooMany(..) => RESOURCE_EXHAUSTED,
            Self::BadRequest(_) => INTERNAL,
            Self::NoTable | Self::Maintenance(_) | Self::NobodyHealthy(_) | Self::BadGateway(_) => {
                UNAVAILABLE
            }
            Self::Misdirected(_) | Self::Redirected(_) => return None,
        };
        Some(HeaderValue::from_static(status))
    }

    fn told(self) -> Told {
        let (reason, host) = match self {
            Self::BadRequest(_) => ("bad_request", None),
            Self::Method => ("method", None),
            Self::UnknownHost(host) => ("unknown_host", Some(host)),
            Self::Refused(host) => ("not_admitted", Some(host)),
            Self::TooMany(host, _) => ("too_many", Some(host)),
            Self::NoTable => ("no_table", None),
            Self::Maintenance(host) => ("maintenance", Some(host)),
            Self::NobodyHealthy(host) => ("nobody_healthy", Some(host)),
            Self::BadGateway(host) => ("bad_gateway", Some(host)),
            Self::Timeout(host) => ("timeout", Some(host)),
            Self::SlowBody => ("slow_body", None),
            Self::Misdirected(host) => ("misdirected", Some(host)),
            Self::Redirected(host) => ("redirected", Some(host)),
        };
        let host = host.map(str::to_owned);
        Told { reason, host }
    }

    /// Seconds after which asking again may help.
    fn retry_after(self) -> Option<u32> {
        match self {
            Self::NoTable | Self::NobodyHealthy(_) => Some(1),
            Self::Maintenance(_) => Some(60),
            Self::TooMany(_, seconds) => Some(seconds),
            _ => None,
        }
    }

    fn sentence(self) -> String {
        match self {
            Self::BadRequest(what) => format!("The request was refused: {what}."),
            Self::Method => "This method is not served here.".to_owned(),
            Self::UnknownHost(host) => format!("No environment here answers for {host}."),
            Self::Refused(host) => format!("{host} is not open to your address."),
            Self::TooMany(host, _) => format!("{host} is asked for too much."),
            Self::NoTable => "This ingress has not received its routes yet.".to_owned(),
            Self::Maintenance(host) => format!("{host} is closed for maintenance."),
            Self::NobodyHealthy(host) => format!("Nothing healthy serves {host} right now."),
            Self::BadGateway(host) => format!("What serves {host} gave no proper answer."),
            Self::Timeout(host) => format!("What serves {host} did not answer in time."),
            Self::SlowBody => "The rest of the request did not come in time.".to_owned(),
            Self::Misdirected(host) => {
                format!("This connection was made for another host than {host}.")
            }
            Self::Redirected(_) => "This is served over HTTPS.".to_owned(),
        }
    }
}

/// The page: HTML for whoever asks for it, a status of gRPC for who speaks that, else plain text.
/// [`Told`] goes with it.
pub(super) fn page(reason: Reason<'_>, asked: &HeaderMap) -> Response<String> {
    let mut page = shown(reason, asked);
    page.extensions_mut().insert(reason.told());
    page
}

fn shown(reason: Reason<'_>, asked: &HeaderMap) -> Response<String> {
    let kind = asked.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    if kind.is_some_and(|kind| kind.starts_with(b"application/grpc"))
        && let Some(status) = reason.grpc_status()
    {
        return grpc(reason, status);
    }
    let html = asked.get_all(ACCEPT).iter().any(|accept| {
        accept
            .to_str()
            .is_ok_and(|accept| accept.contains("text/html"))
    });
    let status = reason.status();
    let title = format!(
        "{} {}",
        status.as_str(),
        status.canonical_reason().unwrap_or_default()
    );
    let sentence = reason.sentence();
    let (kind, body) = if html {
        let (title, sentence) = (escape(&title), escape(&sentence));
        let body = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <title>{title}</title></head>\n<body><h1>{title}</h1><p>{sentence}</p></body></html>\n"
        );
        ("text/html; charset=utf-8", body)
    } else {
        (
            "text/plain; charset=utf-8",
            format!("{title}\n{sentence}\n"),
        )
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if reason == Reason::Method {
        // RFC 9110, 15.5.6 wants it. What a frontend allows is its own business.
        headers.insert(ALLOW, HeaderValue::from_static(PASSED));
    }
    if let Some(seconds) = reason.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

/// A response of gRPC without a message: all of it is in the head.
fn grpc(reason: Reason<'_>, status: HeaderValue) -> Response<String> {
    let mut response = Response::new(String::new());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(GRPC_STATUS, status);
    // Sentences are of printable ASCII, as hosts are; what is not would have to be escaped.
    if let Ok(sentence) = HeaderValue::try_from(reason.sentence().replace('%', "%25")) {
        headers.insert(GRPC_MESSAGE, sentence);
    }
    response
}

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c if c.is_control() => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_of_grpc_gets_a_status_of_grpc() {
        let mut asked = HeaderMap::new();
        asked.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/grpc+proto"),
        );
        let table = [
            (
                Reason::NobodyHealthy("api.test"),
                "14",
                "Nothing healthy serves api.test right now.",
            ),
            (
                Reason::UnknownHost("a.test"),
                "12",
                "No environment here answers for a.test.",
            ),
            (
                Reason::Timeout("a.test"),
                "4",
                "What serves a.test did not answer in time.",
            ),
            (
                Reason::Refused("a.test"),
                "7",
                "a.test is not open to your address.",
            ),
            (
                Reason::TooMany("a.test", 2),
                "8",
                "a.test is asked for too much.",
            ),
        ];
        for (reason, status, sentence) in table {
            let response = page(reason, &asked);
            assert_eq!(response.status(), 200, "{reason:?}");
            let headers = response.headers();
            assert_eq!(headers[CONTENT_TYPE], "application/grpc");
            assert_eq!(
                (&headers[GRPC_STATUS], &headers[GRPC_MESSAGE]),
                (
                    &HeaderValue::from_static(status),
                    &HeaderValue::from_static(sentence),
                )
            );
            assert!(response.body().is_empty());
        }
    }

    #[test]
    fn every_page_tells_why_it_was_made() {
        let host = "a.test";
        let reasons = [
            Reason::BadRequest("it is none"),
            Reason::Method,
            Reason::UnknownHost(host),
            Reason::Refused(host),
            Reason::TooMany(host, 1),
            Reason::NoTable,
            Reason::Maintenance(host),
            Reason::NobodyHealthy(host),
            Reason::BadGateway(host),
            Reason::Timeout(host),
            Reason::SlowBody,
            Reason::Misdirected(host),
            Reason::Redirected(host),
        ];
        let told = reasons.map(|reason| {
            let page = page(reason, &HeaderMap::new());
            page.extensions().get::<Told>().unwrap().reason
        });
        assert_eq!(told, NAMES);
    }

    #[test]
    fn a_page_says_which_host_and_echoes_no_markup() {
        let mut asked = HeaderMap::new();
        asked.insert(ACCEPT, HeaderValue::from_static("text/html,*/*"));
        let response = page(Reason::UnknownHost("<script>'&"), &asked);
        assert_eq!(response.status(), 404);
        assert!(
            response.body().contains("&lt;script&gt;&#39;&amp;"),
            "{}",
            response.body()
        );
        assert!(!response.body().contains("<script>"));

        let plain = page(Reason::NobodyHealthy("www.test"), &HeaderMap::new());
        assert_eq!(plain.headers()[RETRY_AFTER], "1");
        let expected = "503 Service Unavailable\nNothing healthy serves www.test right now.\n";
        assert_eq!(plain.body(), expected);
    }
}
