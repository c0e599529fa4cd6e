//! Which headers pass, in both directions. Knows header maps, not the engine.
//!
//! A header that speaks about one connection ends with that connection. A header by which a
//! frontend learns who asked is ours alone: whatever a client sends under these names is gone,
//! and naming them in `Connection` does not remove what we set.

use std::net::SocketAddr;

use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, Entry, FORWARDED, HOST, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};
use http::{HeaderMap, HeaderName, HeaderValue};

pub(super) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(super) const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(super) const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const X_FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
pub(super) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Of one connection, whatever `Connection` says. `te` is handled apart, for trailers.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    KEEP_ALIVE,
    PROXY_CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Removed from requests because frontends believe them: other spellings of what we set, and
/// `Proxy`, which CGI turns into the variable HTTP_PROXY.
const FORGEABLE: [HeaderName; 9] = [
    FORWARDED,
    X_FORWARDED_FOR,
    X_FORWARDED_PROTO,
    X_FORWARDED_HOST,
    X_FORWARDED_PORT,
    HeaderName::from_static("x-forwarded-server"),
    HeaderName::from_static("x-real-ip"),
    HeaderName::from_static("x-forwarded-ssl"),
    HeaderName::from_static("proxy"),
];

/// `Connection` may not name these: each decides who is asked, by whom, or where a body ends.
const NOT_NOMINABLE: [HeaderName; 6] = [
    HOST,
    CONTENT_LENGTH,
    AUTHORIZATION,
    COOKIE,
    X_REQUEST_ID,
    TRACEPARENT,
];

/// An id from outside longer than this is replaced: it goes into logs.
const LONGEST_REQUEST_ID: usize = 128;

/// Who asked, and through which door.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Client {
    pub(super) address: SocketAddr,
    /// Port of the ingress the connection came to.
    pub(super) port: u16,
    /// What the connection speaks, "http" or "https".
    pub(super) scheme: &'static str,
    /// What the client speaks: something else only if a trusted proxy says so.
    pub(super) proto: &'static str,
    /// The client and the trusted proxies behind him, where there are any.
    pub(super) chain: Option<HeaderValue>,
}

/// Turns the headers a client sent into those a frontend gets; `host` becomes the only `Host`.
pub(super) fn to_frontend(
    headers: &mut HeaderMap,
    client: &Client,
    host: HeaderValue,
    request_id: impl FnOnce() -> u128,
) {
    let trailers = accepts_trailers(headers);
    strip_nominated(headers);
    for name in HOP_BY_HOP.iter().chain(&FORGEABLE).chain([&TE]) {
        headers.remove(name);
    }
    strip_underscored(headers);
    if trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    join_cookies(headers);

    let alone = || HeaderValue::try_from(client.address.ip().to_canonical().to_string()).ok();
    if let Some(address) = client.chain.clone().or_else(alone) {
        headers.insert(X_FORWARDED_FOR, address);
    }
    headers.insert(X_FORWARDED_PROTO, HeaderValue::from_static(client.proto));
    headers.insert(X_FORWARDED_HOST, host.clone());
    headers.insert(X_FORWARDED_PORT, HeaderValue::from(client.port));
    headers.insert(HOST, host);
    let sound = |id: &HeaderValue| {
        (1..=LONGEST_REQUEST_ID).contains(&id.len())
            && id.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    if !headers.get(&X_REQUEST_ID).is_some_and(sound) {
        let id = HeaderValue::try_from(format!("{:032x}", request_id()));
        id.into_iter()
            .for_each(|id| drop(headers.insert(X_REQUEST_ID, id)));
    }
}

/// Turns the headers a frontend sent into those the client gets.
pub(super) fn to_client(headers: &mut HeaderMap) {
    // With both, the length was ignored by whoever read the body, and must not be repeated.
    if headers.contains_key(TRANSFER_ENCODING) {
        headers.remove(CONTENT_LENGTH);
    }
    strip_nominated(headers);
    for name in &HOP_BY_HOP {
        headers.remove(name);
    }
}

/// The protocol a client wants to change to, if the whole request says so and it may be passed.
///
/// HTTP/2 is refused: a tunnel of it would carry requests that were never routed.
pub(super) fn wanted_upgrade(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut nominated = headers.get_all(CONNECTION).iter().flat_map(tokens);
    if !nominated.any(|token| token.eq_ignore_ascii_case("upgrade")) {
        return None;
    }
    let mut all = headers.get_all(UPGRADE).iter();
    let (only, None) = (all.next()?, all.next()) else {
        return None;
    };
    let http = |token: &str| {
        let name = token.split('/').next().unwrap_or(token);
        ["h2c", "h2", "http"]
            .iter()
            .any(|http| name.eq_ignore_ascii_case(http))
    };
    let passes = only.to_str().is_ok() && !tokens(only).any(http);
    passes.then(|| only.clone())
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers
        .get_all(TE)
        .iter()
        .flat_map(tokens)
        .any(|t| t.eq_ignore_ascii_case("trailers"))
}

fn strip_nominated(headers: &mut HeaderMap) {
    let Entry::Occupied(entry) = headers.entry(CONNECTION) else {
        return;
    };
    let (_, values) = entry.remove_entry_mult();
    let values: Vec<HeaderValue> = values.collect();
    for name in values.iter().flat_map(tokens) {
        let Ok(name) = HeaderName::try_from(name) else {
            continue;
        };
        // The names that say how the message itself is framed are dealt with by the callers.
        if !NOT_NOMINABLE.contains(&name) {
            headers.remove(name);
        }
    }
}

/// `X_Forwarded_For` and `X-Forwarded-For` are one variable to CGI and its heirs, so names with
/// underscores could forge what we set. No standard header has one; nginx drops them too.
fn strip_underscored(headers: &mut HeaderMap) {
    if !headers.keys().any(|name| name.as_str().contains('_')) {
        return;
    }
    let underscored: Vec<HeaderName> = headers
        .keys()
        .filter(|name| name.as_str().contains('_'))
        .cloned()
        .collect();
    for name in underscored {
        headers.remove(name);
    }
}

/// HTTP/2 may send one `cookie` field per cookie; HTTP/1.1 knows a single one (RFC 9113, 8.2.3).
fn join_cookies(headers: &mut HeaderMap) {
    if headers.get_all(COOKIE).iter().nth(1).is_none() {
        return;
    }
    let crumbs: Vec<&[u8]> = headers
        .get_all(COOKIE)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    if let Ok(joined) = HeaderValue::from_bytes(&crumbs.join(&b"; "[..])) {
        headers.insert(COOKIE, joined);
    }
}

fn tokens(value: &HeaderValue) -> impl Iterator<Item = &str> {
    let text = value.to_str().unwrap_or_default();
    text.split(',')
        .map(str::trim)
        .filter(|token| !token.is_empty())
}

#[cfg(test)]
mod tests;
