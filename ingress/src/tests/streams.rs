//! Bodies, trailers and upgrades on their way through.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::frontend::Frontend;
use super::world::{HOST, table, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_a_tunnel_and_keeps_its_frontend_busy() {
    let (frontend, next) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    client
        .send(format!(
            "GET /upgrade HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\n\
             Upgrade: websocket\r\nSec-WebSocket-Key: abc\r\n\r\n"
        ))
        .await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.header("upgrade")),
        (101, Some("websocket"))
    );
    assert_eq!(reply.header("sec-websocket-accept"), Some("yes"));
    control.order_full(table(2, &[&next]));
    assert_eq!(control.applied(2).await.busy, [1]);
    for message in ["\0\n\nnot http", "GET / HTTP/1.1\r\n\r\n"] {
        client.send(message).await;
        assert_eq!(client.exactly(message.len()).await, message.as_bytes());
    }
    drop(client);
    control.next_status(|status| status.busy.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_that_is_not_granted_tunnels_nothing() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    for protocol in ["websocket", "h2c"] {
        let mut client = ingress.connect().await;
        // The second request would be a smuggled one if anybody read it.
        client
            .send(format!(
                "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: {protocol}\r\n\
                 \r\nGET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
            ))
            .await;
        let reply = client.response().await;
        assert_eq!(
            (reply.status, reply.header("connection")),
            (200, Some("close"))
        );
        assert!(client.response_or_end().await.is_none());
    }
    let seen = frontend.seen();
    assert!(seen.iter().all(|seen| seen.line == "GET /"), "{seen:?}");
    assert_eq!(seen[0].headers["upgrade"], "websocket");
    assert!(
        !seen[1].headers.contains_key("upgrade"),
        "h2c was passed on"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_upload_streams_and_waits_for_whoever_is_slow() {
    const CHUNK: usize = 64 << 10;
    // Far more than the sockets on the way hold, whatever size this kernel lets them grow to.
    const TOO_MUCH: usize = 1 << 30;
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    client
        .send(format!(
            "POST /echo HTTP/1.1\r\nHost: {HOST}\r\nTransfer-Encoding: chunked\r\n\r\n"
        ))
        .await;
    let mut chunk = format!("{CHUNK:x}\r\n").into_bytes();
    chunk.resize(chunk.len() + CHUNK, 7u8);
    chunk.extend_from_slice(b"\r\n");
    // Nobody reads the echo, so what may be written before it stops is what sockets hold.
    let (mut chunks, mut at) = (0, 0);
    loop {
        let write = tokio::time::timeout(
            Duration::from_millis(500),
            client.stream.write(&chunk[at..]),
        );
        let Ok(count) = write.await else { break };
        at += count.unwrap();
        if at == chunk.len() {
            (chunks, at) = (chunks + 1, 0);
        }
        assert!(
            chunks * CHUNK < TOO_MUCH,
            "a gibibyte was taken although nobody read any of it"
        );
    }

    // The chunk that was under way and the end of the body pass once somebody reads.
    let mut rest = chunk[at..].to_vec();
    rest.extend_from_slice(b"0\r\n\r\n");
    let length = CHUNK * (chunks + 1);
    let (mut reader, mut writer) = client.stream.into_split();
    let writing = tokio::spawn(async move {
        writer.write_all(&rest).await.unwrap();
        writer
    });
    // The echo has no length of its own; count what is not framing.
    let (mut received, mut part) = (0, vec![0u8; CHUNK]);
    while received < length {
        let count = reader.read(&mut part).await.unwrap();
        assert!(
            count > 0,
            "the echo ended after {received} of {length} bytes"
        );
        received += part[..count].iter().filter(|byte| **byte == 7).count();
    }
    assert_eq!(received, length, "more came back than was sent");
    drop(writing.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_and_trailers_pass() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    for method in ["POST", "GET"] {
        client
            .send(format!(
                "{method} /count HTTP/1.1\r\nHost: {HOST}\r\nTE: trailers\r\nTrailer: x-sum\r\n\
                 Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n3;x=y\r\n...\r\n0\r\nX-Sum: 1\r\n\r\n"
            ))
            .await;
        assert_eq!(client.response().await.text(), "8 1", "{method}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_early_answer_leaves_no_connection_that_is_used_again() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    // The frontend answers at once; the body never comes whole.
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 100000\r\n\r\nGET /"
        ))
        .await;
    assert_eq!(client.response().await.status, 200);
    drop(client);
    for _ in 0..10 {
        assert_eq!(ingress.get(HOST, "/").await, (200, "1".to_owned()));
    }
    let lines: Vec<_> = frontend.seen().into_iter().map(|seen| seen.line).collect();
    assert_eq!(lines[0], "POST /");
    assert!(lines[1..].iter().all(|line| line == "GET /"), "{lines:?}");
    assert!(
        frontend.connections() >= 2,
        "the connection of the early answer was used again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn expect_100_continue_is_answered_before_the_body() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    client
        .send(format!(
            "POST /count HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n"
        ))
        .await;
    let interim = client.until(b"\r\n\r\n").await.unwrap();
    assert!(
        interim.starts_with(b"HTTP/1.1 100"),
        "{}",
        String::from_utf8_lossy(&interim)
    );
    client.send("hello").await;
    assert_eq!(client.response().await.text(), "5 0");
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_one_by_one() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    client.get(HOST, "/events").await;
    let head = client.until(b"\r\n\r\n").await.unwrap();
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(head.contains("content-type: text/event-stream"), "{head}");
    // The second event does not exist before the first has been seen.
    assert_eq!(client.chunk().await.unwrap(), b"data: one\n\n");
    frontend.release();
    assert_eq!(client.chunk().await.unwrap(), b"data: two\n\n");
    assert_eq!(client.chunk().await, None);
}
