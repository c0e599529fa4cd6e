//! What people do to a running release by hand: restart it, scale it, give it more memory, cancel a
//! promotion. None of it costs a request.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cli::Cli;
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::Load;
use fleet_proto::v1::ProcessStatus;

#[tokio::test(flavor = "multi_thread")]
async fn it_costs_no_request() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();

    let before = frontends(&cluster, 2).await?;
    shop.ok(&["restart", "-a", app::APP, "--wait"]).await?;
    let restarted = frontends(&cluster, 2).await?;
    ensure!(
        before.is_disjoint(&restarted),
        "{before:?} were to be replaced, {restarted:?} run"
    );

    shop.ok(&["scale", "www", "--count", "4", "-a", app::APP, "--wait"])
        .await?;
    let scaled = frontends(&cluster, 4).await?;
    ensure!(
        restarted.is_subset(&scaled),
        "{restarted:?} were to stay, {scaled:?} run"
    );
    shop.ok(&["scale", "www", "--count", "2", "-a", app::APP, "--wait"])
        .await?;
    let shrunk = frontends(&cluster, 2).await?;
    shop.ok(&["scale", "www", "--memory", "256", "-a", app::APP, "--wait"])
        .await?;
    wait::until("frontends of the new size", wait::GENEROUS, async || {
        let resized = frontends(&cluster, 2).await?;
        ensure!(shrunk.is_disjoint(&resized), "{shrunk:?}, then {resized:?}");
        Ok(())
    })
    .await?;
    shop.refused(
        4,
        &["did you mean"],
        &["scale", "wwv", "--count", "3", "-a", app::APP],
    )
    .await?;

    cancel(&cluster, &shop).await?;
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.end()
}

/// A promotion that is cancelled while it is watched leaves the release that was there.
async fn cancel(cluster: &Cluster, shop: &Cli) -> Result<()> {
    let api = cluster.api(0)?;
    let active = async || {
        let description = api.environment(app::APP, "prod").await?;
        let releases = description.releases.into_iter();
        let names: Vec<String> = releases.filter(|r| r.active).map(|r| r.name).collect();
        anyhow::Ok(names)
    };
    let before = active().await?;
    shop.ok(&["env", "set", "COLOUR=red", "-a", app::APP])
        .await?;
    let promotion = shop.spawn(&["releases", "promote", "-a", app::APP])?;
    wait::until("the takeover", wait::GENEROUS, async || {
        let now = active().await?;
        ensure!(now != before, "{now:?} is active");
        Ok(())
    })
    .await?;
    shop.ok(&["apps", "cancel", "-a", app::APP]).await?;
    let told = promotion.wait_with_output().await?;
    let complaint = String::from_utf8_lossy(&told.stderr);
    ensure!(
        told.status.code() == Some(1) && complaint.contains("cancelled by"),
        "{told:?}"
    );
    wait::until("the release from before", wait::GENEROUS, async || {
        let description = api.environment(app::APP, "prod").await?;
        let now = active().await?;
        ensure!(now == before, "{now:?} is active, {before:?} was");
        ensure!(description.releases.len() == 1, "another is still loaded");
        Ok(())
    })
    .await?;
    frontends(cluster, 2).await.map(drop)
}

/// Names of the frontends of `www`, once there are `count` and all are healthy.
async fn frontends(cluster: &Cluster, count: usize) -> Result<BTreeSet<String>> {
    let api = cluster.api(0)?;
    let what = format!("{count} healthy frontends of www");
    wait::until(&what, wait::GENEROUS, async || {
        let all = api.frontends(app::APP).await?;
        let www: Vec<_> = all.into_iter().filter(|f| f.service == "www").collect();
        let healthy = www.iter().filter(|f| f.status() == ProcessStatus::Running);
        ensure!(
            healthy.count() == count && www.len() == count,
            "{} are there",
            www.len()
        );
        Ok(www.into_iter().map(|f| f.id).collect())
    })
    .await
}
