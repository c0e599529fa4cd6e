//! Listening sockets: handed over without a refused connection.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use fleet_node::holder::{Phase, ProcessSpec, Refusal, Restart};

use super::harness::{Holder, PATIENCE, eventually, id, info, is_alive, sh};

/// Answers every connection on descriptor 3 with its name; ends on SIGTERM after the connection it
/// is serving. In perl, because that is part of every Debian, and a shell cannot accept.
const SERVER: &str = r#"
    use strict; use Socket;
    my $stop = 0; $SIG{TERM} = sub { $stop = 1 };
    open(my $listener, "+<&=", 3) or die "no listener: $!";
    open(my $notify, ">&=", $ENV{NOTIFY_FD}) or die "no notify: $!";
    syswrite($notify, "READY=1\n");
    until ($stop) {
        my $ready = ""; vec($ready, 3, 1) = 1;
        next if select($ready, undef, undef, 0.05) < 1;
        accept(my $client, $listener) or next;
        syswrite($client, $ENV{NAME});
        close($client);
    }
"#;

fn server(name: &str) -> ProcessSpec {
    let mut spec = sh(name, "");
    spec.argv = ["perl", "-e", SERVER].map(Into::into).to_vec();
    spec.env.insert("NAME".into(), name.into());
    spec.listeners = vec!["http".into()];
    spec.notify = true;
    spec.restart = Restart::Always;
    spec.stop_grace = Duration::from_secs(10);
    spec
}

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().unwrap()
}

fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer)
}

/// Connects without pause until told to end; returns the answers.
fn load(address: SocketAddr, stop: Arc<AtomicBool>) -> JoinHandle<Vec<std::io::Result<String>>> {
    std::thread::spawn(move || {
        let mut answers = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            answers.push(ask(address));
        }
        answers
    })
}

#[tokio::test]
async fn a_replacement_takes_over_without_a_failed_connection() {
    let holder = Holder::start().await;
    let address = holder.client.listen("http", any()).await.unwrap();
    let old = holder.client.start(server("ingress-1")).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let load = load(address, stop.clone());

    let new = holder.client.replace(&id("ingress-1"), server("ingress-2")).await.unwrap();
    assert!(new.ready);
    eventually("the old one has ended", || !is_alive(old.pid.unwrap())).await;
    assert_eq!(tokio::task::spawn_blocking(move || ask(address)).await.unwrap().unwrap(), "ingress-2");
    stop.store(true, Ordering::Relaxed);
    let answers = load.join().unwrap();
    let failed: Vec<_> = answers.iter().filter(|answer| answer.as_ref().is_ok_and(String::is_empty) || answer.is_err()).collect();
    assert!(failed.is_empty(), "{} of {} failed: {failed:?}", failed.len(), answers.len());
    assert!(answers.iter().flatten().any(|answer| answer == "ingress-1"));
    holder.finish().await;
}

#[tokio::test]
async fn a_replacement_that_fails_leaves_the_old_one_in_place() {
    let holder = Holder::start().await;
    let address = holder.client.listen("http", any()).await.unwrap();
    let old = holder.client.start(server("ingress-1")).await.unwrap();

    let mut dies = server("ingress-2");
    dies.argv = ["/bin/sh", "-c", "exit 4"].map(Into::into).to_vec();
    let error = holder.client.replace(&id("ingress-1"), dies).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::NotReady));
    assert!(error.to_string().contains("exited with code 4 before it was ready"), "{error}");

    let mut hangs = server("ingress-3");
    hangs.argv = ["/bin/sh", "-c", "exec sleep 1000"].map(Into::into).to_vec();
    hangs.ready_within = Duration::from_millis(200);
    let error = holder.client.replace(&id("ingress-1"), hangs).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::NotReady), "{error}");

    let mut missing = server("ingress-4");
    missing.argv = vec!["/no/such/program".into()];
    let error = holder.client.replace(&id("ingress-1"), missing).await.unwrap_err();
    assert!(matches!(error.refusal(), Some(Refusal::Spawn { .. })), "{error}");

    let still = info(&holder, "ingress-1").await;
    assert_eq!((still.pid, still.phase), (old.pid, Phase::Running));
    assert_eq!(ask(address).unwrap(), "ingress-1");
    holder.finish().await;
}

#[tokio::test]
async fn connections_wait_while_nobody_serves() {
    let holder = Holder::start().await;
    let address = holder.client.listen("http", any()).await.unwrap();
    let waiting = std::thread::spawn(move || ask(address));
    holder.client.start(server("ingress-1")).await.unwrap();
    assert_eq!(waiting.join().unwrap().unwrap(), "ingress-1");
    holder.finish().await;
}

#[tokio::test]
async fn sockets_are_recovered_from_the_process_that_has_them() {
    let mut holder = Holder::start().await;
    let address = holder.client.listen("http", any()).await.unwrap();
    let old = holder.client.start(server("ingress-1")).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let load = load(address, stop.clone());

    holder.crash().await;
    holder.recover().await;
    assert_eq!(holder.client.listen("http", any()).await.unwrap(), address);
    holder.client.replace(&id("ingress-1"), server("ingress-2")).await.unwrap();
    eventually("the old one has ended", || !is_alive(old.pid.unwrap())).await;
    assert_eq!(tokio::task::spawn_blocking(move || ask(address)).await.unwrap().unwrap(), "ingress-2");
    stop.store(true, Ordering::Relaxed);
    let answers = load.join().unwrap();
    assert!(answers.iter().all(|answer| answer.as_ref().is_ok_and(|text| !text.is_empty())), "{answers:?}");
    holder.finish().await;
}

#[tokio::test]
async fn a_listener_that_does_not_exist_or_cannot_be_bound_is_refused() {
    let holder = Holder::start().await;
    let error = holder.client.start(server("ingress-1")).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Unknown), "{error}");
    let taken = std::net::TcpListener::bind(any()).unwrap();
    let error = holder.client.listen("http", taken.local_addr().unwrap()).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Address), "{error}");
    holder.finish().await;
}
