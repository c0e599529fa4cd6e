//! Ingresses die by kill -9 under load: connections made meanwhile wait in the backlog of the socket,
//! which the holder keeps, and only requests that were inside the killed process may fail. Each is
//! replaced in less than a second.
//!
//! Each of three once, or four times with `FLEET_LONG=1`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::faults;
use fleet_cluster_tests::history::{History, Outcome};
use fleet_cluster_tests::node::Node;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::{self, Load, Manner, Running};

/// What the issue on the ingress allows, of the median.
const REPLACED_WITHIN: Duration = Duration::from_secs(1);
/// A process that lived so long is replaced at once, and not after a pause that grows.
const LIVED: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_inside_it_may_fail() -> Result<()> {
    let rounds = match std::env::var_os("FLEET_LONG") {
        Some(_) => 4,
        None => 1,
    };
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let mut kills = Vec::new();
    for round in 0..rounds {
        for node in &cluster.nodes {
            kills.push(killed(&cluster, node).await?);
        }
        if round + 1 < rounds {
            let until = kills[kills.len() - cluster.nodes.len()].gone + LIVED;
            wait::until_true("a long life", async || Instant::now() > until).await?;
        }
    }
    // They are full members again: an activation waits for them and gets their confirmation.
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    for ingress in cluster.ingresses() {
        let answer = workload::get(ingress, &app::host("www"), app::VERSION_PAGE).await;
        ensure!(
            app::version_in(answer.body().unwrap_or_default()) == "two",
            "{answer:?}"
        );
    }
    let mut times: Vec<Duration> = kills.iter().map(|kill| kill.until_answered).collect();
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!(
        "{} kills: answered again after {times:.0?}, median {median:.0?}",
        times.len()
    );
    ensure!(median < REPLACED_WITHIN, "the median is {median:?}");
    cluster.end()
}

/// One kill and what came of it.
struct Kill {
    gone: Instant,
    /// From the signal to the first answer to a request that was sent after it.
    until_answered: Duration,
}

async fn killed(cluster: &Cluster, node: &Node) -> Result<Kill> {
    let others = cluster
        .ingresses()
        .into_iter()
        .filter(|to| *to != node.http());
    let load = |ingresses, rate| Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses,
        rate,
    };
    let elsewhere = load(others.collect(), 60).start();
    let kept = load(vec![node.http()], 60).start();
    let new = load(vec![node.http()], 60).start_in(Manner::New);
    // Under way when the process dies.
    let slow = Load {
        path: "/slow?ms=300".to_owned(),
        ..load(vec![node.http()], 20)
    };
    let slow = slow.start_in(Manner::New);
    for load in [&elsewhere, &kept, &new, &slow] {
        load.more(30).await?;
    }

    let struck = Instant::now();
    let victim = faults::kill(node, Role::Ingress).await?;
    let gone = Instant::now();
    // Nobody accepts yet, and still nobody is refused.
    let first = workload::get(node.http(), &app::host("www"), app::VERSION_PAGE).await;
    let until_answered = struck.elapsed();
    ensure!(first.succeeded(), "the first request: {:?}", first.outcome);
    ensure!(
        app::version_in(first.body().unwrap_or_default()) == "one",
        "the new ingress knows the routes before it accepts: {first:?}"
    );
    faults::replaced(node, &victim).await?;
    for load in [&kept, &new] {
        load.more(60).await?;
    }

    let untouched = elsewhere.stop().await?;
    ensure!(untouched.failed() == 0, "elsewhere: {untouched}");
    for (name, load) in [("kept", kept), ("new", new), ("slow", slow)] {
        judge(name, load, gone).await?;
    }
    Ok(Kill {
        gone,
        until_answered,
    })
}

/// Nobody was refused or waited in vain for a connection, and who failed was inside.
#[allow(clippy::print_stdout, reason = "the figures are worth reading")]
async fn judge(name: &str, load: Running, gone: Instant) -> Result<()> {
    let history = load.stop().await?;
    let outside = history.since(gone);
    ensure!(outside.failed() == 0, "{name}, after the kill: {outside}");
    ensure!(outside.sent() > 0, "{name}: nobody came after the kill");
    let not_connected = not_connected(&history);
    ensure!(
        not_connected == 0,
        "{name}: {not_connected} not connected: {history}"
    );
    if name == "kept" {
        // Each was answered on another connection when its own had ended without an answer.
        ensure!(history.failed() == 0, "{name}: {history}");
    }
    println!(
        "{name:<5} {} sent, {} of them inside the killed process broke, {} sent again, 0 refused",
        history.sent(),
        history.failed(),
        history.resent()
    );
    Ok(())
}

/// Refused, or without a connection for as long as a client waits.
fn not_connected(history: &History) -> usize {
    let outcomes = history.exchanges.iter().map(|exchange| &exchange.outcome);
    outcomes
        .filter(|outcome| match outcome {
            Outcome::Broken(cause) => cause.starts_with("connecting") || cause.contains("within"),
            Outcome::Answered { .. } => false,
        })
        .count()
}
