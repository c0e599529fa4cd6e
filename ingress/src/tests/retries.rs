//! Frontends that fail, and what the client sees of it.

use fleet_proto::internal as wire;

use super::frontend::Frontend;
use super::world::{HOST, table, world};

const POST: &str =
    "POST /count HTTP/1.1\r\nHost: www.prod.shop.test\r\nContent-Length: 5\r\n\r\nhello";

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_frontend_costs_nothing_and_is_ejected() {
    let (mut dead, alive) = (Frontend::start(1).await, Frontend::start(2).await);
    dead.kill().await;
    let (control, ingress) = world(table(1, &[&dead, &alive])).await;
    let mut client = ingress.connect().await;
    for _ in 0..40 {
        client.get(HOST, "/").await;
        assert_eq!(client.response().await.text(), "2");
        // Not idempotent, with a body; but a refused connection has taken none of it.
        client.send(POST).await;
        assert_eq!(client.response().await.text(), "5 0");
    }
    assert_eq!(alive.seen().len(), 80);
    // Ejections are short and grow, so the report of one is sure to come only under load.
    let load = tokio::spawn(async move {
        loop {
            client.get(HOST, "/").await;
            assert_eq!(client.response().await.text(), "2");
        }
    });
    let ejected = |load: &wire::FrontendLoad| load.frontend_id == 1 && load.ejected;
    control
        .status(|status| status.load.iter().any(ejected))
        .await;
    load.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_outlives_tables_that_still_list_the_dead() {
    let (mut one, mut other) = (Frontend::start(1).await, Frontend::start(2).await);
    one.kill().await;
    other.kill().await;
    let alive = Frontend::start(3).await;
    let (control, ingress) = world(table(1, &[&one, &other])).await;
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut client = ingress.connect().await;
        client.get(HOST, "/").await;
        clients.push(client);
    }
    for generation in 2..12 {
        control.order_full(table(generation, &[&one, &other]));
        control.applied(generation).await;
    }
    control.order_full(table(12, &[&one, &other, &alive]));
    for mut client in clients {
        assert_eq!(client.response().await.text(), "3");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_get_in_flight_survives_the_death_of_its_frontend() {
    let (mut first, second) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(table(1, &[&first])).await;
    let mut client = ingress.connect().await;
    client.get(HOST, "/held").await;
    first.asked(1).await;
    control.order_full(table(2, &[&first, &second]));
    control.applied(2).await;
    second.release();
    first.kill().await;
    assert_eq!(client.response().await.text(), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_that_was_sent_is_not_sent_again() {
    let (mut first, second) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(table(1, &[&first])).await;
    let mut client = ingress.connect().await;
    client.send(POST.replace("/count", "/held")).await;
    first.asked(1).await;
    control.order_full(table(2, &[&first, &second]));
    control.applied(2).await;
    first.kill().await;
    assert_eq!(client.response().await.status, 502);
    assert_eq!(second.seen().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_breaks_everything_is_not_sent_round_for_ever() {
    let frontends = futures::future::join_all((1..=5).map(Frontend::start)).await;
    let all: Vec<&Frontend> = frontends.iter().collect();
    let (_control, ingress) = world(table(1, &all)).await;
    assert_eq!(ingress.get(HOST, "/break").await.0, 502);
    let attempts: usize = frontends.iter().map(|frontend| frontend.seen().len()).sum();
    assert_eq!(attempts, 3);
    assert!(frontends.iter().all(|frontend| frontend.seen().len() <= 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_frontend_is_never_ejected() {
    let only = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&only])).await;
    for _ in 0..6 {
        assert_eq!(ingress.get(HOST, "/break").await.0, 502);
    }
    assert_eq!(ingress.get(HOST, "/").await, (200, "1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frontend_that_never_answers_is_given_up() {
    let frontend = Frontend::start(1).await;
    let mut hasty = table(1, &[&frontend]);
    hasty.environments[0].settings = Some(wire::RouteSettings {
        hold_ms: 0,
        response_timeout_ms: 100,
    });
    let (_control, ingress) = world(hasty).await;
    assert_eq!(ingress.get(HOST, "/held").await.0, 504);
    assert_eq!(frontend.seen().len(), 1);
}
