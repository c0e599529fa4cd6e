use proptest::prelude::*;

use super::*;

fn verdict(bytes: &[u8]) -> Option<Fault> {
    Scanner::default()
        .scan(bytes)
        .err()
        .map(|objection| objection.fault)
}

/// A GET or POST with these lines after the request line and Host.
fn with(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}")
}

#[test]
fn what_passes() {
    let table = [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET http://a/ HTTP/1.1\r\nhost:a\r\n\r\n",
        "GET /\u{fc} HTTP/1.1\r\nHost: a\r\nX: \u{fc}\t\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n\x01\x02not http\n\n",
    ];
    for request in table {
        assert_eq!(verdict(request.as_bytes()), None, "{request:?}");
    }
    let bodies = [
        "Content-Length: 3\r\n\r\n\n\n\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "Content-Length: 0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "Transfer-Encoding: Chunked\r\n\r\n3\r\n\n\n\n\r\nA ; x = \"y\\\";\";z\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    ];
    for lines in bodies {
        assert_eq!(verdict(with(lines).as_bytes()), None, "{lines:?}");
    }
}

#[test]
fn what_does_not() {
    let table = [
        ("GET / HTTP/1.1\nHost: a\r\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\r\n\n", Fault::BareLf),
        ("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::BareLf),
        ("GET / HTTP/1.1\r\nHost: a\rb\r\n\r\n", Fault::Control),
        (
            "GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n",
            Fault::Control,
        ),
        ("GET  / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET / HTTP/1.1 \r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET /\t/ HTTP/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET / HTTP/1.2\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET / http/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET / HTTP/2.0\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET /\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        ("G(T / HTTP/1.1\r\nHost: a\r\n\r\n", Fault::RequestLine),
        (
            "\r\n\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
            Fault::RequestLine,
        ),
        ("GET / HTTP/1.1\r\n\r\n", Fault::Host),
        ("GET / HTTP/1.1\r\nHost:\r\n\r\n", Fault::Host),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Fault::Host),
        (
            "GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
            Fault::Encoding,
        ),
    ];
    for (request, fault) in table {
        assert_eq!(verdict(request.as_bytes()), Some(fault), "{request:?}");
    }
    let after_host = [
        ("X : a\r\n\r\n", Fault::Name),
        (": a\r\n\r\n", Fault::Name),
        ("X\r\n\r\n", Fault::Name),
        ("X: a\r\n b\r\n\r\n", Fault::Folded),
        ("X: a\x0bb\r\n\r\n", Fault::Value),
        (
            "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
            Fault::Encoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n",
            Fault::Encoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
            Fault::Encoding,
        ),
        ("Transfer-Encoding: gzip, chunked\r\n\r\n", Fault::Encoding),
        ("Transfer-Encoding: xchunked\r\n\r\n", Fault::Encoding),
        ("Transfer-Encoding:\x0bchunked\r\n\r\n", Fault::Value),
        ("Transfer-Encoding: identity\r\n\r\n", Fault::Encoding),
        ("Transfer-Encoding:\r\n\r\n", Fault::Encoding),
        (
            "Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
            Fault::Length,
        ),
        ("Content-Length: 5, 5\r\n\r\n", Fault::Length),
        ("Content-Length: +5\r\n\r\n", Fault::Length),
        ("Content-Length: -1\r\n\r\n", Fault::Length),
        ("Content-Length: 0x5\r\n\r\n", Fault::Length),
        ("Content-Length: 005\r\n\r\n", Fault::Length),
        ("Content-Length: 00\r\n\r\n", Fault::Length),
        (
            "Content-Length: 99999999999999999999\r\n\r\n",
            Fault::Length,
        ),
        ("Content-Length:\r\n\r\n", Fault::Length),
    ];
    for (lines, fault) in after_host {
        assert_eq!(verdict(with(lines).as_bytes()), Some(fault), "{lines:?}");
    }
    let chunks = [
        ("0x5\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        (" 5\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("-5\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("5;ext\nhello\r\n0\r\n\r\n", Fault::BareLf),
        ("5\nhello\r\n0\r\n\r\n", Fault::BareLf),
        ("5;\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("5 \r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("5;a=\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("5;a=\"b\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("5;[a]\r\nhello\r\n0\r\n\r\n", Fault::Chunk),
        ("5\r\nhelloX\r\n0\r\n\r\n", Fault::Chunk),
        ("5\r\nhello\n0\r\n\r\n", Fault::BareLf),
        ("10000000000000000\r\n", Fault::Chunk),
        ("0\r\nContent-Length: 3\r\n\r\n", Fault::Trailer),
        ("0\r\nTransfer-Encoding: chunked\r\n\r\n", Fault::Trailer),
        ("0\r\nhost: b\r\n\r\n", Fault::Trailer),
        ("0\r\nAuthorization: b\r\n\r\n", Fault::Trailer),
        ("0\r\nX-Forwarded-For: b\r\n\r\n", Fault::Trailer),
    ];
    for (chunk, fault) in chunks {
        let request = with(&format!("Transfer-Encoding: chunked\r\n\r\n{chunk}"));
        assert_eq!(verdict(request.as_bytes()), Some(fault), "{chunk:?}");
    }
}

#[test]
fn memory_is_bounded() {
    let mut scanner = Scanner::default();
    let endless = vec![b'a'; 1 << 12];
    let refused = (0..64).find_map(|_| scanner.scan(&endless).err());
    assert_eq!(
        refused.map(|objection| objection.fault),
        Some(Fault::TooLong)
    );

    let mut scanner = Scanner::default();
    scanner.scan(with("").as_bytes()).expect("a good beginning");
    let refused = (0..1 << 20).find_map(|_| scanner.scan(b"X: yyyyyyyy\r\n").err());
    assert_eq!(
        refused.map(|objection| objection.fault),
        Some(Fault::TooLong)
    );
}

#[test]
fn a_long_life_of_small_requests_is_no_long_head() {
    let mut scanner = Scanner::default();
    let request = with("Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX: y\r\n\r\n");
    for _ in 0..10_000 {
        scanner.scan(request.as_bytes()).expect("a good request");
    }
}

proptest! {
    /// How the bytes are cut into reads changes nothing.
    #[test]
    fn pieces_are_read_as_the_whole(
        parts in proptest::collection::vec(prop_oneof![
            Just("GET / HTTP/1.1\r\nHost: a\r\n\r\n"),
            Just("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"),
            Just("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"),
            Just("5\r\nhello\r\n"),
            Just("0\r\n\r\n"),
            Just("X: y\r\n"),
            Just("\r\n"),
            Just("\n"),
            Just("Content-Length: 1\r\n"),
        ], 0..8),
        cuts in proptest::collection::vec(1usize..9, 1..200),
    ) {
        let bytes = parts.concat().into_bytes();
        let whole = verdict(&bytes);
        let mut scanner = Scanner::default();
        let (mut at, mut cuts) = (0, cuts.iter().cycle());
        let mut pieces = None;
        while at < bytes.len() && pieces.is_none() {
            let end = bytes.len().min(at + cuts.next().expect("endless"));
            pieces = scanner.scan(&bytes[at..end]).err().map(|objection| objection.fault);
            at = end;
        }
        prop_assert_eq!(whole, pieces);
    }
}
