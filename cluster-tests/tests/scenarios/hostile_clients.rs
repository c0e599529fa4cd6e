//! Clients that mean harm: slow heads, slow bodies, slow reading, windows that stay shut, ten
//! thousand idle connections, heads without end, floods of HTTP/2. Those beside them notice little,
//! from the first moment on, and the ingress does not grow.
//!
//! Each attack is a process of its own at the lowest priority, for on a machine this small it would
//! otherwise be its own processor time that the others notice. Quiet and attacked spans take turns,
//! and medians of them are compared: machines have moods.

use std::fmt::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::attack::{self, Attack};
use fleet_cluster_tests::cluster::{Cluster, DOMAIN};
use fleet_cluster_tests::history::History;
use fleet_cluster_tests::process::{self, Favoured, Process, Role};
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::{Load, Running};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::activations::{self, APP};

/// Honest requests per second, and how many make a span.
const RATE: u32 = 150;
const SPAN: usize = 150;
/// Rounds through all attacks; an attack that seems to be noticed is looked at as often again.
const ROUNDS: usize = 2;
const LONG_ROUNDS: usize = 9;
const DOUBTS: usize = 3;
/// The least that a p99 can be doubled by on a machine with as many busy processes as processors: two
/// turns at a processor of one who shares it with another.
const AUDIBLE: Duration = Duration::from_millis(10);
/// The same where a span is looked at twice and not nine times, and others may be at work.
const SHORT_AUDIBLE: Duration = Duration::from_millis(250);
/// What an attack may add to the ingress, and each idle connection (docs/ingress.md).
const GROWTH_MIB: f64 = 96.0;
const IDLE_KIB: f64 = 24.0;
/// What may be more after the last of many rounds than after the first.
const LEAK_MIB: f64 = 24.0;

/// The honest ones ask another service than the hostile ones, so that it is the ingress that is
/// measured and not the app.
const MANIFEST: &str = "services:
  web: {command: [/usr/bin/python3, -I, -B, app.py], port: 3000, health: /, scale: 2}
  attacked: {command: [/usr/bin/python3, -I, -B, app.py], port: 3001, scale: 1}
";

#[tokio::test(flavor = "multi_thread")]
async fn those_beside_hostile_clients_notice_little() -> Result<()> {
    let long = std::env::var_os("FLEET_LONG").is_some();
    let cluster = Cluster::start(1).await?;
    activations::live_with(&cluster, Some(MANIFEST), &["one"]).await?;
    let mut siege = Siege::lay(&cluster).await?;
    let start = siege.resident()?;
    let mut after_first = start;
    for round in 0..if long { LONG_ROUNDS } else { ROUNDS } {
        for attack in Attack::ALL {
            siege.span(None).await?;
            siege.span(Some(attack)).await?;
        }
        if round == 0 {
            after_first = siege.resident()?;
        }
    }
    for _ in 0..DOUBTS {
        for attack in siege.noticed() {
            siege.span(None).await?;
            siege.span(Some(attack)).await?;
        }
    }
    let leaked = siege.resident()? - after_first;
    let (spans, history) = siege.lift().await?;
    ensure!(history.failed() == 0, "{history}");
    println!("{}", table(&spans, &history, start)?);
    for attack in Attack::ALL {
        judge(attack, &spans, &history)?;
    }
    // After two rounds it is not told from what the allocator keeps for the next.
    ensure!(
        !long || leaked < LEAK_MIB,
        "{leaked:.1} MiB more after the last round than after the first"
    );
    cluster.end()
}

/// One ingress, honest load on it, and what was done beside that.
struct Siege {
    ingress: Process,
    address: std::net::SocketAddr,
    load: Running,
    spans: Vec<Span>,
    _favoured: Vec<Favoured>,
}

/// Some time with an attack or without.
struct Span {
    attack: Option<Attack>,
    from: Instant,
    to: Instant,
    /// MiB by which the ingress was larger at its end.
    grown: f64,
    /// Processor time of the ingress, of the time that passed.
    busy: f64,
}

impl Siege {
    async fn lay(cluster: &Cluster) -> Result<Self> {
        let node = &cluster.nodes[0];
        let load = Load {
            host: activations::host(),
            path: "/".to_owned(),
            ingresses: vec![node.http()],
            rate: RATE,
        };
        // What else runs on this machine is not what is measured: neither the hostile, nor the app
        // that they ask, nor a compiler.
        let honest = |process: &Process| process.variable("SERVICE").as_deref() == Some("web");
        let asked = node.frontends().into_iter().filter(honest);
        let measured = [node.process(Role::Ingress)?, process::own()?];
        let favoured = measured.into_iter().chain(asked);
        let favoured = favoured.map(|process| process.favour()).collect();
        let siege = Self {
            ingress: node.process(Role::Ingress)?,
            address: node.http(),
            load: load.start(),
            spans: Vec::new(),
            _favoured: favoured,
        };
        // Once for warmth.
        siege.load.more(SPAN).await?;
        Ok(siege)
    }

    /// Lets time pass, with an attack from its first connection to beyond its last, or without.
    async fn span(&mut self, attack: Option<Attack>) -> Result<()> {
        let (size, used) = (self.resident()?, self.ingress.cpu_time()?);
        let from = Instant::now();
        let mut attacker = attack
            .map(|attack| Attacker::begin(attack, self.address))
            .transpose()?;
        self.load.more(SPAN).await?;
        if let Some(attacker) = &mut attacker {
            attacker.stands().await?;
            self.load.more(SPAN / 2).await?;
        }
        let to = Instant::now();
        let busy = self.ingress.cpu_time()?.saturating_sub(used);
        self.spans.push(Span {
            attack,
            from,
            to,
            grown: self.resident()? - size,
            busy: busy.as_secs_f64() / to.duration_since(from).as_secs_f64(),
        });
        if let Some(attacker) = attacker {
            attacker.end().await?;
            // The last of it is no part of the quiet.
            wait::until("its connections to end", wait::GENEROUS, async || {
                let left = attack::connections_at(self.address.port())?;
                ensure!(left == 0, "{left} of its connections are there yet");
                Ok(())
            })
            .await?;
        }
        ensure!(self.ingress.is_alive(), "{attack:?} ended the ingress");
        Ok(())
    }

    /// Attacks that those beside them seem to have noticed until now.
    fn noticed(&self) -> Vec<Attack> {
        let history = self.load.so_far();
        let noticed = |attack: &Attack| judge(*attack, &self.spans, &history).is_err();
        Attack::ALL.into_iter().filter(noticed).collect()
    }

    fn resident(&self) -> Result<f64> {
        resident(&self.ingress)
    }

    async fn lift(self) -> Result<(Vec<Span>, History)> {
        Ok((self.spans, self.load.stop().await?))
    }
}

/// The process of an attack.
struct Attacker {
    child: Child,
    said: BufReader<tokio::process::ChildStdout>,
}

impl Attacker {
    fn begin(attack: Attack, address: std::net::SocketAddr) -> Result<Self> {
        let host = format!("attacked.prod.{APP}.{DOMAIN}");
        let mut child = Command::new(env!("CARGO_BIN_EXE_fleet-attack"))
            .args([attack.name(), &address.to_string(), &host])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("starting an attack")?;
        let said = BufReader::new(child.stdout.take().context("it has an output")?);
        Ok(Self { child, said })
    }

    /// Waits until all its connections have come about.
    async fn stands(&mut self) -> Result<()> {
        let mut line = String::new();
        let said = tokio::time::timeout(wait::GENEROUS, self.said.read_line(&mut line)).await;
        said.context("the attack does not come about")??;
        ensure!(line.trim() == "standing", "the attack said {line:?}");
        Ok(())
    }

    async fn end(mut self) -> Result<()> {
        self.child.kill().await?;
        Ok(())
    }
}

/// The p99 of the median span of a kind.
fn p99(spans: &[Span], attack: Option<Attack>, history: &History) -> Duration {
    let spans = spans.iter().filter(|span| span.attack == attack);
    let mut p99s: Vec<Duration> = spans
        .map(|span| history.between(span.from, span.to).percentile(0.99))
        .collect();
    p99s.sort_unstable();
    let middle = p99s.len() / 2;
    match p99s.len() % 2 {
        0 if middle > 0 => (p99s[middle - 1] + p99s[middle]) / 2,
        _ => p99s.get(middle).copied().unwrap_or_default(),
    }
}

fn most(spans: &[Span], attack: Attack, of: impl Fn(&Span) -> f64) -> f64 {
    let spans = spans.iter().filter(|span| span.attack == Some(attack));
    spans.map(of).fold(0.0, f64::max)
}

fn audible() -> Duration {
    match std::env::var_os("FLEET_LONG") {
        Some(_) => AUDIBLE,
        None => SHORT_AUDIBLE,
    }
}

fn judge(attack: Attack, spans: &[Span], history: &History) -> Result<()> {
    let (without, beside) = (p99(spans, None, history), p99(spans, Some(attack), history));
    ensure!(
        beside < 2 * without.max(audible()),
        "{attack:?}: p99 {beside:?} beside it, {without:?} without"
    );
    let grown = most(spans, attack, |span| span.grown);
    let bound = match attack {
        Attack::Idle => attack.connections() as f64 * IDLE_KIB / 1024.0,
        _ => GROWTH_MIB,
    };
    ensure!(grown < bound, "{attack:?}: {grown:.1} MiB more");
    Ok(())
}

fn table(spans: &[Span], history: &History, start: f64) -> Result<String> {
    let without = p99(spans, None, history);
    let mut text = format!(
        "{history}\np99 without an attack {without:.1?}; the ingress had {start:.1} MiB at first\n\
         attack          connections  p99 beside  MiB added  processors used\n"
    );
    for attack in Attack::ALL {
        writeln!(
            text,
            "{:<15} {:>11} {:>11} {:>10.1} {:>16.2}",
            attack.name(),
            attack.connections(),
            format!("{:.1?}", p99(spans, Some(attack), history)),
            most(spans, attack, |span| span.grown),
            most(spans, attack, |span| span.busy),
        )?;
    }
    Ok(text)
}

fn resident(process: &Process) -> Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{}/status", process.pid))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line
        .and_then(|line| line.trim().strip_suffix("kB"))
        .unwrap_or("0");
    Ok(kib.trim().parse::<f64>()? / 1024.0)
}
