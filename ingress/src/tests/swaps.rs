//! Tables replaced under running requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use fleet_proto::internal as wire;

use super::frontend::Frontend;
use super::world::{HOST, table, world};

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_frontend_is_busy_until_its_last_request_ends() {
    let (old, new) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(table(1, &[&old])).await;
    let mut held = ingress.connect().await;
    held.get(HOST, "/held").await;
    old.asked(1).await;

    control.order_full(table(2, &[&new]));
    let status = control.applied(2).await;
    assert_eq!(status.busy, [1]);
    let outdated = wire::OldestRoutes {
        app: "shop".to_owned(),
        environment: "prod".to_owned(),
        oldest_generation: 1,
    };
    assert_eq!(status.outdated, [outdated]);

    for _ in 0..20 {
        assert_eq!(ingress.get(HOST, "/").await, (200, "2".to_owned()));
    }
    old.release();
    assert_eq!(held.response().await.text(), "1");
    let idle = |status: &wire::IngressStatus| status.busy.is_empty() && status.outdated.is_empty();
    control.next_status(idle).await;
    assert_eq!(
        old.seen().len(),
        1,
        "a request came after the acknowledgement"
    );
    assert_eq!(new.seen().len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_did_not_change_keeps_its_connections_and_its_version() {
    let (kept, other) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(table(1, &[&kept])).await;
    let mut held = ingress.connect().await;
    held.get(HOST, "/held").await;
    kept.asked(1).await;
    let mut wider = table(2, &[&kept]);
    wider.environments.push(super::world::environment(
        "stage",
        &[("www.stage.shop.test", "R1")],
        vec![super::world::pool("R1", &[&other])],
    ));
    control.order_full(wider);
    let status = control.applied(2).await;
    assert_eq!((status.busy, status.outdated), (vec![1], vec![]));
    kept.release();
    assert_eq!(held.response().await.status, 200);
}

/// The heart of it: tables change all the time, nothing fails, and once a generation is
/// acknowledged no request that begins later is answered by what it does not name.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn swaps_under_load_lose_nothing_and_mean_what_they_say() {
    const SWAPS: u64 = 150;
    let frontends = [Frontend::start(0).await, Frontend::start(1).await];
    // Generation g is served by frontend g % 2 alone.
    let of = |generation: u64| table(generation, &[&frontends[(generation % 2) as usize]]);
    let (control, ingress) = world(of(2)).await;
    // The generation that is acknowledged for sure, and the newest that may be in use.
    let window = Arc::new((AtomicU64::new(2), AtomicU64::new(2)));
    let done = Arc::new(AtomicBool::new(false));
    let clients = (0..6).map(|client| {
        let (window, done) = (Arc::clone(&window), Arc::clone(&done));
        let address = ingress.address;
        tokio::spawn(async move {
            let mut requests = 0u64;
            let mut raw = super::raw::Raw::connect(address).await;
            while !done.load(Ordering::SeqCst) {
                if client % 2 == 0 {
                    raw = super::raw::Raw::connect(address).await;
                }
                let acknowledged = window.0.load(Ordering::SeqCst);
                raw.get(HOST, "/").await;
                let reply = raw.response().await;
                let newest = window.1.load(Ordering::SeqCst);
                assert_eq!(reply.status, 200);
                let id: u64 = reply.text().parse().unwrap();
                if acknowledged == newest {
                    assert_eq!(
                        id,
                        newest % 2,
                        "answered by a release that was switched away"
                    );
                }
                requests += 1;
            }
            requests
        })
    });
    let clients: Vec<_> = clients.collect();
    for generation in 3..3 + SWAPS {
        window.1.store(generation, Ordering::SeqCst);
        control.order_full(of(generation));
        control.applied(generation).await;
        window.0.store(generation, Ordering::SeqCst);
        // Some requests in a state where only one answer is right.
        let (status, id) = ingress.get(HOST, "/").await;
        assert_eq!((status, id), (200, (generation % 2).to_string()));
    }
    done.store(true, Ordering::SeqCst);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_waits_for_a_table_that_can_serve_it() {
    let frontend = Frontend::start(1).await;
    let (control, ingress) = world(table(1, &[])).await;
    let mut client = ingress.connect().await;
    client.get(HOST, "/").await;
    // Whether the request or the table is first: it must be answered, not refused.
    control.order_full(table(2, &[&frontend]));
    assert_eq!(client.response().await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_healthy_is_503_after_the_time_it_may_take() {
    let mut nobody = table(1, &[]);
    nobody.environments[0].settings = Some(wire::RouteSettings {
        hold_ms: 50,
        response_timeout_ms: 0,
    });
    let (_control, ingress) = world(nobody).await;
    let begun = std::time::Instant::now();
    let mut client = ingress.connect().await;
    client
        .send(format!(
            "GET / HTTP/1.1\r\nHost: {HOST}\r\nAccept: text/html\r\n\r\n"
        ))
        .await;
    let reply = client.response().await;
    assert_eq!(
        (reply.status, reply.header("retry-after")),
        (503, Some("1"))
    );
    assert!(begun.elapsed() >= Duration::from_millis(50));
    assert!(
        reply
            .text()
            .contains(&format!("<p>Nothing healthy serves {HOST} right now.</p>"))
    );
    // The connection is still good.
    client.get("other.test", "/").await;
    assert_eq!(client.response().await.status, 404);
}
