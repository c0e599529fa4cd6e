//! A line of the access log: JSON, one request, no secrets.
//!
//! The query of a target is left out, for tokens are passed in queries; headers are too, but for the
//! request's id. What strangers write is cut, so that a line has a length that can be planned with.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::header::HOST;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, Version};
use serde::Serialize;

use super::access_log::AccessLog;
use super::account::Ended;
use super::tally::Tally;
use crate::headers::{Client, X_REQUEST_ID};
use crate::pages;

/// Longer hosts and methods are no real ones.
const LONGEST_NAME: usize = 256;
/// Of a path, in bytes.
const LONGEST_PATH: usize = 1024;

/// What is kept of a request until its end, to be written then.
#[derive(Debug)]
pub(super) struct Line {
    log: AccessLog,
    /// It is written whatever happens.
    sampled: bool,
    time: SystemTime,
    client: IpAddr,
    scheme: &'static str,
    tls: Option<&'static str>,
    method: Method,
    uri: Uri,
    host: Option<HeaderValue>,
    version: Version,
    request_id: Option<HeaderValue>,
    pub(super) route: Option<Route>,
    /// Where the host leads, of a request that no frontend was chosen for.
    pub(super) belongs: Option<Arc<Tally>>,
}

/// The frontend that was asked last.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) tally: Arc<Tally>,
    pub(super) service: String,
    pub(super) frontend: u64,
}

/// As it is written. docs/ingress.md says what each field means.
#[derive(Debug, Serialize)]
struct Written<'a> {
    time: String,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    tls: Option<&'a str>,
    scheme: &'a str,
    protocol: &'a str,
    method: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    host: &'a str,
    path: &'a str,
    /// 0 when there was none.
    status: u16,
    bytes_received: u64,
    bytes_sent: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    head_ms: Option<f64>,
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    app: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    environment: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    frontend: Option<u64>,
    retries: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aborted_by: Option<&'a str>,
}

impl Line {
    pub(super) fn begin<B>(
        log: &AccessLog,
        client: &Client,
        tls: Option<&'static str>,
        request: &Request<B>,
    ) -> Self {
        Self {
            sampled: log.samples(),
            log: log.clone(),
            time: SystemTime::now(),
            client: client.address.ip().to_canonical(),
            scheme: client.scheme,
            tls,
            method: request.method().clone(),
            uri: request.uri().clone(),
            host: request.headers().get(HOST).cloned(),
            version: request.version(),
            request_id: None,
            route: None,
            belongs: None,
        }
    }

    /// Takes the id that a frontend gets.
    pub(super) fn identify(&mut self, headers: &HeaderMap) {
        self.request_id = headers.get(&X_REQUEST_ID).cloned();
    }

    /// Writes the line, if it is one of those that are written: failures always are.
    pub(super) fn end(self, ended: &Ended) {
        let status = ended.settled.status;
        let failed = status == 0 || status >= 500 || ended.aborted_by.is_some();
        if self.sampled || failed {
            self.log.write(self.written(ended));
        }
    }

    fn written(&self, ended: &Ended) -> String {
        let authority = self.uri.authority().map(http::uri::Authority::as_str);
        let host = || self.host.as_ref().and_then(|host| host.to_str().ok());
        let route = self.route.as_ref();
        let tally = route.map(|route| &route.tally).or(self.belongs.as_ref());
        let names = tally.map(|tally| &tally.names);
        let settled = &ended.settled;
        let written = Written {
            time: time(self.time),
            client: self.client.to_string(),
            tls: self.tls,
            scheme: self.scheme,
            protocol: protocol(self.version),
            method: cut(self.method.as_str(), LONGEST_NAME),
            host: cut(authority.or_else(host).unwrap_or_default(), LONGEST_NAME),
            path: cut(self.uri.path(), LONGEST_PATH),
            status: settled.status,
            bytes_received: settled.received,
            bytes_sent: settled.sent,
            head_ms: settled.after.map(millis),
            duration_ms: millis(ended.took),
            app: names.map(|names| names.app.as_str()),
            environment: names.map(|names| names.environment.as_str()),
            release: names.map(|names| names.release.as_str()),
            service: route.map(|route| route.service.as_str()),
            frontend: route.map(|route| route.frontend),
            retries: settled.retries,
            request_id: self.request_id.as_ref().and_then(|id| id.to_str().ok()),
            reason: settled.reason.map(|reason| pages::NAMES[reason]),
            aborted_by: ended.aborted_by,
        };
        // Strings and numbers: nothing that JSON cannot say.
        let mut line = serde_json::to_string(&written).unwrap_or_default();
        line.push('\n');
        line
    }
}

/// RFC 3339, to the millisecond.
fn time(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time)
        .map(|time| format!("{time:.3}"))
        .unwrap_or_default()
}

/// To the microsecond.
fn millis(duration: std::time::Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_11 => "HTTP/1.1",
        _ => "HTTP/2",
    }
}

/// The beginning of a text.
fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::time::Duration;

    use super::super::tally::Settled;
    use super::*;
    use crate::config::AccessLines;
    use crate::spec::EnvironmentKey;

    fn line(request: &Request<()>) -> Line {
        let (log, _) = AccessLog::queue(AccessLines::All);
        let client = Client {
            address: "[::ffff:192.0.2.7]:4000".parse().unwrap(),
            port: 443,
            scheme: "https",
            proto: "https",
            chain: None,
        };
        Line::begin(&log, &client, Some("TLSv1.3"), request)
    }

    fn whole() -> Ended {
        Ended {
            settled: Settled {
                status: 200,
                after: Some(Duration::from_micros(1_250)),
                received: 5,
                sent: 7,
                retries: 1,
                resends: 0,
                reason: Some(0),
            },
            took: Duration::from_micros(2_000),
            aborted_by: Some("client"),
        }
    }

    /// A line with everything that a line may have.
    fn full() -> String {
        let key = EnvironmentKey {
            app: "shop".to_owned(),
            environment: "prod".to_owned(),
        };
        let mut line = line(&Request::get("https://a.test/").body(()).unwrap());
        let id = HeaderValue::from_static("i1");
        line.identify(&HeaderMap::from_iter([(X_REQUEST_ID, id)]));
        line.route = Some(Route {
            tally: Arc::new(Tally::new(&key, "R1")),
            service: "www".to_owned(),
            frontend: 3,
        });
        line.written(&whole())
    }

    #[test]
    fn a_line_says_what_happened_and_nothing_of_the_query() {
        let request = Request::get("/pay?token=secret")
            .header(HOST, "a\"b.test")
            .body(())
            .unwrap();
        let mut line = line(&request);
        line.time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_700_000_000_123_456);
        let text = line.written(&whole());
        assert!(
            !text.contains("secret") && !text.contains("token"),
            "{text}"
        );
        let read: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(read["time"], "2023-11-14T22:13:20.123Z");
        assert_eq!(read["client"], "192.0.2.7");
        assert_eq!(
            (&read["host"], &read["path"]),
            (&"a\"b.test".into(), &"/pay".into())
        );
        assert_eq!(
            (&read["head_ms"], &read["duration_ms"]),
            (&1.25.into(), &2.0.into())
        );
        assert_eq!(read["reason"], pages::NAMES[0]);
        assert!(read.get("release").is_none());
    }

    #[test]
    fn what_strangers_write_is_cut() {
        let path = format!("/{}", "é".repeat(4_000).replace('é', "%C3%A9"));
        let request = Request::builder()
            .method(&*"M".repeat(5_000))
            .uri(path)
            .header(HOST, "h".repeat(60_000))
            .body(())
            .unwrap();
        let text = line(&request).written(&whole());
        assert!(text.len() < 2_500, "{}", text.len());
        assert!(cut("aé", 2) == "a");
    }

    #[test]
    fn the_fields_are_those_of_the_documentation() {
        let text = include_str!("../../../docs/ingress.md");
        let section = text.split("### Access log").nth(1).unwrap();
        let section = section.split("\n##").next().unwrap();
        let rows = section.lines().filter_map(|row| row.strip_prefix("| `"));
        let documented: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
        let line: BTreeMap<String, serde_json::Value> = serde_json::from_str(&full()).unwrap();
        let fields: BTreeSet<_> = line.keys().map(String::as_str).collect();
        assert_eq!(documented, fields);
    }
}
