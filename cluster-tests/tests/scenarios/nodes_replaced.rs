//! Each of three nodes is replaced by a new one, under load and with a service of one frontend: the
//! new one joins, the old one leads, is drained and leaves. Leadership moves each time, no request
//! fails, and in the end the cluster is the three that came.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::{Load, Running};
use fleet_proto::v1;

/// Requests per second over all ingresses that are used.
const RATE: u32 = 200;

/// Draining and leaving take what three starved machines on two cores take.
const PATIENT: Duration = Duration::from_secs(120);

#[tokio::test(flavor = "multi_thread")]
async fn one_by_one_under_load() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    alone(&cluster).await?;
    let old: Vec<String> = cluster.nodes.iter().map(|node| node.name.clone()).collect();
    let mut failed = Vec::new();
    for name in &old {
        cluster.join_one().await?;
        cluster.ready().await?;
        replace(&mut cluster, name, &mut failed).await?;
    }
    ensure!(failed.is_empty(), "{}", failed.join("\n"));
    let now: Vec<&str> = cluster.nodes.iter().map(|n| n.name.as_str()).collect();
    ensure!(now == ["node4", "node5", "node6"], "{now:?} are left");
    let leader = cluster.ready().await?;
    cluster.agreed_state(3).await?;
    let events = cluster.api(leader)?.events().await?;
    for name in &old {
        for what in ["is drained", "left"] {
            let sentence = format!("node {name} {what}");
            let said = events.iter().any(|e| e.text.starts_with(&sentence));
            ensure!(said, "no event says {sentence:?}");
        }
    }
    cluster.end()
}

/// One frontend of the service that is asked for, and no more.
async fn alone(cluster: &Cluster) -> Result<()> {
    let one = ["scale", "www", "--count", "1", "--min", "1", "--max", "1"];
    cluster
        .cli
        .ok(&[&one[..], &["-a", app::APP]].concat())
        .await?;
    wait::until("one frontend of www", wait::GENEROUS, async || {
        let frontends = cluster.api(0)?.frontends(app::APP).await?;
        let count = frontends.iter().filter(|f| f.service == "www").count();
        ensure!(count == 1, "{count} frontends");
        Ok(())
    })
    .await
}

async fn replace(cluster: &mut Cluster, name: &str, failed: &mut Vec<String>) -> Result<()> {
    let index = position(cluster, name)?;
    // What is proven is that the one frontend and the leader move; so both shall be there.
    gather(cluster, index).await?;
    lead(cluster, index).await?;

    let everywhere = load(cluster.ingresses());
    everywhere.more(200).await?;
    let drained = cluster
        .cli
        .ok(&["node", "drain", name, "--wait", "--timeout", "120s"])
        .await?;
    ensure!(drained.stdout.contains("OK"), "{}", drained.stdout);
    let left = position_of_www(cluster).await?;
    ensure!(left != index, "the frontend is still on {name}");
    wait::until("another leader", PATIENT, async || {
        let leader = cluster.leader().await?;
        ensure!(leader != index, "{name} leads");
        Ok(())
    })
    .await?;
    everywhere.more(200).await?;

    // Whoever sends requests has been told by now that this ingress goes.
    let mut others = cluster.ingresses();
    others.remove(index);
    let elsewhere = load(others);
    elsewhere.more(100).await?;
    check(everywhere, &format!("while {name} was drained"), failed).await?;
    let node = &cluster.nodes[index];
    cluster
        .local(node)
        .ok(&["node", "leave", "--no-confirm"])
        .await
        .with_context(|| cluster.logs())?;
    elsewhere.more(200).await?;
    check(elsewhere, &format!("while {name} left"), failed).await?;
    cluster.retire(index).await?;
    cluster.ready().await.map(drop)
}

/// Brings the frontend to a node: all others are drained, and then not any more.
async fn gather(cluster: &Cluster, index: usize) -> Result<()> {
    let others = cluster.nodes.iter().enumerate();
    let others = others.filter(|(other, _)| *other != index);
    let others: Vec<&str> = others.map(|(_, node)| node.name.as_str()).collect();
    for other in &others {
        cluster.cli.ok(&["node", "drain", other]).await?;
    }
    wait::until("the frontend to come to the node", PATIENT, async || {
        let host = position_of_www(cluster).await?;
        ensure!(host == index, "it is on {}", cluster.nodes[host].name);
        Ok(())
    })
    .await
    .with_context(|| cluster.logs())?;
    for other in &others {
        cluster.cli.ok(&["node", "undrain", other]).await?;
    }
    Ok(())
}

fn load(ingresses: Vec<SocketAddr>) -> Running {
    Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses,
        rate: RATE,
    }
    .start()
}

async fn check(load: Running, when: &str, failed: &mut Vec<String>) -> Result<()> {
    let history = load.stop().await?;
    if history.failed() > 0 {
        failed.push(format!("{when}: {history}"));
    }
    Ok(())
}

/// Makes a node lead: whoever leads instead is demoted, which hands over first, and promoted again.
async fn lead(cluster: &Cluster, index: usize) -> Result<()> {
    wait::until("the node to lead", PATIENT, async || {
        let leader = cluster.leader().await?;
        if leader == index {
            return Ok(());
        }
        let name = &cluster.nodes[leader].name;
        cluster.cli.ok(&["node", "demote", name]).await?;
        wait::until("another to lead", wait::GENEROUS, async || {
            ensure!(cluster.leader().await? != leader, "{name} leads");
            Ok(())
        })
        .await?;
        cluster.cli.ok(&["node", "promote", name]).await?;
        cluster.ready().await?;
        ensure!(cluster.leader().await? == index, "another leads");
        Ok(())
    })
    .await
    .with_context(|| cluster.logs())
}

fn position(cluster: &Cluster, name: &str) -> Result<usize> {
    let index = cluster.nodes.iter().position(|node| node.name == name);
    index.with_context(|| format!("{name} is not there"))
}

async fn position_of_www(cluster: &Cluster) -> Result<usize> {
    let leader = cluster.leader().await?;
    let frontends = cluster.api(leader)?.frontends(app::APP).await?;
    let running = |f: &&v1::Process| f.service == "www" && f.status() == v1::ProcessStatus::Running;
    let mut running = frontends.iter().filter(running);
    let frontend = running.next().context("no frontend of www runs")?;
    position(cluster, &frontend.node)
}
