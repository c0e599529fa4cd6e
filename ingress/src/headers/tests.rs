use super::*;

type Lines<'a> = &'a [(&'a str, &'a str)];

fn map(lines: Lines<'_>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        let name = HeaderName::try_from(*name).expect("a name");
        headers.append(name, HeaderValue::try_from(*value).expect("a value"));
    }
    headers
}

fn forwarded(lines: &[(&str, &str)]) -> HeaderMap {
    let mut headers = map(lines);
    let address = "[::ffff:192.0.2.7]:999".parse().expect("an address");
    let client = Client {
        address,
        port: 8080,
        scheme: "http",
        proto: "http",
        chain: None,
    };
    to_frontend(
        &mut headers,
        &client,
        HeaderValue::from_static("www.test:8080"),
        || 0xabc,
    );
    headers
}

/// What every forwarded request carries, whatever came.
const OURS: [(&str, &str); 6] = [
    ("host", "www.test:8080"),
    ("x-forwarded-for", "192.0.2.7"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "www.test:8080"),
    ("x-forwarded-port", "8080"),
    ("x-request-id", "00000000000000000000000000000abc"),
];

#[test]
fn what_a_frontend_gets() {
    let table: &[(&str, Lines<'_>, Lines<'_>)] = &[
        ("nothing", &[], &[]),
        (
            "forged",
            &[
                ("x-forwarded-for", "10.0.0.1"),
                ("x-forwarded-for", "10.0.0.2"),
                ("forwarded", "for=10.0.0.1"),
                ("x-real-ip", "10.0.0.1"),
                ("x_forwarded_for", "10.0.0.1"),
                ("proxy", "http://evil"),
            ],
            &[],
        ),
        (
            "hop by hop",
            &[
                ("connection", "keep-alive, x-mine"),
                ("x-mine", "1"),
                ("keep-alive", "timeout=5"),
                ("te", "gzip"),
                ("transfer-encoding", "chunked"),
                ("upgrade", "websocket"),
                ("proxy-connection", "keep-alive"),
                ("accept", "*/*"),
            ],
            &[("accept", "*/*")],
        ),
        (
            "nominating what is not the client's to remove",
            &[
                (
                    "connection",
                    "x-forwarded-for, host, authorization, cookie, content-length",
                ),
                ("connection", "x-request-id, traceparent"),
                ("authorization", "Bearer 1"),
                ("cookie", "a=1"),
                ("content-length", "3"),
                ("traceparent", "00-1-2-00"),
            ],
            &[
                ("authorization", "Bearer 1"),
                ("cookie", "a=1"),
                ("content-length", "3"),
                ("traceparent", "00-1-2-00"),
            ],
        ),
        (
            "trailers",
            &[("te", "gzip, trailers")],
            &[("te", "trailers")],
        ),
        (
            "cookie crumbs",
            &[("cookie", "a=1"), ("cookie", "b=2")],
            &[("cookie", "a=1; b=2")],
        ),
    ];
    for (case, given, passed) in table {
        let expected: Vec<_> = OURS.iter().chain(*passed).copied().collect();
        assert_eq!(forwarded(given), map(&expected), "{case}");
    }
}

#[test]
fn a_request_id_from_outside_is_kept_if_it_is_sound() {
    let id = |given: &str| {
        let headers = forwarded(&[("x-request-id", given)]);
        headers[X_REQUEST_ID].to_str().expect("ascii").to_owned()
    };
    assert_eq!(id("from-outside-1"), "from-outside-1");
    for unsound in ["", "two words", &"a".repeat(129)] {
        assert_eq!(id(unsound), OURS[5].1);
    }
}

#[test]
fn what_a_client_gets() {
    let mut headers = map(&[
        ("connection", "close, x-mine"),
        ("x-mine", "1"),
        ("transfer-encoding", "chunked"),
        ("content-length", "3"),
        ("keep-alive", "timeout=5"),
        ("set-cookie", "a=1"),
        ("set-cookie", "b=2"),
    ]);
    to_client(&mut headers);
    assert_eq!(
        headers,
        map(&[("set-cookie", "a=1"), ("set-cookie", "b=2")])
    );
}

#[test]
fn upgrades() {
    let table: &[(&[(&str, &str)], bool)] = &[
        (&[("connection", "Upgrade"), ("upgrade", "websocket")], true),
        (
            &[
                ("connection", "keep-alive, upgrade"),
                ("upgrade", "my-protocol/2"),
            ],
            true,
        ),
        (&[("upgrade", "websocket")], false),
        (&[("connection", "upgrade")], false),
        (&[("connection", "upgrade"), ("upgrade", "h2c")], false),
        (
            &[("connection", "upgrade"), ("upgrade", "websocket, H2C")],
            false,
        ),
        (&[("connection", "upgrade"), ("upgrade", "HTTP/2.0")], false),
        (
            &[
                ("connection", "upgrade"),
                ("upgrade", "a"),
                ("upgrade", "b"),
            ],
            false,
        ),
    ];
    for (given, expected) in table {
        assert_eq!(
            wanted_upgrade(&map(given)).is_some(),
            *expected,
            "{given:?}"
        );
    }
}
