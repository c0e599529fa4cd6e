//! `./dev bench`: what a request costs in our ingress, beside the proxies found on this machine, how
//! long acknowledged commands take, and what planning costs. `./dev bench planning` is the last alone;
//! `./dev bench failover [TRIALS]` is how long a dead leader is noticed, beside etcd, `./dev bench
//! autoscale [--seed N]` what autoscalers cost and miss under simulated load (the same bytes everywhere),
//! and `./dev bench ingress [WORD]` what requests of all kinds cost, beside haproxy and nginx; with a
//! word only the rows whose name contains it.
//!
//! Wall time means little on a shared machine, so the figure is processor time of the proxy per
//! request, all proxies in front of the same frontends, in legs that alternate (A B B A). What has no
//! peer here is printed without a ratio.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is what this program is for"
)]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::{self, Process, Role};
use fleet_cluster_tests::{binaries, failover, ingress_bench, planning, wait, workload};
use fleet_proto::v1;
use fleet_sim::campaign::{self, Campaign};
use fleet_sim::contender::Contender;
use fleet_sim::report;

/// Requests per leg: at some 30 us each, a hundred of the kernel's 10 ms steps.
const REQUESTS: usize = 20_000;
const CONNECTIONS: usize = 32;
/// Legs of each proxy: two rounds of A B B A.
const ROUNDS: usize = 2;
const COMMANDS: u32 = 200;
/// Leaders killed by `failover`.
const TRIALS: usize = 30;

#[tokio::main]
async fn main() -> Result<()> {
    match std::env::args().nth(1).as_deref() {
        Some("planning") => return plans(),
        Some("failover") => return failovers().await,
        Some("autoscale") => return autoscale(),
        Some("ingress") => return ingress().await,
        _ => {}
    }
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    proxies(&cluster).await?;
    commands(&cluster).await?;
    cluster.end()?;
    plans()
}

/// Growth is what matters: ten times the frontends, how many times the instructions?
fn plans() -> Result<()> {
    let found = binaries::binaries()?;
    let program = found.fleetd.with_file_name("examples").join("plan_cost");
    println!("planning: instructions of one plan in the middle of a rolling update");
    let mut before = None;
    for frontends in planning::SIZES {
        let Some(count) = planning::instructions(&program, &[frontends])? else {
            println!("  (valgrind, which counts them, is not installed)");
            return Ok(());
        };
        let growth = before.map(|before| format!("{:>6.2} x", count as f64 / before as f64));
        println!(
            "  {frontends:>6} frontends {count:>12} {}",
            growth.unwrap_or_default()
        );
        before = Some(count);
    }
    match found.fleetd.parent().and_then(Path::parent) {
        // Optimised, unlike the other: what it takes is a promise.
        Some(target) => counts(&target.join("release/examples/scaling_cost")),
        None => Ok(()),
    }
}

/// What autoscaling has to look at grows with the services that there is news of.
fn counts(program: &Path) -> Result<()> {
    let services = planning::SERVICES;
    println!(
        "planning: instructions and processor time of one plan of {services} services with ten"
    );
    println!("frontends each, by how many of them there is news of and the load asks for more");
    let mut idle = None;
    for changed in planning::CHANGED {
        let sizes = [services, changed];
        let cpu = planning::cpu(program, &sizes)?;
        let count = planning::instructions(program, &sizes)?;
        let of_each = |count: u64| count.saturating_sub(*idle.get_or_insert(count));
        let each = count.map(of_each).filter(|_| changed > 0);
        let each = each.map(|more| format!("{:>9} each", more / u64::from(changed)));
        println!(
            "  {changed:>6} changed {:>13} {:>7.1} ms {}",
            count.unwrap_or_default(),
            cpu.as_secs_f64() * 1000.0,
            each.unwrap_or_default()
        );
    }
    Ok(())
}

/// Every autoscaler under every load, as docs/autoscaling.md shows it, and then with other set points.
fn autoscale() -> Result<()> {
    let mut arguments = std::env::args().skip(2);
    let seed = match (arguments.next().as_deref(), arguments.next()) {
        (None, _) => campaign::SEED,
        (Some("--seed"), Some(seed)) => seed.parse().context("the seed")?,
        _ => bail!("bench autoscale takes --seed N and nothing else"),
    };
    let seeds = campaign::seeds(seed);
    let field = Campaign::run(&seeds, &Contender::FIELD);
    println!("{}", report::measured(&field));
    let ladder = Campaign::run(&seeds, &Contender::ladder());
    print!("{}", report::ladder(&ladder));
    Ok(())
}

/// Wall time, for once: it is what users wait for. So it says when the machine was busy, and the
/// contenders take turns.
async fn failovers() -> Result<()> {
    let trials = match std::env::args().nth(2) {
        Some(number) => number.parse().context("the number of trials")?,
        None => TRIALS,
    };
    let etcd = installed("etcd");
    println!("failover: kill -9 of the leader until the next acknowledged write, {trials} trials");
    println!("  three nodes on one disk; heartbeat, election timeout from-to beside the name");
    let spreads = failover::trials(trials, etcd.as_deref(), |trial| {
        eprint!("\r  trial {trial} of {trials}");
    });
    let spreads = spreads.await?;
    eprintln!();
    println!(
        "  {:<49} {:>9} {:>9} {:>9} {:>9}",
        "", "min", "p50", "p90", "max"
    );
    for spread in &spreads {
        println!("{spread}");
    }
    if etcd.is_none() {
        println!("  (etcd is not installed)");
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("  load of the machine at the end: {}", load.trim());
    Ok(())
}

/// Medians, and in brackets how many times the better of the peers ours is.
async fn ingress() -> Result<()> {
    let only = std::env::args().nth(2).unwrap_or_default();
    println!("ingress: ./dev bench ingress {only}");
    println!("  one worker thread each; fleet as ./dev build makes it (docs/adr/0003)");
    let mut headed = false;
    ingress_bench::measure(&only, |row, names| {
        if !std::mem::replace(&mut headed, true) {
            let names: String = names.iter().map(|name| format!("{name:>10}")).collect();
            println!("  {:<52} {:<18}{names}", "", "");
        }
        let figure = |median: &Option<f64>| match median {
            Some(median) => format!("{median:>10.2}"),
            None => format!("{:>10}", "-"),
        };
        let figures: String = row.medians.iter().map(figure).collect();
        let peers = row.medians.iter().skip(1).flatten().copied();
        let best = peers.min_by(f64::total_cmp);
        let ratio = row.medians.first().copied().flatten().zip(best);
        let ratio = ratio.map(|(own, best)| format!("  ({:.2} x)", own / best));
        println!(
            "  {:<52} {:<18}{figures}{}",
            row.what,
            row.unit,
            ratio.unwrap_or_default()
        );
    })
    .await?;
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!("  load of the machine at the end: {}", load.trim());
    Ok(())
}

async fn proxies(cluster: &Cluster) -> Result<()> {
    let addresses = frontends(cluster).await?;
    let ours = Proxy {
        name: "fleet",
        address: cluster.nodes[0].http(),
        processes: vec![cluster.nodes[0].process(Role::Ingress)?],
        started: None,
    };
    let mut peers = Vec::new();
    for (index, start) in [nginx as Start, haproxy as Start].into_iter().enumerate() {
        let listen = cluster.nodes[index + 1].ports.spare();
        peers.extend(start(cluster.path(), listen, &addresses).await?);
    }
    println!("ingress: processor time per request, {CONNECTIONS} kept connections, one service");
    if peers.is_empty() {
        let cost = leg(&ours).await?;
        println!(
            "  fleet    {:>6.1} us   (neither nginx nor haproxy is installed)",
            micros(cost)
        );
    }
    for peer in &peers {
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            own.push(leg(&ours).await?);
            other.push(leg(peer).await?);
            other.push(leg(peer).await?);
            own.push(leg(&ours).await?);
        }
        let (own, other) = (micros(median(own)), micros(median(other)));
        let ratio = own / other;
        println!(
            "  fleet {own:>6.1} us, {:<8} {other:>6.1} us: ratio {ratio:.2}",
            peer.name
        );
    }
    Ok(())
}

/// One client, one command after the other, each acknowledged by a majority that has synced it.
async fn commands(cluster: &Cluster) -> Result<()> {
    let api = cluster.api(cluster.leader().await?)?;
    let mut times = Vec::new();
    for turn in 0..COMMANDS {
        let request = v1::SetAutoscalingLimitsRequest {
            request_id: format!("bench-{turn}"),
            app: app::APP.to_owned(),
            environment: "prod".to_owned(),
            min: 2,
            max: 10 + turn % 2,
        };
        let began = Instant::now();
        api.environments().set_autoscaling_limits(request).await?;
        times.push(began.elapsed());
    }
    println!("commands, one client, three nodes on one disk (no peer is measured beside):");
    println!(
        "  acknowledged after {:.1?} (median of {COMMANDS})",
        median(times)
    );
    Ok(())
}

/// A proxy in front of the frontends, and the processes that do its work.
struct Proxy {
    name: &'static str,
    address: SocketAddr,
    processes: Vec<Process>,
    started: Option<Child>,
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(child) = &mut self.started {
            for process in &self.processes {
                // A worker may have ended with its master.
                drop(process.kill());
            }
            drop(child.kill());
            drop(child.wait());
        }
    }
}

type Started<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Option<Proxy>>> + 'a>>;
type Start = for<'a> fn(&'a Path, SocketAddr, &'a [SocketAddr]) -> Started<'a>;

fn nginx<'a>(dir: &'a Path, listen: SocketAddr, frontends: &'a [SocketAddr]) -> Started<'a> {
    Box::pin(async move {
        let servers: String = frontends.iter().map(|f| format!("server {f};\n")).collect();
        let config = format!(
            "daemon off; worker_processes 1; pid {dir}/nginx/pid; error_log {dir}/nginx/error;\n\
             events {{ worker_connections 1024; }}\n\
             http {{ access_log off; client_body_temp_path {dir}/nginx/b; proxy_temp_path {dir}/nginx/p;\n\
             fastcgi_temp_path {dir}/nginx/f; uwsgi_temp_path {dir}/nginx/u; scgi_temp_path {dir}/nginx/s;\n\
             keepalive_requests 1000000;\n\
             upstream app {{ {servers} keepalive 64; keepalive_requests 1000000; }}\n\
             server {{ listen {listen}; location / {{ proxy_pass http://app; proxy_http_version 1.1;\n\
             proxy_set_header Connection \"\"; proxy_set_header Host $host; }} }} }}\n",
            dir = dir.display(),
        );
        start("nginx", dir, &config, &["-c"], listen).await
    })
}

fn haproxy<'a>(dir: &'a Path, listen: SocketAddr, frontends: &'a [SocketAddr]) -> Started<'a> {
    Box::pin(async move {
        let servers: String = frontends
            .iter()
            .enumerate()
            .map(|(index, address)| format!("  server s{index} {address}\n"))
            .collect();
        let config = format!(
            "global\n  nbthread 1\ndefaults\n  mode http\n  timeout connect 5s\n  timeout client 30s\n  \
             timeout server 30s\nlisten app\n  bind {listen}\n  http-reuse always\n{servers}",
        );
        start("haproxy", dir, &config, &["-db", "-f"], listen).await
    })
}

/// Starts a peer if it is installed, and waits until it answers.
async fn start(
    name: &'static str,
    dir: &Path,
    config: &str,
    flags: &[&str],
    listen: SocketAddr,
) -> Result<Option<Proxy>> {
    let Some(program) = installed(name) else {
        return Ok(None);
    };
    let dir = dir.join(name);
    std::fs::create_dir_all(&dir)?;
    let file = dir.join("config");
    std::fs::write(&file, config)?;
    let child = Command::new(program)
        .args(flags)
        .arg(&file)
        .current_dir(&dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {name}"))?;
    let mut proxy = Proxy {
        name,
        address: listen,
        processes: Vec::new(),
        started: Some(child),
    };
    wait::until(&format!("{name} to answer"), wait::GENEROUS, async || {
        let answer = workload::get(listen, &app::host("www"), app::VERSION_PAGE).await;
        ensure!(answer.succeeded(), "{:?}", answer.outcome);
        Ok(())
    })
    .await?;
    proxy.processes = process::of_node(&dir);
    Ok(Some(proxy))
}

fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|dir| dir.join(name))
        .find(|program| program.is_file())
}

async fn frontends(cluster: &Cluster) -> Result<Vec<SocketAddr>> {
    let all = cluster.api(0)?.frontends(app::APP).await?;
    let www = all.iter().filter(|frontend| frontend.service == "www");
    www.map(|frontend| Ok(frontend.address.parse()?)).collect()
}

/// Processor time per request over one leg.
async fn leg(proxy: &Proxy) -> Result<Duration> {
    let spent = || -> Result<Duration> { proxy.processes.iter().map(Process::cpu_time).sum() };
    let before = spent()?;
    let history = workload::burst(
        proxy.address,
        &app::host("www"),
        app::VERSION_PAGE,
        CONNECTIONS,
        REQUESTS,
    )
    .await;
    ensure!(history.failed() == 0, "{} in front: {history}", proxy.name);
    let used = spent()?.saturating_sub(before);
    Ok(used / u32::try_from(REQUESTS)?)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
