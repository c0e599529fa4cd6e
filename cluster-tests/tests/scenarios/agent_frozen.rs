//! The agent of a node stands still, and with it the heartbeats of its worker. The singleton there
//! ends by itself before another starts elsewhere, though nobody on its node can decide anything; and
//! an agent that wakes up late starts nothing of what it still meant to.

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::lives::{self, Lives};
use fleet_cluster_tests::process::{Process, Role};
use fleet_cluster_tests::{faults, wait};

use super::worker_partitioned::{MANIFEST, count_of, replaced, service_on};

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_ends_its_singleton() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    sources.repository.write("fleet.yml", MANIFEST)?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let lives = Lives::watch(cluster.dirs(), "clock");
    let clock = count_of(&cluster, "clock", 1, wait::GENEROUS)
        .await?
        .remove(0);
    let node = cluster
        .nodes
        .iter()
        .position(|node| node.name == clock.node);
    let node = node.with_context(|| format!("{} is no node of ours", clock.node))?;
    let first = service_on(&cluster, node, "clock");
    ensure!(first.len() == 1, "{first:?}");
    let kept = service_on(&cluster, node, "www");

    let frozen = faults::freeze(&cluster.nodes[node], Role::Agent)?;
    faults::gone(&first[0]).await?;
    ensure!(
        kept.iter().all(Process::is_alive),
        "the holder ended more than the singleton"
    );
    replaced(&cluster, &[0, 1, 2], "clock", 1, &clock.node).await?;
    frozen.thaw();

    cluster.ready().await?;
    let now = count_of(&cluster, "clock", 1, wait::GENEROUS)
        .await?
        .remove(0);
    ensure!(now.node != clock.node && now.id != clock.id, "{now:?}");
    ensure!(
        service_on(&cluster, node, "clock").is_empty(),
        "it came back"
    );
    let lives = lives.stop()?;
    let gap = lives::apart(&lives)?.context("the singleton was never replaced")?;
    ensure!(lives.len() == 2, "{lives:?}");
    eprintln!("{lives:?}, {gap:?} apart");
    cluster.end()
}
