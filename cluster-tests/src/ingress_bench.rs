//! What a request costs in the ingress, beside haproxy and nginx, row by row.
//!
//! Wall time means little on a shared machine, so the figure of most rows is processor time of the
//! proxy's process. All proxies have one worker thread and stand in front of the same back end, in
//! legs that alternate, and what is compared are medians. Our own code is measured as `./dev build`
//! makes it (docs/adr/0003).

mod backend;
mod contenders;
mod entry;
mod load;
mod lone;

use std::time::Duration;

use anyhow::{Result, ensure};

use self::backend::Backend;
pub use self::contenders::Contender;
use self::entry::{Certificate, Entry};
use self::load::Request;
use crate::cluster::Cluster;
use crate::workload::Load;

/// Legs of each contender in each row.
const LEGS: usize = 5;
/// Requests of a leg: hundreds of the kernel's 10 ms steps.
const REQUESTS: usize = 10_000;
/// The same where each has a handshake, which costs ten times as much.
const HANDSHAKES: usize = 2_000;
const CONNECTIONS: usize = 64;
const STREAMS: usize = 100;
/// Connections that are made at the same time, where each request has its own.
const AT_ONCE: usize = 16;
/// Requests per second while latency is looked at, and for how long.
const RATE: u32 = 300;
const LATENCY_LEG: Duration = Duration::from_secs(4);
/// As many as a proxy holds with the 20,000 descriptors that are often the most, if it counts two
/// for each.
const IDLE: usize = 9_000;
/// Hosts in the table; each request asks for one of them.
const ROUTES: [usize; 3] = [1, 100, 10_000];

/// One line of the table: each contender's median, ours first; `None` where it cannot do that.
#[derive(Debug)]
pub struct Row {
    pub what: String,
    pub unit: &'static str,
    pub medians: Vec<Option<f64>>,
}

/// What to measure; all of it, or the rows whose name contains a word.
pub async fn measure(only: &str, mut tell: impl FnMut(&Row, &[&'static str])) -> Result<()> {
    let backend = Backend::start().await?;
    let certificate = Certificate::new()?;
    let mut cluster = Cluster::start(1).await?;
    for routes in ROUTES {
        let contenders = contenders::start(&mut cluster, &backend, &certificate, routes).await?;
        let names: Vec<_> = contenders.iter().map(|contender| contender.name).collect();
        for kind in kinds(routes) {
            let what = format!("{}, {routes} routes", kind.name());
            if !what.contains(only) {
                continue;
            }
            let row = Row {
                unit: kind.unit(),
                medians: legs(kind, &contenders, &certificate, routes).await?,
                what,
            };
            tell(&row, &names);
        }
    }
    cluster.end()
}

/// What is done in a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Get,
    Post,
    Connect,
    Tls,
    Handshake,
    Resume,
    Http2,
    Latency,
    Idle,
}

impl Kind {
    fn name(self) -> String {
        match self {
            Self::Get => format!("GET 1 KiB, {CONNECTIONS} kept connections"),
            Self::Post => format!("POST 16 KiB, {CONNECTIONS} kept connections"),
            Self::Connect => "a connection for each GET".to_owned(),
            Self::Tls => format!("TLS 1.3 GET 1 KiB, {CONNECTIONS} kept connections"),
            Self::Handshake => "a whole TLS 1.3 handshake for each GET".to_owned(),
            Self::Resume => "a resumed TLS 1.3 handshake for each GET".to_owned(),
            Self::Http2 => format!("h2, {STREAMS} streams on one connection"),
            Self::Latency => format!("p99 at {RATE} requests/s"),
            Self::Idle => format!("resident, {IDLE} idle connections"),
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Latency => "ms",
            Self::Idle => "MiB",
            _ => "CPU-s per 100,000",
        }
    }
}

/// Everything once; of the larger tables only what they might make dearer.
fn kinds(routes: usize) -> Vec<Kind> {
    match routes {
        1 => vec![
            Kind::Get,
            Kind::Post,
            Kind::Connect,
            Kind::Tls,
            Kind::Handshake,
            Kind::Resume,
            Kind::Http2,
            Kind::Latency,
            Kind::Idle,
        ],
        _ => vec![Kind::Get],
    }
}

async fn legs(
    kind: Kind,
    contenders: &[Contender],
    shown: &Certificate,
    routes: usize,
) -> Result<Vec<Option<f64>>> {
    let mut samples: Vec<Vec<f64>> = vec![Vec::new(); contenders.len()];
    let rounds = if kind == Kind::Idle { 1 } else { LEGS };
    for round in 0..rounds {
        // There and back again, so that a machine that slows down does so for all.
        let order: Vec<usize> = match round % 2 {
            0 => (0..contenders.len()).collect(),
            _ => (0..contenders.len()).rev().collect(),
        };
        for index in order {
            samples[index].extend(leg(kind, &contenders[index], shown, routes).await?);
        }
    }
    Ok(samples.into_iter().map(median).collect())
}

async fn leg(
    kind: Kind,
    contender: &Contender,
    shown: &Certificate,
    routes: usize,
) -> Result<Option<f64>> {
    let request = |body: usize| Request { routes, body };
    let plain = Entry::Plain(contender.http1);
    let whole = Entry::whole(contender.https, shown)?;
    let requests = match kind {
        Kind::Handshake | Kind::Resume => HANDSHAKES,
        _ => REQUESTS,
    };
    let before = contender.cpu_time()?;
    match kind {
        Kind::Get => load::kept(plain, request(0), CONNECTIONS, REQUESTS).await?,
        Kind::Post => load::kept(plain, request(16 << 10), CONNECTIONS, REQUESTS).await?,
        Kind::Connect => load::connecting(plain, request(0), AT_ONCE, REQUESTS).await?,
        Kind::Tls => load::kept(whole, request(0), CONNECTIONS, REQUESTS).await?,
        Kind::Handshake => load::connecting(whole, request(0), AT_ONCE, requests).await?,
        Kind::Resume => {
            let resumed = Entry::resumed(contender.https, shown)?;
            // Clients keep few tickets, so few handshakes go on at once.
            load::connecting(resumed.clone(), request(0), 4, requests).await?;
            let whole = resumed.whole_handshakes();
            ensure!(
                whole <= requests / 100,
                "{}: {whole} sessions were not resumed",
                contender.name
            );
        }
        Kind::Http2 => load::multiplexed(contender.http2, request(0), STREAMS, REQUESTS).await?,
        Kind::Latency => return latency(contender).await.map(Some),
        Kind::Idle => return load::resident_with(contender, IDLE).await.map(Some),
    }
    let used = contender.cpu_time()?.saturating_sub(before);
    Ok(Some(used.as_secs_f64() * 100_000.0 / requests as f64))
}

async fn latency(contender: &Contender) -> Result<f64> {
    let load = Load {
        host: load::host(0),
        path: "/".to_owned(),
        ingresses: vec![contender.http1],
        rate: RATE,
    };
    let running = load.start();
    running
        .more((RATE * LATENCY_LEG.as_secs() as u32) as usize)
        .await?;
    let history = running.stop().await?;
    ensure!(history.failed() == 0, "{}: {history}", contender.name);
    let mut times: Vec<f64> = history
        .exchanges
        .iter()
        .map(|exchange| exchange.took.as_secs_f64() * 1e3)
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    Ok(times
        .get(times.len() * 99 / 100)
        .copied()
        .unwrap_or_default())
}

fn median(mut samples: Vec<f64>) -> Option<f64> {
    samples.sort_unstable_by(f64::total_cmp);
    samples.get(samples.len() / 2).copied()
}
