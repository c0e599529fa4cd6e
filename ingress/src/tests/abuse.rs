//! HTTP/2 clients that keep us busy, with frames of our own making: each is told to calm down and
//! loses its connection, and a client beside it notices nothing.

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::OwnedReadHalf;

use super::frontend::Frontend;
use super::world::{HOST, Ingress, PATIENCE, table, world};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const ENHANCE_YOUR_CALM: u32 = 11;
/// Of each flood, far more than any honest client sends; one that is never stopped fails here.
const ENDLESS: usize = 200_000;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head in HPACK without tables or compression (RFC 7541, 6.2.2 and appendix A).
pub(super) fn head(path: &str) -> Vec<u8> {
    // :method GET and :scheme http by their index; then :path and :authority, whose names have one.
    let mut block = vec![0x82, 0x86];
    for (index, value) in [(4u8, path), (1, HOST)] {
        block.extend([index, u8::try_from(value.len()).unwrap()]);
        block.extend(value.as_bytes());
    }
    block
}

/// The error code of the GOAWAY that ends the connection; None when it ends without one.
async fn goaway(mut stream: OwnedReadHalf) -> Option<u32> {
    let mut code = None;
    loop {
        let mut header = [0; 9];
        if stream.read_exact(&mut header).await.is_err() {
            return code;
        }
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return code;
        }
        if header[3] == GOAWAY {
            code = Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
    }
}

/// Sends rounds of frames until the connection ends; says how it did, and how many were sent.
async fn flood(ingress: &Ingress, round: impl Fn(u32) -> Vec<u8>) -> (Option<u32>, usize) {
    let stream = TcpStream::connect(ingress.address).await.unwrap();
    let (read, mut write) = stream.into_split();
    let ended = tokio::spawn(goaway(read));
    let mut opening = PREFACE.to_vec();
    opening.extend(frame(SETTINGS, 0, 0, &[]));
    write.write_all(&opening).await.unwrap();
    let mut sent = 0;
    while sent < ENDLESS {
        // Some at a time, so that the writing is not what takes the time.
        let frames: Vec<u8> = (0..16)
            .flat_map(|step| round(2 * u32::try_from(sent + step).unwrap() + 1))
            .collect();
        if write.write_all(&frames).await.is_err() {
            break;
        }
        sent += 16;
    }
    let code = tokio::time::timeout(PATIENCE, ended).await;
    (code.expect("the connection ends").unwrap(), sent)
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_are_answered_by_goaway() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let mut beside = ingress.connect().await;
    let request = |stream, flags| frame(HEADERS, flags, stream, &head("/held"));
    type Round<'a> = Box<dyn Fn(u32) -> Vec<u8> + 'a>;
    let floods: [(&str, Round<'_>); 7] = [
        ("pings", Box::new(|_| frame(PING, 0, 0, &[7; 8]))),
        ("settings", Box::new(|_| frame(SETTINGS, 0, 0, &[]))),
        (
            "priorities",
            Box::new(|_| frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 7])),
        ),
        (
            "rapid resets",
            Box::new(|stream| {
                let reset = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
                [request(stream, END_HEADERS | END_STREAM), reset].concat()
            }),
        ),
        (
            "continuations",
            Box::new(|stream| match stream {
                1 => frame(HEADERS, END_STREAM, 1, &head("/held")),
                _ => frame(CONTINUATION, 0, 1, &[]),
            }),
        ),
        (
            "empty data",
            Box::new(|stream| match stream {
                1 => request(1, END_HEADERS),
                _ => frame(DATA, 0, 1, &[]),
            }),
        ),
        ("unknown frames", Box::new(|_| frame(0xfa, 0, 0, b"noise"))),
    ];
    for (name, round) in floods {
        let (code, sent) = flood(&ingress, round).await;
        assert!(sent < ENDLESS, "{name}: never stopped");
        // A reset may overtake the frame that says why.
        assert!(
            matches!(code, None | Some(ENHANCE_YOUR_CALM)),
            "{name}: {code:?} after {sent}"
        );
        beside.get(HOST, "/").await;
        assert_eq!(beside.response().await.text(), "1", "beside {name}");
    }
    // Of all the requests taken back, only as many reached the frontend as a budget allows.
    let reached = frontend
        .seen()
        .iter()
        .filter(|seen| seen.line == "GET /held")
        .count();
    assert!(
        reached < 1_000,
        "{reached} requests of floods reached the frontend"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_honest_client_may_ping_and_cancel() {
    let frontend = Frontend::start(1).await;
    let (_control, ingress) = world(table(1, &[&frontend])).await;
    let stream = TcpStream::connect(ingress.address).await.unwrap();
    let (mut read, mut write) = stream.into_split();
    let mut frames = PREFACE.to_vec();
    frames.extend(frame(SETTINGS, 0, 0, &[]));
    // All at once: fewer than a page's worth of streams that nobody has looked at yet.
    for number in 0..15u32 {
        let stream = 2 * number + 1;
        frames.extend(frame(
            HEADERS,
            END_HEADERS | END_STREAM,
            stream,
            &head("/held"),
        ));
        frames.extend(frame(RST_STREAM, 0, stream, &8u32.to_be_bytes()));
        frames.extend(frame(PING, 0, 0, &u64::from(number).to_be_bytes()));
    }
    frames.extend(frame(HEADERS, END_HEADERS | END_STREAM, 4_001, &head("/")));
    write.write_all(&frames).await.unwrap();
    let answered = async {
        loop {
            let mut header = [0; 9];
            read.read_exact(&mut header).await.expect("an answer");
            let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
            let mut payload = vec![0; length as usize];
            read.read_exact(&mut payload).await.expect("its payload");
            let stream = u32::from_be_bytes(header[5..].try_into().unwrap());
            assert_ne!(header[3], GOAWAY, "{payload:?}");
            if (header[3], stream) == (DATA, 4_001) {
                return payload;
            }
        }
    };
    let answer = tokio::time::timeout(PATIENCE, answered)
        .await
        .expect("in time");
    assert_eq!(answer, b"1");
}
