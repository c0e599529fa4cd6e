//! Connections between those who believe each other, and those who do not.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use fleet_trust::{
    Authority, Caller, ClientConfig, Credentials, Fingerprint, Incoming, LIFETIME, NodeKey, Whom,
    connector, pinned,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tonic::transport::server::Connected as _;
use tower::Service as _;

fn found() -> Authority {
    Authority::found("c1", SystemTime::now()).unwrap()
}

/// The node `id`, with a certificate signed at `now`, that believes all of `believed`.
fn node(
    by: &Authority,
    id: u64,
    roles: &[&str],
    now: SystemTime,
    believed: &[&Authority],
) -> Credentials {
    let key = NodeKey::generate().unwrap();
    let signed = by
        .sign(id, roles.iter().copied(), &key.public(), now)
        .unwrap();
    let authorities = believed.iter().map(|a| a.certificate().clone()).collect();
    Credentials::new(&signed.certificate, &key, authorities, signed.begins).unwrap()
}

/// A server that shows `server`; its address, and the callers it took.
async fn serve(server: Credentials) -> (String, mpsc::UnboundedReceiver<Caller>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://{}", listener.local_addr().unwrap());
    let server = Arc::new(server);
    let mut incoming = Incoming::new(listener, move || server.clone());
    let (taken, callers) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(Ok(mut connection)) = incoming.next().await {
            let _ = taken.send(connection.connect_info());
            connection.write_all(b"!").await.unwrap();
            connection.flush().await.unwrap();
        }
    });
    (uri, callers)
}

/// Dials `whom` at a server that shows `server`; whom it saw, or why there was no connection.
async fn call(server: Credentials, whom: Whom, tls: Arc<ClientConfig>) -> Result<Caller, String> {
    let (uri, mut callers) = serve(server).await;
    let mut connector = connector(whom, move || tls.clone());
    let connection = connector.call(uri.parse().unwrap()).await;
    let mut stream = connection.map_err(|error| error.to_string())?.into_inner();
    // With TLS 1.3 the server's verdict on a certificate comes in place of its first byte.
    let mut answer = [0];
    let read = stream.read_exact(&mut answer).await;
    read.map_err(|error| error.to_string())?;
    Ok(callers.recv().await.unwrap())
}

#[tokio::test]
async fn nodes_of_one_authority_know_each_other() {
    let (authority, now) = (found(), SystemTime::now());
    let server = || node(&authority, 1, &["control"], now, &[&authority]);
    let worker = node(&authority, 7, &["worker"], now, &[&authority]);
    for whom in [Whom::Control, Whom::Node(1)] {
        let caller = call(server(), whom, worker.client()).await.unwrap();
        let peer = caller.peer.unwrap();
        assert_eq!(
            (peer.name.node, peer.authority),
            (7, authority.fingerprint())
        );
        assert!(peer.name.has("worker") && !peer.name.has("control"));
    }
}

#[tokio::test]
async fn whoever_is_not_meant_is_not_spoken_to() {
    let (authority, now) = (found(), SystemTime::now());
    let client = node(&authority, 7, &["worker"], now, &[&authority]).client();
    let control = node(&authority, 1, &["control"], now, &[&authority]);
    let worker = node(&authority, 2, &["worker"], now, &[&authority]);
    for (server, whom) in [(control, Whom::Node(2)), (worker, Whom::Control)] {
        let error = call(server, whom, client.clone()).await.unwrap_err();
        assert!(error.contains("not valid for name"), "{error}");
    }
}

#[tokio::test]
async fn another_authority_is_believed_by_neither_side() {
    let (ours, theirs, now) = (found(), found(), SystemTime::now());
    let server = || node(&ours, 1, &["control"], now, &[&ours]);
    let stranger = node(&theirs, 7, &["control"], now, &[&theirs]);
    let error = call(server(), Whom::Control, stranger.client())
        .await
        .unwrap_err();
    assert!(error.contains("certificate"), "{error}");
    // One that believes us all the same is let in by its own side only.
    let stranger = node(&theirs, 7, &["control"], now, &[&theirs, &ours]);
    let error = call(server(), Whom::Control, stranger.client())
        .await
        .unwrap_err();
    assert!(
        error.contains("UnknownCA") || error.contains("DecryptError"),
        "{error}"
    );
}

#[tokio::test]
async fn certificates_have_a_beginning_and_an_end() {
    let (authority, now) = (found(), SystemTime::now());
    let hour = Duration::from_secs(3600);
    let good = || node(&authority, 1, &["control"], now, &[&authority]);
    for (signed, fits) in [
        (now - LIFETIME + hour, true),
        (now - LIFETIME - hour, false),
        // By a clock that is fast, but less than certificates are backdated.
        (now + hour / 2, true),
        (now + 2 * hour, false),
    ] {
        // It can be started with; whom it calls and who calls it decides.
        let odd = || node(&authority, 2, &["control"], signed, &[&authority]);
        let calls = call(good(), Whom::Control, odd().client()).await;
        assert_eq!(calls.is_ok(), fits, "{calls:?}");
        let called = call(odd(), Whom::Control, good().client()).await;
        assert_eq!(called.is_ok(), fits, "{called:?}");
    }
}

#[tokio::test]
async fn a_pinned_fingerprint_is_all_a_stranger_needs() {
    let (authority, other, now) = (found(), found(), SystemTime::now());
    let server = || node(&authority, 1, &["control"], now, &[&authority, &other]);
    let by = |authorities: &[&Authority]| {
        let prints: Vec<Fingerprint> = authorities.iter().map(|a| a.fingerprint()).collect();
        pinned(&prints).unwrap()
    };
    let caller = call(server(), Whom::Control, by(&[&authority]))
        .await
        .unwrap();
    assert_eq!(caller.peer, None, "it has shown nothing");
    call(server(), Whom::Control, by(&[&other, &authority]))
        .await
        .unwrap();
    for (whom, wrong) in [
        (Whom::Control, by(&[&other])),
        (Whom::Control, by(&[])),
        (Whom::Node(2), by(&[&authority])),
    ] {
        let error = call(server(), whom, wrong).await.unwrap_err();
        assert!(error.contains("certificate"), "{error}");
    }
}

#[tokio::test]
async fn a_node_is_believed_by_the_old_authority_and_the_new() {
    let (old, new, now) = (found(), found(), SystemTime::now());
    let server = node(&new, 1, &["control"], now, &[&old, &new]);
    let client = node(&old, 7, &["worker"], now, &[&old, &new]);
    let caller = call(server, Whom::Control, client.client()).await.unwrap();
    assert_eq!(caller.peer.unwrap().authority, old.fingerprint());
}
