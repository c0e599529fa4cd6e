//! Two of three voters are lost for good. One command on the survivor brings the cluster back: what
//! the survivor acknowledged is there, its frontends never stopped, commands work, and two new nodes
//! join and vote. While a quorum answers, the command is refused. A node that was given up and comes
//! back is a stranger.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{faults, wait};

/// Exit code of a refusal.
const REFUSED: i32 = 3;

/// Exit code "unreachable".
const UNREACHABLE: i32 = 5;

const RECOVER: [&str; 7] = [
    "cluster",
    "recover",
    "--from",
    "this-node",
    "--no-confirm",
    "-o",
    "json",
];

#[tokio::test(flavor = "multi_thread")]
async fn one_command_on_the_survivor() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    for turn in 0..20 {
        set(&cluster, turn).await?;
    }
    let survivor = (cluster.leader().await? + 1) % 3;
    let refused = cluster
        .local(&cluster.nodes[survivor])
        .refused(REFUSED, &["the quorum is not lost"], &RECOVER)
        .await?;
    ensure!(refused.stderr.contains("3 of 3 voters"), "{refused}");

    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: vec![cluster.nodes[survivor].http()],
        rate: 20,
    }
    .start();
    load.more(20).await?;
    let frontends = cluster.nodes[survivor].frontends();
    for lost in (0..3).filter(|index| *index != survivor) {
        faults::power_off(&cluster.nodes[lost]).await?;
    }
    let before = cluster.api(survivor)?.status().await?;

    let said = cluster.local(&cluster.nodes[survivor]).ok(&RECOVER).await?;
    let said: serde_json::Value =
        serde_json::from_str(&said.stdout).with_context(|| said.to_string())?;
    // Entries that were not known to be committed count too; here there is hardly ever one.
    let (last, applied) = (said["last_index"].as_u64(), before.applied_index);
    ensure!(last >= Some(applied), "{said}, applied before: {before:?}");
    ensure!(
        last > Some(applied) || said["state_hash"] == before.state_hash,
        "{said}, before: {before:?}"
    );
    ensure!(said["generation"] == 1, "{said}");
    ensure!(
        said["removed"]
            .as_array()
            .is_some_and(|removed| removed.len() == 2),
        "{said}"
    );

    // One of the lost comes back, with its whole disk, and is nobody's voter.
    let back = (survivor + 1) % 3;
    cluster.nodes[back].start().await?;
    let survivor_api = cluster.api(survivor)?;
    wait::until("the survivor to lead", wait::GENEROUS, async || {
        let status = survivor_api.status().await?;
        ensure!(status.leader_id == status.node_id, "{status:?}");
        Ok(())
    })
    .await
    .with_context(|| cluster.logs())?;
    let values = variables(&cluster, survivor).await?;
    for turn in 0..20 {
        let key = format!("KEY_{turn}");
        ensure!(
            values.get(&key) == Some(&turn.to_string()),
            "{key} is lost: {values:?}"
        );
    }
    let status = survivor_api.status().await?;
    ensure!(status.members.len() == 1, "{status:?}");
    strangers(&cluster, back, survivor).await?;

    // The fallen are cleared away; two new nodes join and vote.
    let mut lost: Vec<usize> = (0..3).filter(|index| *index != survivor).collect();
    lost.reverse();
    for index in lost {
        cluster.lose(index)?;
    }
    cluster.join_one().await?;
    cluster.join_one().await?;
    cluster.ready().await.with_context(|| cluster.logs())?;
    for frontend in &frontends {
        ensure!(
            frontend.is_alive(),
            "frontend {frontend:?} of the survivor ended"
        );
    }
    set(&cluster, 20).await?;
    cluster.agreed_state(3).await?;
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    // The three are a quorum again: the old leader may go.
    faults::kill(&cluster.nodes[0], Role::Control).await?;
    wait::until("commands after a failover", wait::GENEROUS, async || {
        set(&cluster, 21).await
    })
    .await?;
    cluster.end()
}

/// A node of before hears nothing from the recovered one, is not heard by it, and takes no commands.
async fn strangers(cluster: &Cluster, back: usize, survivor: usize) -> Result<()> {
    let old = cluster.api(back)?;
    let applied = wait::until("the returned node to answer", wait::GENEROUS, async || {
        Ok(old.status().await?.applied_index)
    })
    .await?;
    let term = cluster.api(survivor)?.status().await?.term;
    set(cluster, 19)
        .await
        .context("the survivor takes no commands")?;
    wait::holds_for("two clusters apart", Duration::from_secs(5), async || {
        let (old, new) = (old.status().await?, cluster.api(survivor)?.status().await?);
        ensure!(
            old.applied_index == applied && old.generation == 0,
            "{old:?}"
        );
        ensure!(new.leader_id == new.node_id && new.term == term, "{new:?}");
        Ok(())
    })
    .await?;
    let cli = cluster.cli_to(&[back]);
    let set = ["env", "set", "LATE=1", "-a", app::APP];
    cli.refused(UNREACHABLE, &[], &set).await.map(drop)
}

async fn set(cluster: &Cluster, turn: u32) -> Result<()> {
    let pair = format!("KEY_{turn}={turn}");
    let done = cluster.cli.ok(&["env", "set", &pair, "-a", app::APP]).await;
    done.map(drop)
}

async fn variables(cluster: &Cluster, node: usize) -> Result<BTreeMap<String, String>> {
    let cli = cluster.cli_to(&[node]);
    let output = cli.ok(&["env", "-a", app::APP, "-o", "json"]).await?;
    let parsed: serde_json::Value =
        serde_json::from_str(&output.stdout).with_context(|| output.to_string())?;
    let variables = parsed.get("variables").unwrap_or(&parsed);
    serde_json::from_value(variables.clone()).with_context(|| output.to_string())
}
