//! What has no end of its own is ended: a WebSocket whose host leads elsewhere, or whose ingress
//! goes.

use std::time::{Duration, Instant};

use fleet_proto::internal as wire;

use super::control::Control;
use super::frontend::Frontend;
use super::raw::Raw;
use super::world::{HOST, Ingress, Setup, table, world};

/// A frame that closes, with 1001: this end goes away.
const GOING_AWAY: &[u8] = &[0x88, 2, 3, 0xe9];
const DRAIN: Duration = Duration::from_millis(600);

/// Routes by which a WebSocket lasts so long.
fn drained(generation: u64, frontend: &Frontend) -> wire::RouteTable {
    let mut table = table(generation, &[frontend]);
    for pool in &mut table.environments[0].pools {
        pool.drain_ms = u32::try_from(DRAIN.as_millis()).ok();
    }
    table
}

async fn switched(ingress: &Ingress, protocol: &str) -> Raw {
    let mut client = ingress.connect().await;
    client
        .send(format!(
            "GET /upgrade HTTP/1.1\r\nHost: {HOST}\r\nConnection: Upgrade\r\n\
             Upgrade: {protocol}\r\n\r\n"
        ))
        .await;
    assert_eq!(client.response().await.status, 101);
    echoed(&mut client).await;
    client
}

/// A frame as clients send them goes there and back.
async fn echoed(client: &mut Raw) {
    let frame = [0x81, 0x85, 0, 0, 0, 0, b'h', b'e', b'l', b'l', b'o'];
    client.send(frame).await;
    assert_eq!(client.exactly(frame.len()).await, frame);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_that_is_left_behind_lives_for_the_drain_time_and_is_told() {
    let (frontend, next) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(drained(1, &frontend)).await;
    let mut client = switched(&ingress, "websocket").await;
    let ordered = Instant::now();
    control.order_full(drained(2, &next));
    assert_eq!(control.applied(2).await.busy, [1]);
    echoed(&mut client).await;
    assert_eq!(client.exactly(GOING_AWAY.len()).await, GOING_AWAY);
    assert!(ordered.elapsed() >= DRAIN, "{:?}", ordered.elapsed());
    client.ends().await;
    // The frontend may be stopped.
    control.next_status(|status| status.busy.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_protocol_is_not_known_just_ends() {
    let (frontend, next) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(drained(1, &frontend)).await;
    let mut client = switched(&ingress, "something").await;
    control.order_full(drained(2, &next));
    assert_eq!(
        client.until(&[0x88]).await,
        None,
        "words in another language"
    );
    control.next_status(|status| status.busy.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn routes_that_still_lead_there_leave_it_alone() {
    let (frontend, next) = (Frontend::start(1).await, Frontend::start(2).await);
    let (control, ingress) = world(drained(1, &frontend)).await;
    let mut client = switched(&ingress, "websocket").await;
    // One more frontend; maintenance, which is about new requests; and back.
    let mut both = table(2, &[&frontend, &next]);
    both.environments[0].pools[0].drain_ms = drained(2, &next).environments[0].pools[0].drain_ms;
    let mut closed = both.clone();
    (closed.generation, closed.environments[0].maintenance) = (3, true);
    for table in [both, closed, drained(4, &frontend)] {
        let generation = table.generation;
        control.order_full(table);
        control.applied(generation).await;
    }
    let since = Instant::now();
    while since.elapsed() < 2 * DRAIN {
        echoed(&mut client).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_ends_tells_them_at_its_deadline() {
    let frontend = Frontend::start(1).await;
    let control = Control::start().await;
    control.order_full(table(1, &[&frontend]));
    let mut setup = Setup::with(&[&control]);
    setup.drain = DRAIN;
    let mut ingress = setup.start();
    let mut client = switched(&ingress, "websocket").await;
    let stopped = Instant::now();
    ingress.stop();
    control.status(|status| status.stopping).await;
    echoed(&mut client).await;
    assert_eq!(client.exactly(GOING_AWAY.len()).await, GOING_AWAY);
    assert!(stopped.elapsed() >= DRAIN, "{:?}", stopped.elapsed());
    client.ends().await;
    drop(client);
    assert_eq!(ingress.stopped().await.cut, 0);
}
