//! The answers that come from the ingress itself.

use http::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderMap, HeaderValue, Response, StatusCode};

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
    Maintenance(&'a str),
    /// Nobody healthy, for as long as the request was held.
    NobodyHealthy(&'a str),
    /// The frontend was reached and did not answer in HTTP.
    BadGateway(&'a str),
    Timeout(&'a str),
    /// The connection was made for another environment.
    Misdirected(&'a str),
    /// To HTTPS; the caller says where.
    Redirected,
}

impl Reason<'_> {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::UnknownHost(_) => StatusCode::NOT_FOUND,
            Self::NoTable | Self::Maintenance(_) | Self::NobodyHealthy(_) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::BadGateway(_) => StatusCode::BAD_GATEWAY,
            Self::Timeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::Misdirected(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Redirected => StatusCode::PERMANENT_REDIRECT,
        }
    }

    /// Seconds after which asking again may help.
    fn retry_after(self) -> Option<u32> {
        match self {
            Self::NoTable | Self::NobodyHealthy(_) => Some(1),
            Self::Maintenance(_) => Some(60),
            _ => None,
        }
    }

    fn sentence(self) -> String {
        match self {
            Self::BadRequest(what) => format!("The request was refused: {what}."),
            Self::Method => "This method is not served here.".to_owned(),
            Self::UnknownHost(host) => format!("No environment here answers for {host}."),
            Self::NoTable => "This ingress has not received its routes yet.".to_owned(),
            Self::Maintenance(host) => format!("{host} is closed for maintenance."),
            Self::NobodyHealthy(host) => format!("Nothing healthy serves {host} right now."),
            Self::BadGateway(host) => format!("What serves {host} gave no proper answer."),
            Self::Timeout(host) => format!("What serves {host} did not answer in time."),
            Self::Misdirected(host) => {
                format!("This connection was made for another host than {host}.")
            }
            Self::Redirected => "This is served over HTTPS.".to_owned(),
        }
    }
}

/// The page: HTML for whoever asks for it, else plain text.
pub(super) fn page(reason: Reason<'_>, asked: &HeaderMap) -> Response<String> {
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
    if let Some(seconds) = reason.retry_after() {
        headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
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
