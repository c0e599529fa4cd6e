//! Start without control, and the end without a cut request.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::control::Control;
use super::frontend::Frontend;
use super::raw::Raw;
use super::world::{HOST, PATIENCE, Setup, table};

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_serves_by_its_last_table_when_no_control_answers() {
    let frontend = Frontend::start(1).await;
    let control = Control::start().await;
    control.order_full(table(7, &[&frontend]));
    let setup = Setup::with(&[&control]);
    let first = setup.start();
    control.applied(7).await;
    drop(control);
    // Losing control changes nothing for clients.
    assert_eq!(first.get(HOST, "/").await, (200, "1".to_owned()));
    first.kill().await;

    let second = setup.start();
    assert_eq!(second.get(HOST, "/").await, (200, "1".to_owned()));
    assert!(second.ready.load(Ordering::SeqCst));
    second.kill().await;

    // With a damaged table it says what it knows: nothing.
    let third = setup.start();
    let path = third.table.clone();
    third.kill().await;
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let fourth = setup.start();
    let (status, body) = fourth.get(HOST, "/").await;
    assert_eq!(
        (status, body.contains("has not received its routes yet")),
        (503, true),
        "{body}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_prefers_what_control_says_to_what_the_disk_says() {
    let (old, new) = (Frontend::start(1).await, Frontend::start(2).await);
    let control = Control::start().await;
    control.order_full(table(1, &[&old]));
    let setup = Setup::with(&[&control]);
    let first = setup.start();
    control.applied(1).await;
    first.kill().await;
    control.order_full(table(2, &[&new]));
    // The connection waits in the backlog until the ingress knows.
    let second = setup.start();
    assert_eq!(second.get(HOST, "/").await, (200, "2".to_owned()));
    let hello = control.hello(1).await;
    assert_eq!(hello.applied_generation, 1);
    assert!(!hello.table_digest.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_everything_under_way_end() {
    let frontend = Frontend::start(1).await;
    let (control, mut ingress) = super::world::world(table(1, &[&frontend])).await;
    let (mut busy, mut idle) = (ingress.connect().await, ingress.connect().await);
    idle.get(HOST, "/").await;
    assert_eq!(idle.response().await.header("connection"), None);
    busy.get(HOST, "/held").await;
    frontend.asked(2).await;

    ingress.stop();
    control.status(|status| status.stopping).await;
    // A request on a connection that was idle at the stop is served, and told to go elsewhere.
    idle.get(HOST, "/").await;
    let reply = idle.response().await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
    idle.ends().await;
    assert!(
        tokio::net::TcpStream::connect(ingress.address)
            .await
            .is_err(),
        "still accepts"
    );

    frontend.release();
    let reply = busy.response().await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (200, Some("close"))
    );
    assert_eq!(ingress.stopped().await.cut, 0);
    // The goodbye: nothing that this process routes can reach a frontend any more.
    let goodbye = control
        .status(|status| status.stopping && status.connections == 0)
        .await;
    assert!(goodbye.busy.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_at_its_deadline() {
    let frontend = Frontend::start(1).await;
    let control = Control::start().await;
    control.order_full(table(1, &[&frontend]));
    let mut setup = Setup::with(&[&control]);
    setup.drain = Duration::from_millis(300);
    let mut ingress = setup.start();
    let (mut busy, mut silent) = (ingress.connect().await, ingress.connect().await);
    silent.get(HOST, "/").await;
    assert_eq!(silent.response().await.status, 200);
    busy.get(HOST, "/held").await;
    frontend.asked(2).await;
    ingress.stop();
    // The silent one is closed before the deadline, the busy one holds out until it.
    silent.ends().await;
    assert_eq!(ingress.stopped().await.cut, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_http_2_client_is_sent_away_politely() {
    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Empty};
    use hyper_util::rt::{TokioExecutor, TokioIo};

    let frontend = Frontend::start(1).await;
    let (_control, mut ingress) = super::world::world(table(1, &[&frontend])).await;
    let Raw { stream, .. } = ingress.connect().await;
    let http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut sender, connection) = http2
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    let request = |path: &str| {
        http::Request::get(format!("http://{HOST}{path}"))
            .body(Empty::<Bytes>::new())
            .unwrap()
    };
    let held = tokio::spawn(sender.send_request(request("/held")));
    frontend.asked(1).await;
    ingress.stop();
    // GOAWAY: nothing new on this connection, and what is under way ends as it should.
    let refused = async { while sender.send_request(request("/")).await.is_ok() {} };
    tokio::time::timeout(PATIENCE, refused)
        .await
        .expect("GOAWAY");
    frontend.release();
    let response = held.await.unwrap().unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "1"
    );
    driving.await.unwrap().unwrap();
    assert_eq!(ingress.stopped().await.cut, 0);
}
