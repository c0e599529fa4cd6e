//! TLS as clients see it.

mod answers;
mod client;
mod material;
mod observed;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use fleet_proto::internal as wire;
use rustls::{HandshakeKind, version};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use self::client::{Client, get, get_h2};
use self::material::{Given, own, secured, tickets};
use super::control::Control;
use super::frontend::Frontend;
use super::world::{HOST, PATIENCE, Setup, environment, pool, table, world};

const STAGE: &str = "www.stage.shop.test";

/// prod shows the certificate `prod`, stage the certificate `stage`.
fn two(generation: u64, frontends: &[&Frontend; 2], shown: [&Given; 2]) -> wire::RouteTable {
    let mut both = table(generation, &frontends[..1]);
    let pool = pool("R1", &frontends[1..]);
    let stage = environment("stage", &[(STAGE, "R1")], vec![pool]);
    both.environments.push(stage);
    let [prod, stage] = shown;
    let certificates = vec![own().wire, prod.wire("prod"), stage.wire("stage")];
    secured(both, &["prod", "stage"], certificates)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_host_decides_which_certificate_is_shown() {
    let (a, b) = (Frontend::start(1).await, Frontend::start(2).await);
    let (prod, stage) = (Given::new(&[HOST]), Given::new(&[STAGE]));
    let (_control, ingress) = world(two(1, &[&a, &b], [&prod, &stage])).await;
    for (host, given, other, body) in [(HOST, &prod, &stage, "1"), (STAGE, &stage, &prod, "2")] {
        for versions in [&[&version::TLS13][..], &[&version::TLS12]] {
            let client = Client::trusting(&[&given.der], versions);
            let stream = client.shake(ingress.https, host).await.unwrap();
            assert_eq!(get(stream, host, "/").await, (200, body.to_owned()));
            let wrong = Client::trusting(&[&other.der], versions);
            assert!(wrong.shake(ingress.https, host).await.is_err());
        }
    }
    let client = Client::trusting(&[&prod.der], &[&version::TLS13]);
    let h2 = client
        .speaking(&["h2", "http/1.1"])
        .shake(ingress.https, HOST)
        .await
        .unwrap();
    assert_eq!(h2.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    assert_eq!(get_h2(h2, HOST, "/").await, (200, "1".to_owned()));
    let h1 = client
        .speaking(&["http/1.1"])
        .shake(ingress.https, HOST)
        .await
        .unwrap();
    assert_eq!(h1.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert!(
        client
            .speaking(&["smtp"])
            .shake(ingress.https, HOST)
            .await
            .is_err()
    );

    for seen in a.seen().iter().chain(&b.seen()) {
        assert_eq!(seen.headers["x-forwarded-proto"], "https");
        let port = ingress.https.port().to_string();
        assert_eq!(seen.headers["x-forwarded-port"], *port);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_clusters_own_is_believed_for_every_host_of_its_domain() {
    let frontend = Frontend::start(1).await;
    let own = own();
    let routes = secured(table(1, &[&frontend]), &["gone"], vec![own.wire.clone()]);
    let (_control, ingress) = world(routes).await;
    let client = Client::trusting(&[&own.der], &[&version::TLS13]);
    for host in [HOST, "a.www.prod.shop.test", "b.c.www.prod.shop.test"] {
        let stream = client.shake(ingress.https, host).await.unwrap();
        assert_eq!(
            get(stream, host, "/").await,
            (200, "1".to_owned()),
            "{host}"
        );
    }
    // A host that nobody has: one certificate for all of them, and a page that says so.
    let stream = client
        .shake(ingress.https, "nobody.shop.test")
        .await
        .unwrap();
    assert_eq!(get(stream, "nobody.shop.test", "/").await.0, 404);
    // By address no host is asked for; what is shown is good for the domain.
    let nameless = client
        .nameless()
        .shake(ingress.https, "nobody.shop.test")
        .await
        .unwrap();
    assert_eq!(get(nameless, HOST, "/").await.0, 200);
    // Names outside the domain are not for it to sign.
    assert!(
        client
            .shake(ingress.https, "www.prod.other.test")
            .await
            .is_err()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_serves_the_environment_whose_certificate_it_was_shown() {
    let (a, b) = (Frontend::start(1).await, Frontend::start(2).await);
    let (prod, stage) = (Given::new(&[HOST]), Given::new(&[STAGE]));
    let (_control, ingress) = world(two(1, &[&a, &b], [&prod, &stage])).await;
    let client = Client::trusting(&[&prod.der], &[&version::TLS13]);
    let shake = || client.shake(ingress.https, HOST);
    let (status, page) = get(shake().await.unwrap(), STAGE, "/").await;
    assert_eq!(
        (status, page.contains("was made for another host")),
        (421, true),
        "{page}"
    );
    let h2 = client
        .speaking(&["h2"])
        .shake(ingress.https, HOST)
        .await
        .unwrap();
    assert_eq!(get_h2(h2, STAGE, "/").await.0, 421);
    let same = "a.www.prod.shop.test";
    assert_eq!(
        get(shake().await.unwrap(), same, "/").await.0,
        200,
        "of the same environment"
    );
    assert_eq!(get(shake().await.unwrap(), "nobody.test", "/").await.0, 404);
    assert!(b.seen().is_empty(), "the other environment was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_http_is_sent_to_https_where_that_is_wished() {
    let (a, b) = (Frontend::start(1).await, Frontend::start(2).await);
    let (prod, stage) = (Given::new(&[HOST]), Given::new(&[STAGE]));
    let mut routes = two(1, &[&a, &b], [&prod, &stage]);
    routes.environments[0].redirect = true;
    let (_control, ingress) = world(routes).await;
    let mut client = ingress.connect().await;
    client.get(HOST, "/a?b=c").await;
    let reply = client.response().await;
    let port = ingress.https.port();
    let location = format!("https://{HOST}:{port}/a?b=c");
    assert_eq!(
        (reply.status, reply.header("location")),
        (308, Some(&*location))
    );
    // The connection goes on, and the other environment is served on it as before.
    client.get(STAGE, "/").await;
    assert_eq!(client.response().await.text(), "2");
    // What arrived by HTTPS is where it should be.
    let client = Client::trusting(&[&prod.der], &[&version::TLS13]);
    let stream = client.shake(ingress.https, HOST).await.unwrap();
    assert_eq!(get(stream, HOST, "/").await, (200, "1".to_owned()));
}

/// Show 6, first half.
#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_a_hundred_times_under_load() {
    const TIMES: usize = 100;
    let frontend = Frontend::start(1).await;
    let all: Arc<Vec<Given>> = Arc::new((0..=TIMES).map(|_| Given::new(&[HOST])).collect());
    let first = vec![own().wire, all[0].wire("prod")];
    let (control, ingress) = world(secured(table(1, &[&frontend]), &["prod"], first)).await;
    let ders: Vec<&[u8]> = all.iter().map(|given| &*given.der).collect();
    let client = Client::trusting(&ders, &[&version::TLS13, &version::TLS12]);
    // Open before the first and used after the last: it has seen what it has seen.
    let before = client.shake(ingress.https, HOST).await.unwrap();
    let (mut kept, driving) = client::open(before).await;

    let (ordered, applied) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let load = (0..4).map(|_| {
        let (client, all) = (client.clone(), Arc::clone(&all));
        let (ordered, applied) = (Arc::clone(&ordered), Arc::clone(&applied));
        let address = ingress.https;
        tokio::spawn(async move {
            let (mut handshakes, mut different) = (0_u32, std::collections::BTreeSet::new());
            while applied.load(Ordering::SeqCst) < TIMES {
                let since = applied.load(Ordering::SeqCst);
                let stream = client
                    .shake(address, HOST)
                    .await
                    .expect("a handshake failed");
                let until = ordered.load(Ordering::SeqCst);
                let shown = stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();
                let shown = all.iter().position(|given| given.der == shown).unwrap();
                // Never one that was replaced before the handshake began.
                assert!(
                    (since..=until).contains(&shown),
                    "{shown} is not in {since}..={until}"
                );
                assert_eq!(get(stream, HOST, "/").await.0, 200);
                handshakes += 1;
                different.insert(shown);
            }
            (handshakes, different.len())
        })
    });
    let load: Vec<_> = load.collect();
    for (n, given) in all.iter().enumerate().skip(1) {
        ordered.store(n, Ordering::SeqCst);
        let generation = n as u64 + 1;
        control.order_delta(wire::RouteDelta {
            base_generation: generation - 1,
            generation,
            tls: Some(wire::TlsChange {
                upsert: vec![given.wire("prod")],
                names: vec!["prod".to_owned(), "self-signed".to_owned()],
                tickets: Some(tickets(&[1, 2], 1)),
                answers: Vec::new(),
            }),
            ..wire::RouteDelta::default()
        });
        control.applied(generation).await;
        applied.store(n, Ordering::SeqCst);
    }
    let (mut handshakes, mut most) = (0, 0);
    for task in load {
        let (made, different) = task.await.expect("a client failed");
        (handshakes, most) = (handshakes + made, most.max(different));
    }
    assert!(
        handshakes > 20 && most > 5,
        "{handshakes} handshakes saw {most} certificates"
    );
    assert_eq!(
        client::ask(&mut kept, HOST, "/").await,
        (200, "1".to_owned())
    );
    driving.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_is_gone_gives_way_to_the_clusters_own() {
    let frontend = Frontend::start(1).await;
    let (own, given) = (own(), Given::new(&[HOST]));
    let all = vec![own.wire.clone(), given.wire("prod")];
    let (control, ingress) = world(secured(table(1, &[&frontend]), &["prod"], all)).await;
    control.order_delta(wire::RouteDelta {
        base_generation: 1,
        generation: 2,
        tls: Some(wire::TlsChange {
            upsert: Vec::new(),
            names: vec!["self-signed".to_owned()],
            tickets: Some(tickets(&[1, 2], 1)),
            answers: Vec::new(),
        }),
        ..wire::RouteDelta::default()
    });
    control.applied(2).await;
    let client = Client::trusting(&[&own.der], &[&version::TLS13]);
    client.shake(ingress.https, HOST).await.unwrap();
    // One that cannot be used breaks nothing else either.
    let broken = wire::ServedCertificate {
        name: "prod".to_owned(),
        key: b"no key"[..].into(),
        ..given.wire("prod")
    };
    control.order_full(secured(
        table(3, &[&frontend]),
        &["prod"],
        vec![own.wire.clone(), broken],
    ));
    control.applied(3).await;
    let stream = client.shake(ingress.https, HOST).await.unwrap();
    assert_eq!(get(stream, HOST, "/").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_resumed_at_another_ingress_over_a_rotation() {
    let frontend = Frontend::start(1).await;
    let given = Given::new(&[HOST]);
    let all = || vec![own().wire, given.wire("prod")];
    let with = |generation, ids: &[u64], present| {
        let mut routes = secured(table(generation, &[&frontend]), &["prod"], all());
        routes.tls.as_mut().unwrap().tickets = Some(tickets(ids, present));
        routes
    };
    let (_one, first) = world(with(1, &[1, 2], 1)).await;
    // The other has heard of a rotation that the first has not.
    let (other, second) = world(with(1, &[1, 2, 3], 2)).await;
    for versions in [&[&version::TLS13][..], &[&version::TLS12]] {
        let client = || Client::trusting(&[&given.der], versions).remembering();
        let kind = async |client: &Client, address| {
            let stream = client.shake(address, HOST).await.unwrap();
            let kind = stream.get_ref().1.handshake_kind();
            // Tickets of 1.3 come after the handshake.
            assert_eq!(get(stream, HOST, "/").await.0, 200);
            kind
        };
        let (here, there) = (client(), client());
        assert_eq!(kind(&here, first.https).await, Some(HandshakeKind::Full));
        assert_eq!(
            kind(&here, second.https).await,
            Some(HandshakeKind::Resumed)
        );
        assert_eq!(kind(&there, second.https).await, Some(HandshakeKind::Full));
        assert_eq!(
            kind(&there, first.https).await,
            Some(HandshakeKind::Resumed)
        );
    }
    let client = Client::trusting(&[&given.der], &[&version::TLS13]).remembering();
    let stream = client.shake(first.https, HOST).await.unwrap();
    assert_eq!(get(stream, HOST, "/").await.0, 200);
    other.order_full(with(2, &[2, 3, 4], 3));
    other.applied(2).await;
    let stream = client.shake(second.https, HOST).await.unwrap();
    let kind = stream.get_ref().1.handshake_kind();
    assert_eq!(
        kind,
        Some(HandshakeKind::Full),
        "sealed with a key that is gone"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_outlive_control_in_a_file_for_nobody_else() {
    use std::os::unix::fs::PermissionsExt as _;
    let frontend = Frontend::start(1).await;
    let control = Control::start().await;
    let given = Given::new(&[HOST]);
    let all = vec![own().wire, given.wire("prod")];
    control.order_full(secured(table(7, &[&frontend]), &["prod"], all));
    let setup = Setup::with(&[&control]);
    let first = setup.start();
    control.applied(7).await;
    drop(control);
    first.kill().await;
    let second = setup.start();
    let client = Client::trusting(&[&given.der], &[&version::TLS13]);
    let stream = client.shake(second.https, HOST).await.unwrap();
    assert_eq!(get(stream, HOST, "/").await, (200, "1".to_owned()));
    let mode = std::fs::metadata(&second.table)
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_any_table_and_without_tls_a_client_is_let_go() {
    let setup = Setup::with(&[]);
    let ingress = setup.start();
    let client = Client::trusting(&[], &[&version::TLS13]);
    assert!(
        client.shake(ingress.https, HOST).await.is_err(),
        "there is nothing to show"
    );
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(secured(table(1, &[&frontend]), &[""], vec![own().wire])).await;
    let mut plain = TcpStream::connect(ingress.https).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, plain.read_to_end(&mut answer)).await;
    let _ = read.expect("it is let go");
    assert!(
        answer.first().is_none_or(|kind| *kind == 21),
        "an alert or nothing: {answer:?}"
    );
    assert!(frontend.seen().is_empty());
    // Another cluster's own, of the same names, is not believed in its place.
    let other = Client::trusting(&[&own().der], &[&version::TLS13]);
    assert!(other.shake(ingress.https, HOST).await.is_err());
}
