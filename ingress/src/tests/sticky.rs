//! Clients that keep their frontend.

use fleet_proto::internal as wire;

use super::frontend::Frontend;
use super::raw::Raw;
use super::world::{HOST, Setup, pool, table, world};

fn sticky(generation: u64, frontends: &[&Frontend]) -> wire::RouteTable {
    let mut table = table(generation, frontends);
    table.environments[0].pools = vec![wire::ReleasePool {
        sticky_key: vec![9; 32].into(),
        ..pool("R1", frontends)
    }];
    table
}

/// Which frontend answers, and the cookie it sets.
async fn ask(client: &mut Raw, cookie: Option<&str>) -> (String, Option<String>) {
    let cookie = cookie.map_or(String::new(), |cookie| format!("Cookie: a=b; {cookie}\r\n"));
    client
        .send(format!("GET / HTTP/1.1\r\nHost: {HOST}\r\n{cookie}\r\n"))
        .await;
    let reply = client.response().await;
    let set = reply.header("set-cookie").map(|set| {
        assert!(set.ends_with("; path=/; httponly; samesite=lax"), "{set}");
        set.split(';').next().unwrap().to_owned()
    });
    (reply.text(), set)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_keeps_its_frontend_while_that_is_there() {
    let frontends = [
        Frontend::start(1).await,
        Frontend::start(2).await,
        Frontend::start(3).await,
    ];
    let [one, two, three] = &frontends;
    let (control, ingress) = world(sticky(1, &[one, two, three])).await;
    let mut client = ingress.connect().await;
    let (first, cookie) = ask(&mut client, None).await;
    let cookie = cookie.expect("a cookie for who has none");
    for _ in 0..30 {
        // It has its cookie, and is not told again.
        assert_eq!(ask(&mut client, Some(&cookie)).await, (first.clone(), None));
    }
    // Another ingress with the same table knows it too.
    let other = Setup::with(&[&control]).start();
    while other.get(HOST, "/").await.0 != 200 {
        tokio::task::yield_now().await;
    }
    let mut elsewhere = other.connect().await;
    assert_eq!(
        ask(&mut elsewhere, Some(&cookie)).await,
        (first.clone(), None)
    );
    other.kill().await;

    // Its frontend leaves: it gets another one, and keeps that.
    let stay: Vec<_> = frontends
        .iter()
        .filter(|frontend| frontend.id.to_string() != first)
        .collect();
    control.order_full(sticky(2, &stay));
    control.applied(2).await;
    let (second, renewed) = ask(&mut client, Some(&cookie)).await;
    let renewed = renewed.expect("a cookie for who has lost its frontend");
    assert_ne!(second, first);
    for _ in 0..30 {
        assert_eq!(
            ask(&mut client, Some(&renewed)).await,
            (second.clone(), None)
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_whose_frontend_died_is_served_by_another() {
    let mut frontends = [Frontend::start(1).await, Frontend::start(2).await];
    let (_control, ingress) = world(sticky(1, &[&frontends[0], &frontends[1]])).await;
    let mut client = ingress.connect().await;
    let (first, cookie) = ask(&mut client, None).await;
    let dead = usize::from(first == "2");
    frontends[dead].kill().await;
    let (second, renewed) = ask(&mut client, cookie.as_deref()).await;
    assert_ne!(second, first);
    assert!(renewed.is_some());
}
