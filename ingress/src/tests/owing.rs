//! Clients that owe something: the rest of a body, a window for what they asked for.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::control::Control;
use super::frontend::Frontend;
use super::world::{HOST, Ingress, PATIENCE, Setup, table};
use crate::Times;

/// How long they are waited for here.
const OWED: Duration = Duration::from_millis(600);

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const WINDOW_UPDATE: u8 = 8;

async fn impatient(frontend: &Frontend) -> (Control, Ingress) {
    let control = Control::start().await;
    control.order_full(table(1, &[frontend]));
    let mut setup = Setup::with(&[&control]);
    setup.times = Times {
        body: OWED,
        take: OWED,
    };
    let ingress = setup.start();
    control.applied(1).await;
    (control, ingress)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rest_of_a_body_is_waited_for_as_long_as_it_moves() {
    let frontend = Frontend::start(1).await;
    let (control, ingress) = impatient(&frontend).await;
    let head = |length| {
        format!("POST /count HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {length}\r\n\r\n")
    };
    // Slow, and for longer than anybody may be silent.
    let mut slow = ingress.connect().await;
    slow.send(head(16)).await;
    let mut pace = tokio::time::interval(OWED / 6);
    for _ in 0..16 {
        pace.tick().await;
        slow.send("y").await;
    }
    assert_eq!(slow.response().await.text(), "16 0");

    let mut silent = ingress.connect().await;
    let since = Instant::now();
    silent.send(head(10)).await;
    silent.send("yyy").await;
    let reply = silent.response().await;
    assert_eq!(
        (reply.status, reply.header("connection")),
        (408, Some("close"))
    );
    assert!(since.elapsed() >= OWED, "{:?}", since.elapsed());
    silent.ends().await;
    // Its frontend is free, and thought no less of.
    control.next_status(|status| status.busy.is_empty()).await;
    assert_eq!(ingress.get(HOST, "/").await, (200, "1".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_window_stays_shut_is_reset_and_its_frontend_free() {
    let frontend = Frontend::start(1).await;
    let (control, ingress) = impatient(&frontend).await;
    let mut client = TcpStream::connect(ingress.address).await.unwrap();
    let mut opening = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS_INITIAL_WINDOW_SIZE of 0, for every stream.
    opening.extend(super::abuse::frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]));
    for stream in [1, 3] {
        let head = super::abuse::head("/");
        opening.extend(super::abuse::frame(HEADERS, 5, stream, &head));
    }
    let since = Instant::now();
    client.write_all(&opening).await.unwrap();
    // The second one opens its window when it has its head.
    let mut heads = 0;
    let (mut reset, mut answer) = (None, Vec::new());
    while reset.is_none() || answer.is_empty() {
        let (kind, stream, payload) = next(&mut client).await;
        match (kind, stream) {
            (HEADERS, 1 | 3) => heads += 1,
            (0, 3) => answer.extend(payload),
            (0, 1) => panic!("sent into a shut window: {payload:?}"),
            (RST_STREAM, 1) => reset = Some(since.elapsed()),
            (RST_STREAM, 3) => panic!("reset although it takes what it asked for"),
            _ => {}
        }
        if (kind, stream) == (HEADERS, 3) {
            let open = super::abuse::frame(WINDOW_UPDATE, 0, 3, &100u32.to_be_bytes());
            client.write_all(&open).await.unwrap();
        }
    }
    assert_eq!((heads, &*answer), (2, &b"1"[..]));
    assert!(reset.is_some_and(|after| after >= OWED), "{reset:?}");
    control.next_status(|status| status.busy.is_empty()).await;
}

/// Kind, stream and payload of the next frame.
async fn next(client: &mut TcpStream) -> (u8, u32, Vec<u8>) {
    let frame = async {
        let mut header = [0; 9];
        client.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        client.read_exact(&mut payload).await?;
        let stream = u32::from_be_bytes([header[5], header[6], header[7], header[8]]);
        std::io::Result::Ok((header[3], stream, payload))
    };
    let frame = tokio::time::timeout(PATIENCE, frame).await;
    frame.expect("a frame").expect("no end")
}
