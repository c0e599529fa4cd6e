//! Clients that mean harm: slow heads, slow bodies, slow reading, thousands of idle connections,
//! heads without end, floods of HTTP/2. Those beside them notice little, and the ingress does not
//! grow.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::{Process, Role};
use fleet_cluster_tests::workload::Load;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// Honest requests per second, and how many are looked at with and without an attack.
const RATE: u32 = 50;
const LOOKED_AT: usize = 250;
/// Below this the noise of a shared machine is louder than any client.
const AUDIBLE: Duration = Duration::from_millis(50);
/// What an attack may add to the ingress (docs/ingress.md).
const GROWTH_MIB: f64 = 64.0;

#[tokio::test(flavor = "multi_thread")]
async fn those_beside_hostile_clients_notice_little() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let (address, ingress) = (
        cluster.nodes[0].http(),
        cluster.nodes[0].process(Role::Ingress)?,
    );
    // Once for warmth.
    p99(address).await?;
    println!("attack            p99 without       onset        then   MiB added");
    for attack in Attack::ALL {
        let (before, size) = (p99(address).await?, resident(&ingress)?);
        let attackers = attack.begin(address);
        // Hundreds of connections at once reach the app too, and its threads take their time.
        let onset = p99(address).await?;
        let then = p99(address).await?;
        let grown = resident(&ingress)? - size;
        drop(attackers);
        // What it is without is asked before and after, since machines have moods.
        let without = before.max(p99(address).await?);
        let name = format!("{attack:?}");
        println!("{name:<15} {without:>13.1?} {onset:>11.1?} {then:>11.1?} {grown:>11.1}");
        ensure!(
            then < 2 * without.max(AUDIBLE),
            "{attack:?}: p99 {then:?} beside it, {without:?} without"
        );
        ensure!(grown < GROWTH_MIB, "{attack:?}: {grown:.1} MiB more");
        ensure!(ingress.is_alive(), "{attack:?} ended the ingress");
    }
    cluster.end()
}

#[derive(Clone, Copy, Debug)]
enum Attack {
    SlowHeads,
    SlowBodies,
    SlowReading,
    IdleConnections,
    EndlessHeads,
    RapidResets,
    Continuations,
    Pings,
}

impl Attack {
    const ALL: [Self; 8] = [
        Self::SlowHeads,
        Self::SlowBodies,
        Self::SlowReading,
        Self::IdleConnections,
        Self::EndlessHeads,
        Self::RapidResets,
        Self::Continuations,
        Self::Pings,
    ];

    /// Attackers that go on until they are dropped.
    fn begin(self, address: SocketAddr) -> JoinSet<()> {
        let connections = match self {
            Self::IdleConnections => 2_000,
            Self::SlowHeads | Self::SlowBodies => 200,
            Self::SlowReading => 20,
            Self::EndlessHeads | Self::RapidResets | Self::Continuations | Self::Pings => 4,
        };
        let mut attackers = JoinSet::new();
        for _ in 0..connections {
            attackers.spawn(async move {
                // Cut off, it comes back, but not so fast that its own work is what is noticed.
                let mut pace = tokio::time::interval(Duration::from_millis(20));
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                loop {
                    pace.tick().await;
                    drop(self.attack(address).await);
                }
            });
        }
        attackers
    }

    async fn attack(self, address: SocketAddr) -> std::io::Result<()> {
        let socket = TcpSocket::new_v4()?;
        if matches!(self, Self::SlowReading) {
            socket.set_recv_buffer_size(4 << 10)?;
        }
        let mut stream = socket.connect(address).await?;
        let host = app::host("www");
        match self {
            Self::SlowHeads => {
                stream.write_all(b"GET / HTTP/1.1\r\nX-Slow: ").await?;
                drip(&mut stream).await
            }
            Self::SlowBodies => {
                let head =
                    format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n");
                stream.write_all(head.as_bytes()).await?;
                drip(&mut stream).await
            }
            Self::SlowReading => {
                // More answers than the buffers on the way hold; nobody reads any of them.
                let ask = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
                stream.write_all(ask.repeat(300).as_bytes()).await?;
                std::future::pending().await
            }
            Self::IdleConnections => {
                // Answered by the ingress itself, and kept.
                stream
                    .write_all(b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n")
                    .await?;
                stream.read_to_end(&mut Vec::new()).await.map(drop)
            }
            Self::EndlessHeads => {
                stream.write_all(b"GET / HTTP/1.1\r\n").await?;
                let line = format!("X-More: {}\r\n", "y".repeat(4_000));
                loop {
                    stream.write_all(line.as_bytes()).await?;
                }
            }
            Self::RapidResets | Self::Continuations | Self::Pings => self.flood(stream).await,
        }
    }

    async fn flood(self, mut stream: TcpStream) -> std::io::Result<()> {
        stream
            .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await?;
        stream.write_all(&frame(4, 0, 0, &[])).await?;
        // :method GET, :scheme http, :path / by their index; then :authority.
        let host = app::host("www");
        let mut head = vec![
            0x82,
            0x86,
            0x84,
            0x01,
            u8::try_from(host.len()).unwrap_or(0),
        ];
        head.extend(host.as_bytes());
        for turn in 0_u32.. {
            let id = 2 * turn + 1;
            let frames = match self {
                Self::RapidResets => {
                    [frame(1, 5, id, &head), frame(3, 0, id, &[0, 0, 0, 8])].concat()
                }
                Self::Continuations if turn == 0 => frame(1, 1, 1, &head),
                Self::Continuations => frame(9, 0, 1, &[]),
                _ => frame(6, 0, 0, &[7; 8]),
            };
            stream.write_all(&frames).await?;
        }
        Ok(())
    }
}

/// A byte now and then, for as long as it is let.
async fn drip(stream: &mut TcpStream) -> std::io::Result<()> {
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    loop {
        pace.tick().await;
        stream.write_all(b"y").await?;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap_or(0), kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Of honest requests at a steady rate; a failed one is an error.
async fn p99(address: SocketAddr) -> Result<Duration> {
    let began = Instant::now();
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: vec![address],
        rate: RATE,
    };
    let running = load.start();
    running.more(LOOKED_AT).await?;
    let history = running.stop().await?;
    ensure!(
        history.failed() == 0,
        "after {:?}: {history}",
        began.elapsed()
    );
    let mut times: Vec<_> = history
        .exchanges
        .iter()
        .map(|exchange| exchange.took)
        .collect();
    times.sort_unstable();
    Ok(times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or_default())
}

fn resident(process: &Process) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.pid))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .unwrap_or("0");
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}
