//! Listening sockets: handed over without a refused connection.

use std::{
    io::Read as _,
    net::{SocketAddr, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
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

/// Connects without pause until it is ended.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    thread: JoinHandle<Vec<std::io::Result<String>>>,
}

impl Load {
    fn on(address: SocketAddr) -> Self {
        let (stop, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let (stopped, count) = (stop.clone(), answered.clone());
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                answers.push(ask(address));
                count.fetch_add(1, Ordering::Relaxed);
            }
            answers
        });
        Self {
            stop,
            answered,
            thread,
        }
    }

    /// Waits for more answers than there are now.
    async fn goes_on(&self) {
        let enough = self.answered.load(Ordering::Relaxed) + 20;
        eventually("load goes on", || {
            self.answered.load(Ordering::Relaxed) >= enough
        })
        .await;
    }

    /// Ends it; every connection must have been answered, by both.
    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let answers = self.thread.join().unwrap();
        let names = ["ingress-1", "ingress-2"];
        let (good, bad): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| {
            answer
                .as_ref()
                .is_ok_and(|name| names.contains(&name.as_str()))
        });
        assert!(
            bad.is_empty(),
            "{} of {} failed: {bad:?}",
            bad.len(),
            answers.len()
        );
        for name in names {
            assert!(
                good.iter()
                    .any(|answer| answer.as_ref().is_ok_and(|by| by == name)),
                "{name} never answered"
            );
        }
    }
}

#[tokio::test]
async fn a_replacement_takes_over_without_a_failed_connection() {
    let holder = Holder::start().await;
    let address = holder.client.listen("http", any()).await.unwrap();
    let old = holder.client.start(server("ingress-1")).await.unwrap();
    let load = Load::on(address);
    load.goes_on().await;

    let new = holder
        .client
        .replace(&id("ingress-1"), server("ingress-2"))
        .await
        .unwrap();
    assert!(new.ready);
    eventually("the old one has ended", || !is_alive(old.pid.unwrap())).await;
    load.goes_on().await;
    load.end();
    holder.finish().await;
}

#[tokio::test]
async fn a_replacement_that_fails_leaves_the_old_one_in_place() {
    let holder = Holder::start().await;
    let address = holder.client.listen("http", any()).await.unwrap();
    let old = holder.client.start(server("ingress-1")).await.unwrap();

    let mut dies = server("ingress-2");
    dies.argv = ["/bin/sh", "-c", "exit 4"].map(Into::into).to_vec();
    let error = holder
        .client
        .replace(&id("ingress-1"), dies)
        .await
        .unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::NotReady));
    assert!(
        error
            .to_string()
            .contains("exited with code 4 before it was ready"),
        "{error}"
    );

    let mut hangs = server("ingress-3");
    hangs.argv = ["/bin/sh", "-c", "exec sleep 1000"]
        .map(Into::into)
        .to_vec();
    hangs.ready_within = Duration::from_millis(200);
    let error = holder
        .client
        .replace(&id("ingress-1"), hangs)
        .await
        .unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::NotReady), "{error}");

    let mut missing = server("ingress-4");
    missing.argv = vec!["/no/such/program".into()];
    let error = holder
        .client
        .replace(&id("ingress-1"), missing)
        .await
        .unwrap_err();
    assert!(
        matches!(error.refusal(), Some(Refusal::Spawn { .. })),
        "{error}"
    );

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
    let load = Load::on(address);
    load.goes_on().await;

    holder.crash().await;
    load.goes_on().await;
    holder.recover().await;
    assert_eq!(holder.client.listen("http", any()).await.unwrap(), address);
    holder
        .client
        .replace(&id("ingress-1"), server("ingress-2"))
        .await
        .unwrap();
    eventually("the old one has ended", || !is_alive(old.pid.unwrap())).await;
    load.goes_on().await;
    load.end();
    holder.finish().await;
}

#[tokio::test]
async fn a_listener_that_does_not_exist_or_cannot_be_bound_is_refused() {
    let holder = Holder::start().await;
    let error = holder.client.start(server("ingress-1")).await.unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Unknown), "{error}");
    let taken = std::net::TcpListener::bind(any()).unwrap();
    let error = holder
        .client
        .listen("http", taken.local_addr().unwrap())
        .await
        .unwrap_err();
    assert_eq!(error.refusal(), Some(Refusal::Address), "{error}");
    holder.finish().await;
}
