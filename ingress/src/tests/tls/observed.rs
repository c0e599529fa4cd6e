//! What is said of handshakes.

use rustls::version;

use super::super::frontend::Frontend;
use super::super::observed::Told;
use super::super::world::{HOST, table};
use super::client::{Client, get, get_h2};
use super::material::{Given, own, secured, tickets};

#[tokio::test(flavor = "multi_thread")]
async fn handshakes_are_counted_by_how_they_end() {
    let frontend = Frontend::start(1).await;
    let given = Given::new(&[HOST]);
    let mut routes = secured(
        table(1, &[&frontend]),
        &["prod"],
        vec![own().wire, given.wire("prod")],
    );
    routes.tls.as_mut().unwrap().tickets = Some(tickets(&[1, 2], 1));
    let (_control, told) = Told::start(routes).await;
    let https = told.ingress.https;
    let client = Client::trusting(&[&given.der], &[&version::TLS13]).remembering();
    for _ in 0..2 {
        let stream = client.shake(https, HOST).await.unwrap();
        assert_eq!(get(stream, HOST, "/").await.0, 200);
    }
    // It believes nobody who is here.
    let stranger = Client::trusting(&[&Given::new(&[HOST]).der], &[&version::TLS12]);
    assert!(stranger.shake(https, HOST).await.is_err());

    let other = Client::trusting(&[&given.der], &[&version::TLS12]).speaking(&["h2"]);
    let stream = other.shake(https, HOST).await.unwrap();
    assert_eq!(get_h2(stream, HOST, "/").await.0, 200);

    let figures = told
        .figures(|figures| figures["fleet_ingress_tls_handshakes_total"].sum(&[]) >= 4.0)
        .await;
    let ended = |how| figures["fleet_ingress_tls_handshakes_total"].sum(&[("result", how)]);
    assert_eq!(["full", "resumed", "failed"].map(ended), [2.0, 1.0, 1.0]);
    let lines = told.lines(3).await;
    let by = |line: &serde_json::Value| {
        format!("{} {} {}", line["scheme"], line["tls"], line["protocol"])
    };
    let one = r#""https" "TLSv1.3" "HTTP/1.1""#;
    let two = r#""https" "TLSv1.2" "HTTP/2""#;
    assert_eq!(lines.iter().map(by).collect::<Vec<_>>(), [one, one, two]);
}
