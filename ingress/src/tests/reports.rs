//! What is told of load: each second, and everything that was counted.

use std::time::{Duration, Instant};

use fleet_proto::internal as wire;

use super::frontend::Frontend;
use super::world::{HOST, table, world};

/// What a busy machine may add to two beats of a second.
const LATE: u64 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_flight_is_told_each_second_and_silence_is_no_zero() {
    let frontend = Frontend::start(1).await;
    let (control, ingress) = world(table(1, &[&frontend])).await;
    let mut client = ingress.connect().await;
    client.get(HOST, "/held").await;
    frontend.asked(1).await;
    let busy = |status: &wire::IngressStatus| of(status).is_some_and(|load| load.in_flight == 1);
    let first = control.next_status(busy).await;
    let began = Instant::now();
    for _ in 0..2 {
        let status = control.next_status(busy).await;
        assert_eq!(of(&status).map(|load| load.requests), Some(0));
    }
    let statuses = control.since(first.sequence);
    assert!(statuses.iter().all(busy), "one was left out");
    assert!(
        began.elapsed() < Duration::from_secs(2 + LATE),
        "{statuses:?}"
    );

    // It was asked once, and has answered nothing yet.
    let all = control.since(0);
    let told =
        |count: fn(&wire::FrontendLoad) -> u64| all.iter().filter_map(of).map(count).sum::<u64>();
    assert_eq!((told(|load| load.sent), told(|load| load.requests)), (1, 0));

    drop(client);
    let idle = control.next_status(|status| of(status).is_none()).await;
    assert_eq!(idle.load, [], "a status without it says that there is none");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_counted_without_control_is_told_to_the_next() {
    let frontend = Frontend::start(1).await;
    let (control, ingress) = world(table(1, &[&frontend])).await;
    // A status that was on its way when the session broke is lost, and its number with it: then
    // this outage shows nothing, and the next one may.
    for term in 2..20 {
        let before = control.next_status(|_| true).await;
        control.follow(None);
        for _ in 0..5 {
            assert_eq!(ingress.get(HOST, "/").await.0, 200);
        }
        control.lead(term);
        let after = control.next_status(|_| true).await;
        let told = control.since(before.sequence);
        let told = told.iter().filter(|s| s.sequence <= after.sequence);
        let requests = |s: &wire::IngressStatus| of(s).map_or(0, |load| load.requests);
        let told: Vec<u64> = told.map(requests).collect();
        if told.len() as u64 == after.sequence - before.sequence {
            assert_eq!(told.iter().sum::<u64>(), 5);
            return;
        }
    }
    panic!("a status was lost in every outage");
}

fn of(status: &wire::IngressStatus) -> Option<&wire::FrontendLoad> {
    status.load.iter().find(|load| load.frontend_id == 1)
}
