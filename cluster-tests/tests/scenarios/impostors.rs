//! Two disks that must not come back: the copy of a node's, and that of a node that was removed. Each is
//! refused and told what to do, and the cluster goes on without noticing.

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::node::Node;
use fleet_cluster_tests::wait;

#[tokio::test(flavor = "multi_thread")]
async fn they_are_refused_and_told_what_to_do() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let last = cluster.nodes.len() - 1;

    let mut copy = cluster.copy(last)?;
    let outcome = copy_of_a_live_node(&cluster, &mut copy, last).await;
    copy.end()?;
    outcome?;
    cluster.ready().await?;

    let mut removed = cluster.nodes.remove(last);
    let outcome = removed_while_it_was_off(&cluster, &mut removed).await;
    removed.end()?;
    outcome?;
    cluster.end()
}

async fn copy_of_a_live_node(cluster: &Cluster, copy: &mut Node, original: usize) -> Result<()> {
    let why = copy.refuses().await?;
    for word in [
        "was copied or moved here",
        "fleetd moved",
        "fleet node join",
    ] {
        ensure!(why.contains(word), "no {word:?} in {why}");
    }

    // Its operator is sure, and wrong: the original runs.
    copy.moved().await?;
    copy.start().await?;
    let original = &cluster.nodes[original];
    refusal(cluster, copy, "another machine speaks as node").await?;
    let named = format!("node {}", original.name);
    wait::until("the history to name the copy", wait::GENEROUS, async || {
        let events = cluster.api(0)?.events().await?;
        let told = |event: &&fleet_proto::v1::Event| {
            event.text.contains(&named) && event.text.contains("copy")
        };
        ensure!(events.iter().any(|event| told(&event)), "{events:?}");
        Ok(())
    })
    .await?;
    let status = cluster.local(original).ok(&["node", "status"]).await?;
    ensure!(!status.stdout.contains("refused"), "{status}");
    Ok(())
}

async fn removed_while_it_was_off(cluster: &Cluster, node: &mut Node) -> Result<()> {
    node.end()?;
    let name = node.name.clone();
    cluster
        .cli
        .ok(&["node", "remove", &name, "--force", "--no-confirm"])
        .await?;
    node.start().await?;
    refusal(cluster, node, "was removed from this cluster").await?;

    let own = cluster.local(node);
    own.ok(&["node", "leave", "--force", "--no-confirm"])
        .await?;
    let (address, token) = (
        cluster.nodes[0].api().to_string(),
        cluster.token(&[]).await?,
    );
    own.ok(&["node", "join", &address, "--token", &token])
        .await?;
    let nodes = cluster.api(0)?.nodes().await?;
    let ids: Vec<u64> = nodes.iter().map(|node| node.id).collect();
    ensure!(
        ids.len() == 3 && ids.iter().all(|id| *id != 3),
        "an id was given again: {ids:?}"
    );
    Ok(())
}

/// The node itself says why the cluster does not want it.
async fn refusal(cluster: &Cluster, node: &Node, why: &str) -> Result<()> {
    let own = cluster.local(node);
    wait::until("the node to say why", wait::GENEROUS, async || {
        let status = own.ok(&["node", "status"]).await?;
        let told = status.stdout.lines().find(|line| line.contains("refused"));
        let told = told.context("nothing was refused")?;
        ensure!(told.contains(why), "{told}");
        ensure!(
            told.contains("fleet node leave --force"),
            "no advice: {told}"
        );
        Ok(())
    })
    .await
    .with_context(|| node.last_log_lines())
}
