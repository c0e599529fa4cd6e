//! Whom a request is for, or why it is for nobody. Knows request lines and headers, not the engine.

use http::header::HOST;
use http::request::Parts;
use http::uri::{Authority, PathAndQuery};
use http::{HeaderValue, Method, Uri, Version};

use super::host::{self, BadHost};

/// A request that cannot be routed. The sentences complete "The request was refused: ".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("{0}")]
    Host(#[from] BadHost),
    #[error("it names no host")]
    NoHost,
    #[error("it names more than one host")]
    TwoHosts,
    #[error("its target names another host than its Host header")]
    OtherHost,
    #[error("its target is not a path")]
    Form,
    #[error("its method is not served here")]
    Method,
}

/// What was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    /// As in the table.
    pub(super) host: String,
    /// As the client wrote it, port included.
    pub(super) authority: HeaderValue,
    /// What the frontend is asked for: a path with its query, or "*".
    pub(super) path: Uri,
}

impl Target {
    /// `scheme` is that of the connection.
    pub(super) fn of(parts: &Parts, scheme: &str) -> Result<Self, Refusal> {
        if parts.method == Method::CONNECT || parts.method == Method::TRACE {
            return Err(Refusal::Method);
        }
        let authority = authority(parts, scheme)?;
        let text = authority.to_str().map_err(|_| BadHost::Character)?;
        let host = host::normalise(text)?.into_owned();
        let path = match parts.uri.path_and_query() {
            Some(path) if path.as_str() == "*" && parts.method != Method::OPTIONS => None,
            Some(path) if path.as_str().starts_with(['/', '*']) => Some(path.clone()),
            // "http://host?query" and HTTP/2 without a path
            Some(path) => PathAndQuery::try_from(format!("/{}", path.as_str())).ok(),
            None => Some(PathAndQuery::from_static("/")),
        };
        let path = path.ok_or(Refusal::Form)?;
        Ok(Self {
            host,
            authority,
            path: Uri::from(path),
        })
    }
}

/// The one authority that everything in the request agrees on.
fn authority(parts: &Parts, scheme: &str) -> Result<HeaderValue, Refusal> {
    let mut hosts = parts.headers.get_all(HOST).iter();
    let header = hosts.next();
    if hosts.next().is_some() {
        return Err(Refusal::TwoHosts);
    }
    let Some(target) = parts.uri.authority() else {
        return header.cloned().ok_or(Refusal::NoHost);
    };
    if parts.version < Version::HTTP_2 && parts.uri.scheme_str() != Some(scheme) {
        return Err(Refusal::Form);
    }
    if header.is_some_and(|header| !same(header, target)) {
        return Err(Refusal::OtherHost);
    }
    HeaderValue::try_from(target.as_str()).map_err(|_| Refusal::Host(BadHost::Character))
}

fn same(header: &HeaderValue, target: &Authority) -> bool {
    header
        .as_bytes()
        .eq_ignore_ascii_case(target.as_str().as_bytes())
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn target(
        version: Version,
        method: &str,
        uri: &str,
        hosts: &[&str],
    ) -> Result<(String, String), Refusal> {
        let mut request = Request::builder().version(version).method(method).uri(uri);
        for host in hosts {
            request = request.header(HOST, *host);
        }
        let (parts, ()) = request.body(()).expect("a request").into_parts();
        Target::of(&parts, "http").map(|target| (target.host, target.path.to_string()))
    }

    #[test]
    fn whom_a_request_is_for() {
        use Refusal::{Form, NoHost, OtherHost, TwoHosts};
        // Method, target, Host headers; host and path, or why not.
        type Case = (
            &'static str,
            &'static str,
            &'static [&'static str],
            Expected,
        );
        type Expected = Result<(&'static str, &'static str), Refusal>;
        let table: &[Case] = &[
            ("GET", "/a?b", &["WWW.test:80"], Ok(("www.test", "/a?b"))),
            (
                "GET",
                "http://www.test/a",
                &["www.test"],
                Ok(("www.test", "/a")),
            ),
            (
                "GET",
                "http://www.test?q",
                &["WWW.test"],
                Ok(("www.test", "/?q")),
            ),
            ("GET", "http://www.test/", &["other.test"], Err(OtherHost)),
            ("GET", "http://www.test:80/", &["www.test"], Err(OtherHost)),
            (
                "GET",
                "http://me@www.test/",
                &["me@www.test"],
                Err(BadHost::Character.into()),
            ),
            ("GET", "https://www.test/", &["www.test"], Err(Form)),
            ("GET", "/", &[], Err(NoHost)),
            ("GET", "/", &["a", "a"], Err(TwoHosts)),
            ("GET", "/", &["a b"], Err(BadHost::Character.into())),
            ("OPTIONS", "*", &["a"], Ok(("a", "*"))),
            ("GET", "*", &["a"], Err(Form)),
            ("CONNECT", "a:80", &["a:80"], Err(Refusal::Method)),
            ("TRACE", "/", &["a"], Err(Refusal::Method)),
        ];
        for (method, uri, hosts, expected) in table {
            let expected = expected.clone().map(|(h, p)| (h.to_owned(), p.to_owned()));
            let given = target(Version::HTTP_11, method, uri, hosts);
            assert_eq!(given, expected, "{method} {uri} {hosts:?}");
        }
    }

    #[test]
    fn http_2_may_leave_out_host_but_not_contradict_itself() {
        let h2 = |hosts: &[&str]| target(Version::HTTP_2, "GET", "https://www.test/", hosts);
        assert_eq!(h2(&[]), Ok(("www.test".to_owned(), "/".to_owned())));
        assert_eq!(h2(&["www.test"]), h2(&[]));
        assert_eq!(h2(&["other.test"]), Err(Refusal::OtherHost));
    }
}
