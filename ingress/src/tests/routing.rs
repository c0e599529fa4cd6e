//! Which frontend answers, and what it is told of the client.

use bytes::Bytes;
use http::{Request, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::control::Control;
use super::frontend::{Frontend, Seen};
use super::world::{HOST, Setup, environment, pool, table, world};

#[tokio::test(flavor = "multi_thread")]
async fn hosts_lead_to_their_release() {
    let (active, idle) = (Frontend::start(1).await, Frontend::start(2).await);
    let mut closed = environment("shut", &[("www.shut.shop.test", "R1")], Vec::new());
    closed.pools.push(pool("R1", &[]));
    closed.maintenance = true;
    let mut table = table(1, &[&active]);
    table.environments[0].pools.push(pool("R2", &[&idle]));
    let mut inactive = table.environments[0].hosts[0].clone();
    inactive.host = "www.8ef9d2f.prod.shop.test".to_owned();
    inactive.release = "R2".to_owned();
    table.environments[0].hosts.push(inactive);
    table.environments.push(closed);
    let (_control, ingress) = world(table).await;

    let cases = [
        (HOST, 200, "1"),
        ("WWW.Prod.Shop.Test:8080", 200, "1"),
        ("de.www.prod.shop.test", 200, "1"),
        ("a.b.www.prod.shop.test.", 200, "1"),
        ("www.8ef9d2f.prod.shop.test", 200, "2"),
        (
            "prod.shop.test",
            404,
            "No environment here answers for prod.shop.test.",
        ),
        ("www.0000000.prod.shop.test", 404, "No environment"),
        (
            "www.shut.shop.test",
            503,
            "www.shut.shop.test is closed for maintenance.",
        ),
    ];
    for (host, status, says) in cases {
        let (given, body) = ingress.get(host, "/").await;
        assert_eq!(given, status, "{host}: {body}");
        assert!(body.contains(says), "{host}: {body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_connection_each_way_carries_many_requests() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    for _ in 0..50 {
        client.get(HOST, "/").await;
        assert_eq!(client.response().await.status, 200);
    }
    // A response can reach the client before the ingress's own task has put its connection back.
    assert!(
        frontend.connections() <= 3,
        "{} connections",
        frontend.connections()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_is_told_who_asked_and_nothing_forged() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    client
        .send(format!(
            "GET http://{HOST}:80/a%20b?c HTTP/1.1\r\nHost: {HOST}:80\r\n\
             X-Forwarded-For: 10.9.8.7\r\nX_Forwarded_For: 10.9.8.7\r\nForwarded: for=10.9.8.7\r\n\
             Connection: x-forwarded-for, host, x-mine, keep-alive\r\nX-Mine: 1\r\n\
             Traceparent: 00-1-2-00\r\n\r\n"
        ))
        .await;
    assert_eq!(client.response().await.status, 200);
    let seen = frontend.seen().remove(0);
    assert_eq!(seen.line, "GET /a%20b?c");
    let header = |name: &str| {
        let values: Vec<_> = seen
            .headers
            .get_all(name)
            .iter()
            .map(|v| v.to_str().unwrap())
            .collect();
        values.join("|")
    };
    assert_eq!(header("host"), format!("{HOST}:80"));
    assert_eq!(header("x-forwarded-for"), "127.0.0.1");
    assert_eq!(header("x-forwarded-proto"), "http");
    assert_eq!(header("x-forwarded-host"), format!("{HOST}:80"));
    assert_eq!(
        header("x-forwarded-port"),
        ingress.address.port().to_string()
    );
    assert_eq!(header("x-request-id").len(), 32);
    assert_eq!(header("traceparent"), "00-1-2-00");
    for gone in ["x_forwarded_for", "forwarded", "x-mine", "connection"] {
        assert_eq!(header(gone), "", "{gone}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn head_and_http_1_0_are_served() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    client
        .send(format!("HEAD / HTTP/1.1\r\nHost: {HOST}\r\n\r\n"))
        .await;
    let head = client.until(b"\r\n\r\n").await.unwrap();
    let head = String::from_utf8(head).unwrap().to_lowercase();
    assert!(
        head.starts_with("http/1.1 200") && head.contains("content-length: 1"),
        "{head}"
    );
    // Nothing but the next response follows.
    client.get(HOST, "/").await;
    assert_eq!(client.response().await.text(), "1");

    let mut client = ingress.connect().await;
    client
        .send(format!("GET / HTTP/1.0\r\nHost: {HOST}\r\n\r\n"))
        .await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.header("transfer-encoding")),
        (200, None)
    );
    client.ends().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_clients_share_a_connection() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let stream = ingress.connect().await.stream;
    let http2 = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (sender, connection) = http2
        .handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .unwrap();
    let driving = tokio::spawn(connection);
    let requests = (0..20).map(|number| {
        let mut sender = sender.clone();
        async move {
            let request = Request::get(format!("http://{HOST}/{number}"))
                .header("cookie", "a=1")
                .header("cookie", "b=2")
                .body(Empty::new())
                .unwrap();
            let response = sender.send_request(request).await.unwrap();
            assert_eq!(
                (response.status().as_u16(), response.version()),
                (200, Version::HTTP_2)
            );
            let body = response.into_body().collect().await.unwrap().to_bytes();
            assert_eq!(body, "1");
        }
    });
    futures::future::join_all(requests).await;
    let seen = frontend.seen();
    assert_eq!(seen.len(), 20);
    assert!(seen.iter().all(|seen| seen.headers["cookie"] == "a=1; b=2"));
    assert!(seen.iter().all(|seen| seen.headers["host"] == HOST));

    let request = Request::get("http://other.test/")
        .body(Empty::new())
        .unwrap();
    assert_eq!(
        sender.clone().send_request(request).await.unwrap().status(),
        404
    );
    driving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_says_whose_connection_it_passes_on() {
    let frontend = Frontend::start(1).await;
    let control = Control::start().await;
    control.order_full(table(1, &[&frontend]));
    let ingress = Setup {
        balancers: vec!["127.0.0.1".parse().unwrap()],
        ..Setup::with(&[&control])
    }
    .start();
    control.applied(1).await;
    let mut client = ingress.connect().await;
    client
        .send("PROXY TCP4 192.0.2.7 198.51.100.1 4001 443\r\n")
        .await;
    for _ in 0..2 {
        client.get(HOST, "/").await;
        assert_eq!(client.response().await.text(), "1");
    }
    let told = |seen: &Seen| {
        let header = |name: &str| seen.headers[name].to_str().unwrap().to_owned();
        (header("x-forwarded-for"), header("x-forwarded-port"))
    };
    let expected = ("192.0.2.7".to_owned(), "443".to_owned());
    assert!(frontend.seen().iter().all(|seen| told(seen) == expected));

    // Without a header it is nobody's connection.
    let mut nobody = ingress.connect().await;
    nobody.get(HOST, "/").await;
    assert!(nobody.response_or_end().await.is_none());
    assert_eq!(frontend.seen().len(), 2);
}
