//! Against real sockets: a listener that answers one connection as the case says.
#![allow(clippy::unwrap_used)]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;

const PATIENCE: Duration = Duration::from_secs(5);

/// Serves one connection with `answer` and returns what was asked.
async fn serve(answer: &'static [u8], hold_open: bool) -> (String, oneshot::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, question) = oneshot::channel();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read(&mut byte).await.unwrap() == 0 {
                break;
            }
            request.push(byte[0]);
        }
        let _ = asked.send(String::from_utf8(request).unwrap());
        let _ = stream.write_all(answer).await;
        if hold_open {
            std::future::pending::<()>().await;
        }
    });
    (address, question)
}

#[tokio::test]
async fn the_status_decides() {
    let cases: [(&[u8], Result<(), &str>); 8] = [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", Ok(())),
        (b"HTTP/1.1 204 No Content\r\n\r\n", Ok(())),
        (
            b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            Ok(()),
        ),
        (b"HTTP/1.0 399 Odd\r\n\r\n", Ok(())),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", Err("status 400")),
        (
            b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n",
            Err("status 503"),
        ),
        (b"SSH-2.0-x\r\n", Err("not HTTP")),
        (b"", Err("not HTTP")),
    ];
    for (answer, expected) in cases {
        let (address, _question) = serve(answer, false).await;
        let result = probe(&CheckKind::Http("/health?a=1".into()), PATIENCE, &address).await;
        match (result, expected) {
            (Ok(()), Ok(())) => {}
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
            (found, expected) => {
                panic!(
                    "{:?}: {found:?}, not {expected:?}",
                    String::from_utf8_lossy(answer)
                )
            }
        }
    }
}

#[tokio::test]
async fn the_frontend_itself_is_asked() {
    let (address, question) = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", false).await;
    probe(&CheckKind::Http("/health?a=1".into()), PATIENCE, &address)
        .await
        .unwrap();
    let question = question.await.unwrap().to_ascii_lowercase();
    assert!(
        question.starts_with("get /health?a=1 http/1.1\r\n"),
        "{question}"
    );
    assert!(
        question.contains(&format!("host: {address}\r\n")),
        "{question}"
    );
}

#[tokio::test]
async fn an_endless_body_is_not_read() {
    // More than the limit is announced, little of it comes, and the connection stays open.
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\nabc";
    let (address, _question) = serve(answer, true).await;
    probe(&CheckKind::Http("/".into()), PATIENCE, &address)
        .await
        .unwrap();
}

#[tokio::test]
async fn silence_ends_with_the_timeout() {
    let (address, _question) = serve(b"HTTP/1.1 200 OK\r\nContent-", true).await;
    let quick = Duration::from_millis(50);
    assert_eq!(
        probe(&CheckKind::Http("/".into()), quick, &address).await,
        Err("no answer within 0.05 s".to_owned())
    );
}

#[tokio::test]
async fn tcp_needs_a_listener_and_nothing_else() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    assert_eq!(probe(&CheckKind::Tcp, PATIENCE, &address).await, Ok(()));
    drop(listener);
    let nobody = Err(format!("nothing listens on {address}"));
    assert_eq!(probe(&CheckKind::Tcp, PATIENCE, &address).await, nobody);
    assert_eq!(
        probe(&CheckKind::Http("/".into()), PATIENCE, &address).await,
        nobody
    );
}
