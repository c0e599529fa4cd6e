//! A frontend dies by kill -9: requests that may be repeated are repeated elsewhere, the frontend is
//! replaced by a new incarnation, and nothing runs twice.

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::census::{self, Census};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::Load;

#[tokio::test(flavor = "multi_thread")]
async fn it_is_replaced_once_and_no_request_notices() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();
    load.more(100).await?;

    let mut census = Census::default();
    let before = census::of(&cluster.dirs(), &[Role::Frontend]);
    census.take(&before);
    let victim = before.iter().next().context("a frontend runs")?.clone();
    victim.kill()?;

    let api = cluster.api(0)?;
    wait::until(
        "the replacement to be healthy",
        wait::GENEROUS,
        async || {
            census.take(&census::of(&cluster.dirs(), &[Role::Frontend]));
            ensure!(!victim.is_alive(), "the killed process still runs");
            let now = census::of(&cluster.dirs(), &[Role::Frontend]);
            ensure!(now.len() == before.len(), "{} frontends run", now.len());
            let description = api.environment(app::APP, "prod").await?;
            let waiting: Vec<&str> = description
                .waiting
                .iter()
                .map(|w| w.text.as_str())
                .collect();
            ensure!(waiting.is_empty(), "waits for {waiting:?}");
            Ok(())
        },
    )
    .await?;
    load.more(200).await?;
    census.take(&census::of(&cluster.dirs(), &[Role::Frontend]));
    let started = census.started();
    ensure!(
        started.len() == 1,
        "one process was to be started: {started:?}"
    );
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.end()
}
