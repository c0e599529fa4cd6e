//! Whose request it is, when proxies before the ingress pass it on.
//!
//! Every proxy adds to the right of `X-Forwarded-For` whom it heard. So what stands there is true from the
//! right, for as long as those who added it are trusted; the first who is not is the client, and all to
//! the left of him is only what he says himself. Pure: addresses and headers in, a client out.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderMap, HeaderName, HeaderValue};

use super::headers::{Client, X_FORWARDED_FOR, X_FORWARDED_PORT, X_FORWARDED_PROTO};
use crate::config::Network;

/// Proxies whose word is believed.
#[derive(Clone, Debug, Default)]
pub(super) struct Trusted(Vec<Network>);

/// Trusted proxies behind one another; who needs more has a loop.
const MOST_HOPS: usize = 16;

impl Trusted {
    pub(super) fn new(networks: Vec<Network>) -> Self {
        Self(networks)
    }

    pub(super) fn contain(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }

    /// Whose request it is that came over `connection` with these headers.
    pub(super) fn client(&self, connection: &Client, headers: &HeaderMap) -> Client {
        let mut client = connection.clone();
        let peer = connection.address.ip();
        if !self.contain(peer) {
            return client;
        }
        let said = headers.get_all(&X_FORWARDED_FOR).iter();
        let hops = self.chain(peer, said.rev().flat_map(from_the_right));
        if let [.., origin] = hops.as_slice() {
            // The port of a client that is passed on is not known.
            client.address = SocketAddr::new(*origin, 0);
        }
        let chain: Vec<String> = hops.iter().rev().map(ToString::to_string).collect();
        client.chain = HeaderValue::try_from(chain.join(", ")).ok();
        if let Some(proto) = proto(headers) {
            client.proto = proto;
            if proto != connection.scheme {
                client.port = if proto == "https" { 443 } else { 80 };
            }
        }
        let port = only(headers, &X_FORWARDED_PORT).and_then(|port| port.parse().ok());
        client.port = port.filter(|port| *port > 0).unwrap_or(client.port);
        client
    }

    /// The trusted hops from the nearest on, and behind them the client; never empty. `said` is what they
    /// say, from the right. What is no address ends it: then the last hop speaks for itself.
    fn chain<'a>(&self, peer: IpAddr, said: impl Iterator<Item = &'a str>) -> Vec<IpAddr> {
        let mut hops = vec![peer.to_canonical()];
        for text in said.take(MOST_HOPS) {
            let Some(address) = address(text) else { break };
            hops.push(address);
            if !self.contain(address) {
                break;
            }
        }
        hops
    }
}

/// The elements of a list in a header.
fn from_the_right(value: &HeaderValue) -> impl Iterator<Item = &str> {
    value.to_str().unwrap_or("?").rsplit(',').map(str::trim)
}

/// Some proxies write a port behind it.
fn address(text: &str) -> Option<IpAddr> {
    let alone = text.parse().ok();
    let address = alone.or_else(|| text.parse::<SocketAddr>().ok().map(|both| both.ip()))?;
    Some(address.to_canonical())
}

fn proto(headers: &HeaderMap) -> Option<&'static str> {
    let said = only(headers, &X_FORWARDED_PROTO)?;
    ["http", "https"]
        .into_iter()
        .find(|proto| said.eq_ignore_ascii_case(proto))
}

/// The value of a header that comes once.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (Some(only), None) => only.to_str().ok().map(str::trim),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trusted() -> Trusted {
        let networks = ["10.0.0.0/8", "2001:db8:1::/48"];
        Trusted::new(networks.iter().map(|text| text.parse().unwrap()).collect())
    }

    fn connection(peer: &str) -> Client {
        Client {
            address: SocketAddr::new(peer.parse().unwrap(), 4001),
            port: 8080,
            scheme: "http",
            proto: "http",
            chain: None,
        }
    }

    fn headers(said: &[(HeaderName, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in said {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(name.clone(), value);
        }
        headers
    }

    #[test]
    fn the_client_is_the_first_from_the_right_who_is_not_trusted() {
        let table: &[(&str, &[&str], &str, &str)] = &[
            // peer, X-Forwarded-For, client, what a frontend is told
            ("192.0.2.1", &[], "192.0.2.1", ""),
            // Whoever is not trusted may say what he likes.
            ("192.0.2.1", &["10.0.0.1"], "192.0.2.1", ""),
            (
                "192.0.2.1",
                &["1.1.1.1", "10.0.0.1, 10.0.0.2"],
                "192.0.2.1",
                "",
            ),
            (
                "10.0.0.1",
                &["192.0.2.7"],
                "192.0.2.7",
                "192.0.2.7, 10.0.0.1",
            ),
            (
                "::ffff:10.0.0.1",
                &["192.0.2.7"],
                "192.0.2.7",
                "192.0.2.7, 10.0.0.1",
            ),
            // What the client sent himself stands to the left of what was added.
            (
                "10.0.0.1",
                &["1.1.1.1, 192.0.2.7"],
                "192.0.2.7",
                "192.0.2.7, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &["10.0.0.9, 192.0.2.7"],
                "192.0.2.7",
                "192.0.2.7, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &["1.1.1.1", "192.0.2.7"],
                "192.0.2.7",
                "192.0.2.7, 10.0.0.1",
            ),
            // Through several.
            (
                "10.0.0.1",
                &["1.1.1.1, 192.0.2.7,2001:db8:1::5 , 10.0.0.2"],
                "192.0.2.7",
                "192.0.2.7, 2001:db8:1::5, 10.0.0.2, 10.0.0.1",
            ),
            (
                "2001:db8:1::1",
                &["2001:db8:2::1"],
                "2001:db8:2::1",
                "2001:db8:2::1, 2001:db8:1::1",
            ),
            (
                "10.0.0.1",
                &["::ffff:192.0.2.7"],
                "192.0.2.7",
                "192.0.2.7, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &["192.0.2.7:5000"],
                "192.0.2.7",
                "192.0.2.7, 10.0.0.1",
            ),
            (
                "10.0.0.1",
                &["[2001:db8:2::1]:5000"],
                "2001:db8:2::1",
                "2001:db8:2::1, 10.0.0.1",
            ),
            // A proxy that asks for itself.
            ("10.0.0.1", &[], "10.0.0.1", "10.0.0.1"),
            ("10.0.0.1", &["10.0.0.2"], "10.0.0.2", "10.0.0.2, 10.0.0.1"),
            // What is no address is nobody's: the last known hop stands for it.
            ("10.0.0.1", &["unknown"], "10.0.0.1", "10.0.0.1"),
            ("10.0.0.1", &["192.0.2.7, "], "10.0.0.1", "10.0.0.1"),
            (
                "10.0.0.1",
                &["192.0.2.7, _x, 10.0.0.2"],
                "10.0.0.2",
                "10.0.0.2, 10.0.0.1",
            ),
            ("10.0.0.1", &["192.0.2.7\u{e9}"], "10.0.0.1", "10.0.0.1"),
        ];
        for (peer, said, expected, chain) in table {
            let said: Vec<_> = said.iter().map(|said| (X_FORWARDED_FOR, *said)).collect();
            let client = trusted().client(&connection(peer), &headers(&said));
            let found = (client.address.ip().to_string(), client.chain);
            let chain = (!chain.is_empty()).then(|| HeaderValue::from_static(chain));
            assert_eq!(found, ((*expected).to_owned(), chain), "{peer} {said:?}");
        }
    }

    #[test]
    fn a_loop_of_proxies_has_an_end() {
        let said = vec!["10.0.0.7"; 1_000].join(",");
        let hops = headers(&[(X_FORWARDED_FOR, &said)]);
        let client = trusted().client(&connection("10.0.0.1"), &hops);
        let chain = client.chain.unwrap();
        assert_eq!(chain.to_str().unwrap().split(", ").count(), MOST_HOPS + 1);
    }

    #[test]
    fn what_the_client_speaks_is_said_by_the_trusted_alone() {
        type Said<'a> = &'a [(HeaderName, &'a str)];
        let table: &[(&str, Said<'_>, &str, u16)] = &[
            ("10.0.0.1", &[(X_FORWARDED_PROTO, "https")], "https", 443),
            ("10.0.0.1", &[(X_FORWARDED_PROTO, "HTTP")], "http", 8080),
            (
                "10.0.0.1",
                &[(X_FORWARDED_PROTO, "https"), (X_FORWARDED_PORT, "8443")],
                "https",
                8443,
            ),
            ("10.0.0.1", &[(X_FORWARDED_PORT, "0")], "http", 8080),
            (
                "10.0.0.1",
                &[(X_FORWARDED_PROTO, "https, http")],
                "http",
                8080,
            ),
            (
                "10.0.0.1",
                &[(X_FORWARDED_PROTO, "https"), (X_FORWARDED_PROTO, "http")],
                "http",
                8080,
            ),
            (
                "192.0.2.1",
                &[(X_FORWARDED_PROTO, "https"), (X_FORWARDED_PORT, "1")],
                "http",
                8080,
            ),
        ];
        for (peer, said, proto, port) in table {
            let client = trusted().client(&connection(peer), &headers(said));
            assert_eq!(
                (client.proto, client.port),
                (*proto, *port),
                "{peer} {said:?}"
            );
            assert_eq!(client.scheme, "http", "the connection is what it is");
        }
    }
}
