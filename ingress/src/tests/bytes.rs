//! Bytes that two parsers might read differently: answered 400, the connection closed, and
//! nothing of them seen by a frontend.

use super::frontend::Frontend;
use super::world::{HOST, table, world};

/// After each of these the client sends a request that must never be answered.
const NEXT: &str = "GET /smuggled HTTP/1.1\r\nHost: www.prod.shop.test\r\n\r\n";

#[tokio::test(flavor = "multi_thread")]
async fn ambiguous_requests_are_refused_and_the_connection_closed() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let post = |lines: &str| format!("POST / HTTP/1.1\r\nHost: {HOST}\r\n{lines}");
    let cases = [
        (
            "CL.TE",
            post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"),
        ),
        (
            "TE.CL",
            post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
        ),
        (
            "CL.CL differing",
            post("Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        ),
        (
            "CL.CL equal",
            post("Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello"),
        ),
        ("CL list", post("Content-Length: 5, 5\r\n\r\nhello")),
        ("CL +5", post("Content-Length: +5\r\n\r\nhello")),
        (
            "TE xchunked",
            post("Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "TE \\x0bchunked",
            post("Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "TE list",
            post("Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "TE name with space",
            post("Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "obs-fold",
            post("Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n"),
        ),
        (
            "bare LF in head",
            format!("GET / HTTP/1.1\nHost: {HOST}\n\n"),
        ),
        (
            "bare LF in one line",
            format!("GET / HTTP/1.1\r\nHost: {HOST}\nX: y\r\n\r\n"),
        ),
        (
            "bare CR",
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: a\rb\r\n\r\n"),
        ),
        (
            "NUL",
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nX: a\0b\r\n\r\n"),
        ),
        ("no host", "GET / HTTP/1.1\r\n\r\n".to_owned()),
        (
            "two hosts",
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\nHost: {HOST}\r\n\r\n"),
        ),
        (
            "bad host",
            format!("GET / HTTP/1.1\r\nHost: {HOST}/x\r\n\r\n"),
        ),
        (
            "absolute form",
            format!("GET http://other.test/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        ),
        (
            "TE in 1.0",
            format!(
                "POST / HTTP/1.0\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
            ),
        ),
        ("version", format!("GET / HTTP/1.9\r\nHost: {HOST}\r\n\r\n")),
        (
            "double space",
            format!("GET  / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"),
        ),
        ("garbage", "\x16\x03\x01\x02\0\x01\0\r\n\r\n".to_owned()),
    ];
    for (case, bytes) in &cases {
        for cut in [bytes.len(), bytes.len() / 2, 1] {
            let mut client = ingress.connect().await;
            let (first, rest) = bytes.split_at(cut);
            client.send(first).await;
            // The ingress may have answered and closed after the first half already.
            let whole = format!("{rest}{NEXT}");
            let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, whole.as_bytes()).await;
            let reply = client.response_or_end().await;
            let status = reply.map(|reply| reply.status);
            assert!(
                matches!(status, Some(400) | None),
                "{case} cut at {cut}: {status:?}"
            );
            assert!(
                client.response_or_end().await.is_none(),
                "{case}: a second answer"
            );
        }
    }
    assert_eq!(frontend.seen().len(), 0, "{:?}", frontend.seen());
}

/// The head was good, so the frontend has it; what follows is not a body, and no request either.
#[tokio::test(flavor = "multi_thread")]
async fn bodies_that_are_none_end_the_exchange() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let chunks = [
        ("hexadecimal prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("no size", "\r\nhello\r\n0\r\n\r\n"),
        ("bare LF after extension", "5;ext\nhello\r\n0\r\n\r\n"),
        ("bare LF after size", "5\nhello\r\n0\r\n\r\n"),
        ("longer than its size", "4\r\nhello\r\n0\r\n\r\n"),
        (
            "too large a size",
            "fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        ),
        (
            "a length as trailer",
            "5\r\nhello\r\n0\r\nContent-Length: 3\r\n\r\n",
        ),
        (
            "a host as trailer",
            "5\r\nhello\r\n0\r\nHost: other.test\r\n\r\n",
        ),
    ];
    for (case, chunk) in chunks {
        let mut client = ingress.connect().await;
        client
            .send(format!(
                "POST /count HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n{chunk}{NEXT}"
            ))
            .await;
        let status = client.response_or_end().await.map(|reply| reply.status);
        assert!(matches!(status, Some(400) | None), "{case}: {status:?}");
        assert!(
            client.response_or_end().await.is_none(),
            "{case}: a second answer"
        );
    }
    assert!(
        frontend
            .seen()
            .iter()
            .all(|seen| seen.line == "POST /count"),
        "{:?}",
        frontend.seen()
    );
    assert_eq!(ingress.get(HOST, "/").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_too_large_is_refused_by_its_name() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let line = format!("X: {}\r\n", "y".repeat(1000));
    let cases = [
        (
            431,
            format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n", line.repeat(70)),
        ),
        (
            431,
            format!(
                "GET / HTTP/1.1\r\nHost: {HOST}\r\n{}\r\n",
                "X: y\r\n".repeat(101)
            ),
        ),
        (
            414,
            format!(
                "GET /{} HTTP/1.1\r\nHost: {HOST}\r\n\r\n",
                "y".repeat(65_534 - 40)
            ),
        ),
    ];
    for (expected, bytes) in cases.iter().take(2) {
        let mut client = ingress.connect().await;
        let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, bytes.as_bytes()).await;
        let status = client.response_or_end().await.map(|reply| reply.status);
        assert!(status == Some(*expected), "{expected}: {status:?}");
        client.ends().await;
    }
    assert_eq!(frontend.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn methods_that_make_tunnels_or_echoes_are_not_served() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    for line in [format!("CONNECT {HOST}:80"), "TRACE /".to_owned()] {
        let mut client = ingress.connect().await;
        client
            .send(format!("{line} HTTP/1.1\r\nHost: {HOST}:80\r\n\r\n{NEXT}"))
            .await;
        assert_eq!(client.response().await.status, 405);
        assert!(client.response_or_end().await.is_none());
    }
    assert_eq!(frontend.seen().len(), 0);
}
