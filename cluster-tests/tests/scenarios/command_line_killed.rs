//! kill -9 of the command line at any moment: what it had asked for happens once or not at all, and
//! what goes on goes on.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::Load;

#[tokio::test(flavor = "multi_thread")]
async fn the_activation_goes_on_without_it() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    let first = app::go_live(&cluster.cli, &mut sources, "one").await?;
    let second = app::go_live(&cluster.cli, &mut sources, "two").await?;
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();
    let api = cluster.api(0)?;

    // Killed a little later each time: before it connects, while it waits, after it was answered.
    for turn in 0..12_u32 {
        let target = if turn % 2 == 0 { &first } else { &second };
        let mut command =
            cluster
                .cli
                .spawn(&["env", "prod", "activate", target, "-a", app::APP, "--wait"])?;
        let moment = Duration::from_millis(u64::from(turn) * 8);
        // Ended by itself, or out of time: then it is killed.
        if tokio::time::timeout(moment, command.wait()).await.is_err() {
            command.kill().await?;
        }
        let description = wait::until("the rollout to end", wait::GENEROUS, async || {
            let description = api.environment(app::APP, "prod").await?;
            let phase = description.rollout.as_ref().map(|rollout| rollout.phase());
            ensure!(phase.is_none(), "it is in {phase:?}");
            Ok(description)
        })
        .await?;
        let active = description
            .environment
            .context("an environment")?
            .active_release;
        ensure!(active == first || active == second, "{active} is active");
    }
    // Whatever the last kill left, the environment obeys the next command.
    app::activate(&cluster.cli, &first).await?;
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.agreed_state(3).await?;
    cluster.end()
}
