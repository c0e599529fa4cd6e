//! Every fleet process of all three nodes is killed at once while commands are being acknowledged.
//! After the restart each acknowledged command is there, all nodes have the same state, and the
//! frontends, which nobody killed, were adopted.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::census;
use fleet_cluster_tests::cli::Cli;
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let frontends = census::of(&cluster.dirs(), &[Role::Frontend]);
    ensure!(!frontends.is_empty(), "no frontend runs");

    let stop = AtomicBool::new(false);
    let writers = async {
        let writes = (0..3).map(|writer| write(cluster.cli.clone(), writer, &stop));
        futures::future::join_all(writes).await
    };
    let killer = async {
        // Some are acknowledged, and some are under way.
        let seen = acknowledged_reach(&cluster, 12).await;
        let killed = kill_all(&cluster);
        stop.store(true, Ordering::Relaxed);
        seen.and(killed)
    };
    let (acknowledged, killed) = tokio::join!(writers, killer);
    killed?;

    for index in 0..cluster.nodes.len() {
        cluster.nodes[index].start().await?;
    }
    cluster.ready().await?;
    let variables = variables(&cluster).await?;
    for (name, value) in acknowledged.iter().flatten() {
        ensure!(
            variables.get(name) == Some(value),
            "{name}={value} was acknowledged and is lost"
        );
    }
    cluster.agreed_state(3).await?;
    let now = census::of(&cluster.dirs(), &[Role::Frontend]);
    ensure!(
        now == frontends,
        "frontends before: {frontends:?}, after: {now:?}"
    );
    // And they are governed again, not only alive.
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    cluster.end()
}

/// Sets variable after variable until told to stop; returns those that were acknowledged.
async fn write(cli: Cli, writer: usize, stop: &AtomicBool) -> BTreeMap<String, String> {
    let mut acknowledged = BTreeMap::new();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let (name, value) = (format!("KEY_{writer}_{turn}"), format!("value-{turn}"));
        let pair = format!("{name}={value}");
        let done = cli.run(&["env", "set", &pair, "-a", app::APP]).await;
        if done.is_ok_and(|output| output.code == 0) {
            acknowledged.insert(name, value);
        }
    }
    acknowledged
}

async fn acknowledged_reach(cluster: &Cluster, count: usize) -> Result<()> {
    fleet_cluster_tests::wait::until(
        "variables to be set",
        fleet_cluster_tests::wait::GENEROUS,
        async || {
            let now = variables(cluster).await?.len();
            ensure!(now >= count, "{now} are set");
            Ok(())
        },
    )
    .await
}

/// The agent first, for it would start the others again; frontends are left alone.
fn kill_all(cluster: &Cluster) -> Result<()> {
    for role in [Role::Agent, Role::Holder, Role::Control, Role::Ingress] {
        for node in &cluster.nodes {
            node.process(role)?.kill()?;
        }
    }
    Ok(())
}

async fn variables(cluster: &Cluster) -> Result<BTreeMap<String, String>> {
    let output = cluster
        .cli
        .ok(&["env", "-a", app::APP, "-o", "json"])
        .await?;
    let parsed: serde_json::Value =
        serde_json::from_str(&output.stdout).with_context(|| output.to_string())?;
    let variables = parsed.get("variables").unwrap_or(&parsed);
    serde_json::from_value(variables.clone()).with_context(|| output.to_string())
}
