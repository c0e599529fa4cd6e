use std::sync::Arc;

use super::*;
use crate::observe::Ledger;
use crate::spec::{EnvironmentKey, EnvironmentSpec, HostSpec, PoolSpec};
use crate::table::{Environment, Kept};

/// prod has a certificate that nobody brought in this table, so the cluster's own is shown.
fn table(redirect: bool) -> Table<()> {
    let environment = |name: &str, host: &str| {
        let key = EnvironmentKey {
            app: "shop".to_owned(),
            environment: name.to_owned(),
        };
        let spec = EnvironmentSpec {
            hosts: vec![HostSpec {
                pattern: host.to_owned(),
                pool: 0,
            }],
            pools: vec![PoolSpec::default()],
            certificate: "self-signed".to_owned(),
            redirect,
            ..EnvironmentSpec::default()
        };
        Arc::new(Environment::new(
            key,
            spec,
            vec![Vec::new()],
            1,
            Kept::new(),
            &mut Ledger::default(),
        ))
    };
    let all = [
        environment("prod", "*.prod.test"),
        environment("qa", "qa.test"),
    ];
    Table::index(1, all.iter(), Arc::default())
}

fn target(host: &str, uri: &str) -> Target {
    let method = if uri == "*" { "OPTIONS" } else { "GET" };
    let request = Request::builder()
        .method(method)
        .uri(uri)
        .header(HOST, host);
    let (parts, ()) = request.body(()).unwrap().into_parts();
    Target::of(&parts, "http").unwrap()
}

#[test]
fn a_connection_is_good_for_one_environment() {
    let table = table(false);
    for (asked, host, enters) in [
        (Some("www.prod.test"), "www.prod.test", true),
        // Of the same environment: one connection may serve both.
        (Some("www.prod.test"), "api.prod.test:8443", true),
        (Some("www.prod.test"), "qa.test", false),
        // Whatever nobody has gets the page that says so.
        (Some("www.prod.test"), "nobody.test", true),
        // The cluster's own was shown to these, and is what prod shows.
        (None, "www.prod.test", true),
        (Some("nobody.test"), "www.prod.test", true),
    ] {
        let door = Door::tls(asked);
        let verdict = door.verdict(&table, "https", &target(host, "/"));
        let expected = if enters {
            Verdict::Enter
        } else {
            Verdict::Misdirected
        };
        assert_eq!(verdict, expected, "{asked:?} {host}");
    }
    let concerns = |door: Door, host| door.concerns(&table, host);
    let host = HeaderValue::from_static("www.prod.test");
    assert!(
        !concerns(Door::tls(Some("WWW.prod.test.")), Some(&host)),
        "nothing to ask"
    );
    assert!(concerns(Door::tls(Some("qa.test")), Some(&host)));
    assert!(concerns(Door::tls(Some("www.prod.test")), None));
    assert!(!concerns(Door::Plain { https: Some(443) }, Some(&host)));
}

#[test]
fn plain_http_is_sent_to_https_where_that_is_wished_and_served() {
    let (on, off) = (table(true), table(false));
    let sent = |table: &Table<()>, https, host: &str, uri: &str| {
        let verdict = Door::Plain { https }.verdict(table, "http", &target(host, uri));
        match verdict {
            Verdict::Redirect(location) => location.to_str().unwrap().to_owned(),
            other => format!("{other:?}"),
        }
    };
    for (port, host, uri, location) in [
        (
            443,
            "WWW.prod.test",
            "/a?b=//c",
            "https://www.prod.test/a?b=//c",
        ),
        (443, "www.prod.test:8080", "/", "https://www.prod.test/"),
        (
            8443,
            "www.prod.test:8080",
            "/a%0d%0ab",
            "https://www.prod.test:8443/a%0d%0ab",
        ),
        (443, "www.prod.test", "*", "https://www.prod.test/"),
        (443, "nobody.test", "/", "Enter"),
    ] {
        assert_eq!(sent(&on, Some(port), host, uri), location, "{host} {uri}");
    }
    assert_eq!(
        sent(&on, None, "www.prod.test", "/"),
        "Enter",
        "HTTPS is not served here"
    );
    assert_eq!(sent(&off, Some(443), "www.prod.test", "/"), "Enter");
    // A proxy before us has spoken TLS with the client already.
    let door = Door::Plain { https: Some(443) };
    let verdict = door.verdict(&on, "https", &target("www.prod.test", "/"));
    assert_eq!(verdict, Verdict::Enter);
}
