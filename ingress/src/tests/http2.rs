//! Frontends that speak HTTP/2, as those of gRPC do.

use std::time::Duration;

use bytes::Bytes;
use fleet_proto::internal::backend::Protocol;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Empty, StreamBody};
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http2::SendRequest;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::frontend::Frontend;
use super::world::{HOST, Ingress, PATIENCE, table, world};

type Piece = Result<Frame<Bytes>, std::io::Error>;
type Streamed = StreamBody<ReceiverStream<Piece>>;

/// A client of HTTP/2, from the first byte.
async fn client<B>(ingress: &Ingress) -> SendRequest<B>
where
    B: Body<Data = Bytes> + Send + Unpin + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let stream = TcpStream::connect(ingress.address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sender
}

fn request<B>(path: &str, body: B) -> Request<B> {
    Request::post(format!("http://{HOST}{path}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(body)
        .unwrap()
}

/// A request whose body is sent piece by piece.
fn streamed(path: &str) -> (mpsc::Sender<Piece>, Request<Streamed>) {
    let (sender, pieces) = mpsc::channel(1);
    (
        sender,
        request(path, StreamBody::new(ReceiverStream::new(pieces))),
    )
}

fn data(text: &'static str) -> Piece {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

async fn next_data(response: &mut Response<Incoming>) -> Bytes {
    let frame = tokio::time::timeout(PATIENCE, response.body_mut().frame()).await;
    let frame = frame
        .expect("a frame in time")
        .expect("not the end")
        .unwrap();
    frame.into_data().expect("data")
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_of_a_call_stream_at_once_and_trailers_pass_both_ways() {
    let frontend = Frontend::speaking(1, Protocol::Http2).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = client(&ingress).await;
    let (sender, request) = streamed("/echo");
    let asked = tokio::spawn(client.send_request(request));
    sender.send(data("one")).await.unwrap();
    let mut response = asked.await.unwrap().unwrap();
    assert_eq!(next_data(&mut response).await, "one");
    // The answer has begun, and the question goes on.
    sender.send(data("two")).await.unwrap();
    assert_eq!(next_data(&mut response).await, "two");
    let name = HeaderName::from_static("grpc-status");
    let trailers = HeaderMap::from_iter([(name.clone(), HeaderValue::from_static("0"))]);
    sender
        .send(Ok(Frame::trailers(trailers.clone())))
        .await
        .unwrap();
    drop(sender);
    let rest = response.into_body().collect().await.unwrap();
    assert_eq!(rest.trailers(), Some(&trailers));

    let seen = &frontend.seen()[0];
    assert_eq!(seen.line, "POST /echo");
    assert_eq!(seen.headers["te"], "trailers");
    assert_eq!(seen.headers["x-forwarded-host"], HOST);
    for gone in ["connection", "transfer-encoding", "upgrade"] {
        assert!(!seen.headers.contains_key(gone), "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_of_http_1_reaches_them_too() {
    let frontend = Frontend::speaking(1, Protocol::Http2).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    for _ in 0..3 {
        client.get(HOST, "/").await;
        assert_eq!(client.response().await.text(), "1");
        let body = "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
        client
            .send(format!("POST /count HTTP/1.1\r\nHost: {HOST}\r\n{body}"))
            .await;
        assert_eq!(client.response().await.text(), "5 0");
    }
    // There is no upgrading to a WebSocket over it; the request is an ordinary one.
    client
        .send(format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
        ))
        .await;
    assert_eq!(client.response().await.status, 200);
    client.ends().await;
    assert_eq!(frontend.connections(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_share_few_connections_and_are_all_counted() {
    const CALLS: usize = 150;
    let (frontend, next) = (
        Frontend::speaking(1, Protocol::Http2).await,
        Frontend::speaking(2, Protocol::Http2).await,
    );
    let (control, ingress) = world(table(1, &[&frontend])).await;
    // Two clients, since each may have a hundred streams.
    let mut clients = [client(&ingress).await, client(&ingress).await];
    let mut calls = Vec::new();
    for call in 0..CALLS {
        let client = &mut clients[call % 2];
        client.ready().await.unwrap();
        calls.push(tokio::spawn(
            client.send_request(request("/held", Empty::new())),
        ));
    }
    frontend.asked(CALLS).await;
    let connections = frontend.connections();
    assert!((2..=4).contains(&connections), "{connections} connections");

    // The switch touches none of them, and the frontend is busy until the last has ended.
    control.order_full(table(2, &[&next]));
    assert_eq!(control.applied(2).await.busy, [1]);
    // One is given up by its client; the others on its connection do not notice.
    calls.pop().expect("calls").abort();
    frontend.release();
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap().status(), 200);
    }
    control.next_status(|status| status.busy.is_empty()).await;
    let mut client = client(&ingress).await;
    let answer = client
        .send_request(request("/", Empty::new()))
        .await
        .unwrap();
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_speaks_grpc_is_told_in_grpc_that_nobody_is_there() {
    let mut frontend = Frontend::speaking(1, Protocol::Http2).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    frontend.kill().await;
    let mut client = client(&ingress).await;
    let answer = client.send_request(request("/call", Empty::<Bytes>::new()));
    let answer = tokio::time::timeout(PATIENCE, answer)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.headers()["grpc-status"], "14");
    assert_eq!(answer.headers()["content-type"], "application/grpc");
    assert!(answer.body().is_end_stream());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_may_have_a_patience_of_its_own() {
    for protocol in [Protocol::Http1, Protocol::Http2] {
        let frontend = Frontend::speaking(1, protocol).await;
        let mut table = table(1, &[&frontend]);
        table.environments[0].pools[0].response_timeout_ms = 300;
        let (_control, ingress) = world(table).await;
        let began = std::time::Instant::now();
        assert_eq!(ingress.get(HOST, "/held").await.0, 504, "{protocol:?}");
        assert!(began.elapsed() >= Duration::from_millis(300));
        assert_eq!(ingress.get(HOST, "/").await.0, 200, "{protocol:?}");
    }
}
