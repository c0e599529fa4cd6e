//! `./dev demo`: three nodes on this machine, an app released three times under steady load, things
//! killed meanwhile, and a surge that its count follows. Prints what it saw, and fails if a request did.

#![allow(clippy::print_stdout, reason = "the table is what this program is for")]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use clap::Parser;
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::history::History;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::sampler::Sampler;
use fleet_cluster_tests::scaling::{self, Counts};
use fleet_cluster_tests::surge::Surge;
use fleet_cluster_tests::workload::{Load, Running};
use fleet_cluster_tests::{binaries, census, faults, wait};

/// Requests per second, over both ingresses.
const RATE: u32 = 200;

/// The demo goes on until so many have been sent.
const REQUESTS: usize = 10_000;

const SURVIVORS: [Role; 4] = [Role::Holder, Role::Control, Role::Ingress, Role::Frontend];

/// Three nodes, one app, three releases, and a few murders.
#[derive(Parser)]
#[command(name = "fleet-demo")]
struct Arguments {
    /// Leave the cluster running at the end and say how to use it
    #[arg(long)]
    keep: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = tokio::select! {
        outcome = demo(&arguments) => outcome,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(cause) => {
            println!("\nthe demo failed: {cause:#}");
            ExitCode::FAILURE
        }
    }
}

async fn demo(arguments: &Arguments) -> Result<()> {
    let mut table = Table::start();
    let mut cluster = Cluster::start(3).await?;
    table.row("start three nodes", "all vote, all are ready");
    let mut shop = Shop::create(cluster.path())?;
    let (first, second) = publish(&cluster, &mut shop, &mut table).await?;

    // Through two ingresses; one of them on the node whose leader is going to be killed.
    let leader = cluster.leader().await?;
    let other = (leader + 1) % 3;
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: vec![cluster.nodes[leader].http(), cluster.nodes[other].http()],
        rate: RATE,
    }
    .start();
    load.more(RATE as usize).await?;
    table.row(
        "start the load",
        &format!("{RATE} requests per second through two ingresses"),
    );

    load_beside(&cluster, &shop, &second, &mut table).await?;
    let there = switch(&cluster, &second).await?;
    table.row("activate the second release", &there.told());
    let back = switch(&cluster, &first).await?;
    table.row("roll back to the first", &back.told());
    ensure!(
        back.started == 0,
        "the rollback started {} processes",
        back.started
    );

    kill_agent(&mut cluster, other, &load, &mut table).await?;
    kill_leader(&cluster, &second, &mut table).await?;
    replace_ingress(&cluster, other, &load, &mut table).await?;
    promote(&cluster, &mut shop, &first, &mut table).await?;
    surge(&cluster, &load, &mut table).await?;

    let missing = REQUESTS.saturating_sub(load.so_far().sent());
    if missing > 0 {
        load.more_within(missing, Duration::from_secs(120)).await?;
    }
    let history = load.stop().await?;
    table.row(
        "stop the load",
        &format!("{} requests sent", history.sent()),
    );
    table.end();
    summary(&history, &back);
    let verdict = verdict(&history);
    if arguments.keep && verdict.is_ok() {
        explain(&cluster, &shop)?;
        cluster.keep();
    } else {
        cluster.end()?;
        println!("nothing was left behind: no process, no directory");
    }
    verdict
}

async fn publish(
    cluster: &Cluster,
    shop: &mut Shop,
    table: &mut Table,
) -> Result<(String, String)> {
    let cli = cluster.cli.in_dir(&shop.repository.dir);
    cli.ok(&["apps", "create", app::APP]).await?;
    let mut names = Vec::new();
    for number in 1..=2 {
        let name = shop.version(&number.to_string())?;
        app::create_release(&cli, &name).await?;
        names.push(name);
    }
    let [first, second] = names.as_slice() else {
        anyhow::bail!("two releases were to be made")
    };
    table.row(
        "make two releases",
        &format!("{first} and {second}, from two commits"),
    );
    app::load(&cli, first).await?;
    table.row("load the first", "its frontends are healthy");
    app::activate(&cli, first).await?;
    table.row("activate the first", "it answers through every ingress");
    Ok((first.clone(), second.clone()))
}

async fn load_beside(cluster: &Cluster, shop: &Shop, name: &str, table: &mut Table) -> Result<()> {
    app::load(&cluster.cli.in_dir(&shop.repository.dir), name).await?;
    table.row("load the second beside it", "healthy, without traffic");
    Ok(())
}

/// What one switch of traffic took.
struct Switch {
    confirmed: Duration,
    entries: u64,
    started: usize,
}

impl Switch {
    fn told(&self) -> String {
        format!(
            "last ingress confirmed after {:.0?}; {} log entries, {} processes started",
            self.confirmed, self.entries, self.started
        )
    }
}

async fn switch(cluster: &Cluster, release: &str) -> Result<Switch> {
    let api = cluster.api(cluster.leader().await?)?;
    let mut census = census::Census::default();
    census.take(&census::of(&cluster.dirs(), &[Role::Frontend]));
    let before = api.status().await?.committed_index;
    let confirmed = api
        .activate_until_confirmed(app::APP, "prod", release)
        .await?;
    let entries = api.status().await?.committed_index - before;
    census.take(&census::of(&cluster.dirs(), &[Role::Frontend]));
    Ok(Switch {
        confirmed,
        entries,
        started: census.started().len(),
    })
}

async fn kill_agent(
    cluster: &mut Cluster,
    index: usize,
    load: &Running,
    table: &mut Table,
) -> Result<()> {
    let before = census::of(&cluster.dirs(), &SURVIVORS);
    faults::kill(&cluster.nodes[index], Role::Agent).await?;
    load.more(RATE as usize).await?;
    census::unchanged(&before, &census::of(&cluster.dirs(), &SURVIVORS))
        .context("the agent took others with it")?;
    let name = cluster.nodes[index].name.clone();
    let told = format!("{} other processes live on, same pids", before.len());
    table.row(&format!("kill -9 the agent of {name}"), &told);
    cluster.nodes[index].start().await?;
    cluster.ready().await?;
    census::unchanged(&before, &census::of(&cluster.dirs(), &SURVIVORS))
        .context("they were not adopted as they were")?;
    table.row("start it again", "it adopted them, same pids");
    Ok(())
}

async fn kill_leader(cluster: &Cluster, release: &str, table: &mut Table) -> Result<()> {
    // One frontend more to warm up keeps the activation busy while the leader dies.
    scale(cluster, 3).await?;
    table.row("scale the active release to three", "healthy");

    let (cli, leader) = (&cluster.cli, cluster.leader().await?);
    let node = &cluster.nodes[leader];
    let ingress = node.process(Role::Ingress)?;
    cli.ok(&["env", "prod", "activate", release, "-a", app::APP])
        .await?;
    let killed = faults::kill(node, Role::Control).await?;
    cluster.activated(app::APP, "prod", release).await?;
    ensure!(
        ingress.is_alive(),
        "the ingress of {} ended with its control process",
        node.name
    );
    let told = format!(
        "node {} leads, the activation is complete",
        cluster.leader().await? + 1
    );
    table.row(
        &format!("kill -9 the leader, {}, mid-activation", node.name),
        &told,
    );
    faults::replaced(node, &killed).await?;
    cluster.ready().await?;
    cluster.agreed_state(3).await?;
    table.row("wait for its return", "equal state hashes on all nodes");
    Ok(())
}

async fn replace_ingress(
    cluster: &Cluster,
    index: usize,
    load: &Running,
    table: &mut Table,
) -> Result<()> {
    let node = &cluster.nodes[index];
    let before = node.process(Role::Ingress)?;
    cluster.local(node).ok(&["node", "replace-ingress"]).await?;
    faults::gone(&before).await?;
    let after = node.process(Role::Ingress)?;
    load.more(RATE as usize).await?;
    let told = format!("process {} took over from {}", after.pid, before.pid);
    table.row(&format!("replace the ingress of {}", node.name), &told);
    Ok(())
}

/// A third release takes over from the active one, frontend by frontend.
async fn promote(cluster: &Cluster, shop: &mut Shop, idle: &str, table: &mut Table) -> Result<()> {
    let name = shop.version("3")?;
    let cli = cluster.cli.in_dir(&shop.repository.dir);
    cli.ok(&["env", "prod", "unload", idle, "-a", app::APP, "--wait"])
        .await?;
    table.row("unload the first", "only the active release is left");
    scale(cluster, PROMOTED).await?;
    table.row("scale the active release to six", "healthy");
    cli.ok(&["build", "-a", app::APP]).await?;
    table.row("build a third", &name);

    let apis = (0..3).map(|index| cluster.api(index));
    let sampler = Sampler::start(apis.collect::<Result<_>>()?, app::APP, "www");
    cli.ok(&["releases", "promote", "-a", app::APP]).await?;
    let samples = sampler.stop().await?;
    let healthy = samples.iter().map(|sample| sample.healthy).min();
    let total = samples.iter().map(|sample| sample.total).max();
    let (healthy, total) = healthy.zip(total).context("nobody answered a sampler")?;
    // The manifest says nothing of deployment: 50 % and 200 % of six.
    ensure!(healthy >= 3, "only {healthy} frontends were healthy");
    ensure!(total <= 12, "there were {total} frontends at once");
    table.row(
        "promote it: roll over, and 30 s of guard",
        &format!(
            "{healthy} healthy at least (3), {total} in all at most (12), {} samples",
            samples.len()
        ),
    );
    Ok(())
}

/// Frontends of the release that the promotion replaces.
const PROMOTED: u32 = 6;

/// Requests a second that each frontend is meant for: five carry the steady load, ten the surge.
const EACH: u32 = 40;

/// The load doubles, and the count follows by itself.
async fn surge(cluster: &Cluster, load: &Running, table: &mut Table) -> Result<()> {
    let each = EACH.to_string();
    let settings: [&[&str]; 2] = [
        &["targets", "prod", "--cpu", "none", "--rps", &each],
        &["policy", "prod", "target"],
    ];
    for setting in settings {
        let words = [&["env", "autoscaling"], setting, &["-a", app::APP]].concat();
        cluster.cli.ok(&words).await?;
    }
    scale(cluster, RATE / EACH).await?;
    let told = format!("{EACH} requests a second for each frontend");
    table.row("let the count follow the load", &told);

    let apis = (0..3).map(|index| cluster.api(index));
    let counts = Counts::watch(apis.collect::<Result<_>>()?);
    let began = Instant::now();
    load.more(CALM * RATE as usize).await?;
    load.change_rate(2 * RATE);
    let doubled = Instant::now();
    let grown = 2 * RATE / EACH;
    wait::until(
        "as many frontends as twice the load needs",
        wait::GENEROUS,
        async || {
            let last = counts.so_far().last().copied();
            let healthy = last.map_or(0, |count| count.healthy);
            ensure!(healthy >= grown, "{healthy} of {grown} are healthy");
            Ok(())
        },
    )
    .await?;
    let took = doubled.elapsed();
    load.more(2 * CALM * RATE as usize).await?;
    load.change_rate(RATE);
    load.more(CALM * RATE as usize).await?;
    let seen = counts.stop().await?;
    let shown = Surge::between(began, Instant::now(), &load.since(began), &seen);
    let steps: Vec<String> = scaling::steps(&seen).iter().map(u32::to_string).collect();
    table.row(
        "double the load for a while",
        &format!(
            "{} frontends, the last healthy after {:.1} s",
            steps.join(" -> "),
            took.as_secs_f64()
        ),
    );
    for line in shown.lines() {
        println!("{:>52} {line}", "");
    }
    Ok(())
}

/// Seconds of load before the surge, at its height, and after it.
const CALM: usize = 5;

/// Brings the active release to `count` frontends and waits until they are healthy.
async fn scale(cluster: &Cluster, count: u32) -> Result<()> {
    let number = count.to_string();
    let words = ["env", "prod", "autoscaling", "desired", "active"];
    let words = words
        .iter()
        .copied()
        .chain([number.as_str(), "-a", app::APP]);
    cluster.cli.ok(&words.collect::<Vec<_>>()).await?;
    let api = cluster.api(0)?;
    wait::until("the new count", wait::GENEROUS, async || {
        let description = api.environment(app::APP, "prod").await?;
        let active = description.releases.iter().find(|release| release.active);
        ensure!(
            active.is_some_and(|release| release.frontends == count),
            "not healthy yet"
        );
        Ok(())
    })
    .await
}

fn summary(history: &History, rollback: &Switch) {
    println!("requests sent      {:>8}", history.sent());
    println!("requests failed    {:>8}", history.failed());
    println!(
        "sent again         {:>8}   (an idle kept connection had been closed)",
        history.resent()
    );
    println!(
        "latency            {:>8.1?}   p99 {:.1?}, max {:.1?}",
        history.percentile(0.5),
        history.percentile(0.99),
        history.percentile(1.0)
    );
    println!(
        "rollback           {:>8.0?}   from the command to the last ingress",
        rollback.confirmed
    );
    for (cause, count) in history.failures() {
        println!("  {count} x {cause}");
    }
}

fn verdict(history: &History) -> Result<()> {
    ensure!(
        history.sent() >= REQUESTS,
        "only {} requests were sent",
        history.sent()
    );
    ensure!(
        history.failed() == 0,
        "{} requests failed",
        history.failed()
    );
    Ok(())
}

fn explain(cluster: &Cluster, shop: &Shop) -> Result<()> {
    let found = binaries::binaries()?;
    let bin = found
        .fleet
        .parent()
        .context("binaries lie in a directory")?;
    println!("\nThe cluster is still running. To use it:\n");
    println!("  export PATH={}:$PATH", bin.display());
    for (name, value) in cluster.cli.variables() {
        println!("  export {name}={value}");
    }
    println!("  cd {}", shop.repository.dir.display());
    println!("  fleet env describe prod");
    println!(
        "  curl -H 'Host: {}' http://{}/version",
        app::host("www"),
        cluster.nodes[0].http()
    );
    println!("\nTo end it:\n");
    for node in &cluster.nodes {
        println!("  fleetd stop --data-dir {}", node.dir.display());
    }
    Ok(())
}

/// Prints each step when it is done, with the time since the one before.
struct Table {
    began: Instant,
    last: Instant,
}

impl Table {
    fn start() -> Table {
        println!("{:<42} {:>8}  seen", "step", "took");
        println!("{} {}  {}", "-".repeat(42), "-".repeat(8), "-".repeat(60));
        Table {
            began: Instant::now(),
            last: Instant::now(),
        }
    }

    fn row(&mut self, step: &str, seen: &str) {
        println!(
            "{step:<42} {:>6.1} s  {seen}",
            self.last.elapsed().as_secs_f64()
        );
        self.last = Instant::now();
    }

    fn end(&self) {
        println!("{} {}  {}", "-".repeat(42), "-".repeat(8), "-".repeat(60));
        println!(
            "{:<42} {:>6.1} s\n",
            "all of it",
            self.began.elapsed().as_secs_f64()
        );
    }
}
