//! Whom the ingress lets in, how many of them, and how it knows who they are.

use std::num::NonZeroU32;

use fleet_proto::internal as wire;

use super::control::Control;
use super::frontend::Frontend;
use super::raw::{Raw, Reply};
use super::world::{HOST, Ingress, Setup, pool, table, world};
use crate::PerAddress;

fn networks(texts: &[&str]) -> wire::Admitted {
    wire::Admitted {
        networks: texts.iter().map(|text| (*text).to_owned()).collect(),
    }
}

/// prod, open to these alone.
fn open_to(generation: u64, frontends: &[&Frontend], texts: &[&str]) -> wire::RouteTable {
    let mut table = table(generation, frontends);
    table.environments[0].admitted = Some(networks(texts));
    table
}

/// An ingress that believes its clients on the loopback: balancers, or proxies.
async fn behind(table: wire::RouteTable, proxies: bool) -> (Control, Ingress) {
    let control = Control::start().await;
    let generation = table.generation;
    control.order_full(table);
    let loopback = vec!["127.0.0.1".parse().unwrap()];
    let mut setup = Setup::with(&[&control]);
    match proxies {
        true => setup.trusted = loopback,
        false => setup.balancers = loopback,
    }
    let ingress = setup.start();
    control.applied(generation).await;
    (control, ingress)
}

async fn ask(client: &mut Raw, headers: &str) -> Reply {
    client
        .send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n"))
        .await;
    client.response().await
}

async fn status(client: &mut Raw, headers: &str) -> u16 {
    ask(client, headers).await.status
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_not_let_in_gets_a_page_and_reaches_nobody() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(open_to(1, &[&frontend], &["192.0.2.0/24"])).await;
    let mut client = ingress.connect().await;
    let refused = ask(&mut client, "").await;
    assert_eq!(refused.status, 403);
    assert_eq!(refused.header("cache-control"), Some("no-store"));
    assert_eq!(
        refused.text(),
        format!("403 Forbidden\n{HOST} is not open to your address.\n")
    );
    // What it says of itself is nobody's word.
    let forged =
        "X-Forwarded-For: 192.0.2.7\r\nX-Real-IP: 192.0.2.7\r\nForwarded: for=192.0.2.7\r\n";
    let html = ask(&mut client, &format!("{forged}Accept: text/html\r\n")).await;
    assert_eq!(html.status, 403);
    assert!(html.text().starts_with("<!doctype html>"));
    let grpc = ask(&mut client, "Content-Type: application/grpc\r\n").await;
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("7")));
    // One with a body that nobody reads ends the connection, or leaves it clean.
    client
        .send(format!(
            "POST / HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 40\r\n\r\n"
        ))
        .await;
    assert_eq!(client.response().await.status, 403);
    let smuggled = format!("GET /smuggled HTTP/1.1\r\nHost: {HOST}\r\n");
    let _ = tokio::io::AsyncWriteExt::write_all(&mut client.stream, smuggled.as_bytes()).await;
    assert!(frontend.seen().is_empty(), "{:?}", frontend.seen());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_balancer_says_who_comes_and_the_whitelist_hears_it() {
    let frontend = Frontend::start(1).await;
    let rules = ["192.0.2.0/24", "2001:db8::/32"];
    let (control, ingress) = behind(open_to(1, &[&frontend], &rules), false).await;
    for (header, expected) in [
        ("PROXY TCP4 192.0.2.7 198.51.100.1 4001 443\r\n", 200),
        ("PROXY TCP4 192.0.3.7 198.51.100.1 4001 443\r\n", 403),
        ("PROXY TCP6 2001:db8::7 2001:db8::1 4001 443\r\n", 200),
        ("PROXY TCP6 2001:db9::7 2001:db8::1 4001 443\r\n", 403),
        ("PROXY TCP6 ::ffff:192.0.2.7 2001:db8::1 4001 443\r\n", 200),
        // Its own health checks are its own.
        ("PROXY UNKNOWN\r\n", 403),
    ] {
        let mut client = ingress.connect().await;
        client.send(header).await;
        assert_eq!(status(&mut client, "").await, expected, "{header}");
        // Who is not trusted with it may say what he likes.
        let forged = "X-Forwarded-For: 192.0.2.7\r\n";
        assert_eq!(status(&mut client, forged).await, expected, "{header}");
    }

    // A service has a say beside its environment: both must let a client in.
    let mut both = open_to(2, &[&frontend], &rules);
    both.environments[0].pools[0].admitted = vec![networks(&["192.0.2.0/28", "0.0.0.0/1"])];
    control.order_full(both);
    control.applied(2).await;
    for (client, expected) in [("192.0.2.7", 200), ("192.0.2.99", 403), ("10.0.0.1", 403)] {
        let mut connection = ingress.connect().await;
        connection
            .send(format!("PROXY TCP4 {client} 198.51.100.1 4001 443\r\n"))
            .await;
        assert_eq!(status(&mut connection, "").await, expected, "{client}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_proxy_that_is_trusted_says_who_asks_request_by_request() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = behind(open_to(1, &[&frontend], &["192.0.2.0/24"]), true).await;
    // One connection of the proxy carries the requests of many.
    let mut client = ingress.connect().await;
    for (said, expected) in [
        ("X-Forwarded-For: 192.0.2.7\r\n", 200),
        ("X-Forwarded-For: 198.51.100.7\r\n", 403),
        ("X-Forwarded-For: 192.0.2.7, 198.51.100.7\r\n", 403),
        ("X-Forwarded-For: 198.51.100.7, 192.0.2.8\r\n", 200),
        (
            "X-Forwarded-For: 198.51.100.7\r\nX-Forwarded-For: 192.0.2.9\r\n",
            200,
        ),
        (
            "X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: nonsense\r\n",
            403,
        ),
        ("", 403),
    ] {
        assert_eq!(status(&mut client, said).await, expected, "{said}");
    }
    let told: Vec<_> = frontend
        .seen()
        .iter()
        .map(|seen| seen.headers["x-forwarded-for"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        told,
        [
            "192.0.2.7, 127.0.0.1",
            "192.0.2.8, 127.0.0.1",
            "192.0.2.9, 127.0.0.1"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_revoked_is_refused_on_a_connection_that_is_open() {
    let frontend = Frontend::start(1).await;
    let (control, ingress) = world(open_to(1, &[&frontend], &["127.0.0.0/8"])).await;
    let mut client = ingress.connect().await;
    for generation in 2..12_u64 {
        assert_eq!(status(&mut client, "").await, 200);
        let base = 2 * generation - 3;
        for (at, rules, expected) in [
            (base + 1, &["10.0.0.0/8"][..], 403),
            (base + 2, &["10.0.0.0/8", "127.0.0.1/32"][..], 200),
        ] {
            control.order_delta(wire::RouteDelta {
                base_generation: at - 1,
                generation: at,
                upsert: open_to(at, &[&frontend], rules).environments,
                ..wire::RouteDelta::default()
            });
            control.applied(at).await;
            // Not one request is wrong once it is acknowledged.
            for _ in 0..5 {
                assert_eq!(status(&mut client, "").await, expected, "generation {at}");
            }
        }
    }
    // Nobody is let in by a list of nobody, and the ingress remembers it without control.
    control.order_full(open_to(100, &[&frontend], &[]));
    control.applied(100).await;
    assert_eq!(status(&mut client, "").await, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_ingress_that_starts_without_control_keeps_its_whitelists() {
    let frontend = Frontend::start(1).await;
    let control = Control::start().await;
    control.order_full(open_to(1, &[&frontend], &["10.0.0.0/8"]));
    let mut setup = Setup::with(&[&control]);
    let ingress = setup.start();
    control.applied(1).await;
    assert_eq!(ingress.get(HOST, "/").await.0, 403);
    ingress.kill().await;
    setup.control = Vec::new();
    drop(control);
    let ingress = setup.start();
    assert_eq!(ingress.get(HOST, "/").await.0, 403);
    assert!(frontend.seen().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_environment_has_so_many_in_flight_and_no_more() {
    let frontend = Frontend::start(1).await;
    let mut limited = table(1, &[&frontend]);
    limited.environments[0].requests = Some(wire::RouteLimit {
        in_flight: 2,
        ..wire::RouteLimit::default()
    });
    let (control, ingress) = world(limited.clone()).await;
    let mut held = [ingress.connect().await, ingress.connect().await];
    for client in &mut held {
        client.get(HOST, "/held").await;
    }
    frontend.asked(2).await;
    let mut client = ingress.connect().await;
    let refused = ask(&mut client, "").await;
    assert_eq!(
        (refused.status, refused.header("retry-after")),
        (429, Some("1"))
    );
    let grpc = ask(&mut client, "Content-Type: application/grpc\r\n").await;
    assert_eq!((grpc.status, grpc.header("grpc-status")), (200, Some("8")));
    // A newer version of its routes does not make room.
    limited.generation = 2;
    limited.environments[0].active_release = "R2".to_owned();
    control.order_full(limited);
    control.applied(2).await;
    assert_eq!(status(&mut client, "").await, 429);
    assert_eq!(frontend.seen().len(), 2);
    // The end of a response does, and so does a client that leaves.
    let [mut stays, leaves] = held;
    drop(leaves);
    let freed = async {
        while status(&mut client, "").await != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(super::world::PATIENCE, freed)
        .await
        .expect("room for another");
    frontend.release();
    assert_eq!(stays.response().await.status, 200);
    assert_eq!(status(&mut client, "").await, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_address_has_its_own_pace() {
    let frontend = Frontend::start(1).await;
    let mut limited = open_to(1, &[&frontend], &["192.0.2.0/24", "2001:db8::/32"]);
    limited.environments[0].address_requests = Some(wire::RouteLimit {
        in_flight: 0,
        // One a second, so slow that a busy machine changes nothing within the test's burst.
        per_second: 1,
        burst: 3,
    });
    let (_control, ingress) = behind(limited, true).await;
    let mut client = ingress.connect().await;
    let mut count = async |address: &str, times: usize| {
        let mut let_in = 0;
        for _ in 0..times {
            let answer = ask(&mut client, &format!("X-Forwarded-For: {address}\r\n")).await;
            match answer.status {
                200 => let_in += 1,
                429 => assert!(answer.header("retry-after").is_some()),
                other => panic!("{other}"),
            }
        }
        let_in
    };
    let began = std::time::Instant::now();
    let first = count("192.0.2.1", 20).await;
    let other = count("192.0.2.2", 3).await;
    // Of IPv6 a network of 64 bits is one.
    let six = count("2001:db8::1", 2).await + count("2001:db8::2", 18).await;
    let seconds = 1 + usize::try_from(began.elapsed().as_secs()).unwrap();
    assert!((3..=3 + seconds).contains(&first), "{first} in {seconds} s");
    assert_eq!(other, 3, "nobody pays for another");
    assert!((3..=3 + seconds).contains(&six), "{six} in {seconds} s");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_may_open_so_many_connections() {
    let frontend = Frontend::start(1).await;
    let control = Control::start().await;
    control.order_full(table(1, &[&frontend]));
    let setup = Setup {
        per_address: PerAddress {
            connections: NonZeroU32::new(2),
            handshakes: None,
        },
        ..Setup::with(&[&control])
    };
    let ingress = setup.start();
    control.applied(1).await;
    let mut first = ingress.connect().await;
    let mut second = ingress.connect().await;
    for client in [&mut first, &mut second] {
        assert_eq!(status(client, "").await, 200);
    }
    let mut third = ingress.connect().await;
    third.ends().await;
    // Those that are open go on, and one that ends makes room.
    assert_eq!(status(&mut second, "").await, 200);
    drop(first);
    let room = async {
        loop {
            let mut client = ingress.connect().await;
            let request = format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n\r\n");
            let sent = tokio::io::AsyncWriteExt::write_all(&mut client.stream, request.as_bytes());
            if sent.await.is_ok()
                && let Some(reply) = client.response_or_end().await
            {
                assert_eq!(reply.status, 200);
                return;
            }
        }
    };
    tokio::time::timeout(super::world::PATIENCE, room)
        .await
        .expect("room for another");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_client_uses_up_nothing_that_others_may() {
    let frontend = Frontend::start(1).await;
    let mut limited = open_to(1, &[&frontend], &["192.0.2.0/24"]);
    limited.environments[0].requests = Some(wire::RouteLimit {
        in_flight: 0,
        per_second: 1,
        burst: 1,
    });
    limited.environments[0].pools = vec![pool("R1", &[&frontend])];
    let (_control, ingress) = behind(limited, true).await;
    let mut client = ingress.connect().await;
    for _ in 0..20 {
        let refused = status(&mut client, "X-Forwarded-For: 198.51.100.7\r\n").await;
        assert_eq!(refused, 403);
    }
    assert_eq!(
        status(&mut client, "X-Forwarded-For: 192.0.2.7\r\n").await,
        200
    );
}
