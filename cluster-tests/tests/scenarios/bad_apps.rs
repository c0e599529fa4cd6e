//! Apps that never listen, end at once, or fail their check: the release goes from LOADING to FAILED
//! with their last lines, and the active release is not touched.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{census, wait};
use fleet_proto::v1::LoadedStatus;

/// A frontend has 60 s to become healthy, and the judgement some more.
const PATIENCE: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn a_release_that_cannot_run_fails_and_says_why() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "good").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let api = cluster.api(0)?;
    let before = census::of(&cluster.dirs(), &[Role::Frontend]);
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 60,
    }
    .start();

    for (fault, last_line) in [
        ("exit", "exits at once, as FAIL asks"),
        ("unhealthy", "listens on"),
        ("never-listen", "is not going to listen, as FAIL asks"),
    ] {
        shop.ok(&["env", "set", &format!("FAIL={fault}"), "-a", app::APP])
            .await?;
        let name = sources.version(fault)?;
        app::create_release(&shop, &name).await?;
        shop.ok(&["env", "prod", "load", &name, "-a", app::APP])
            .await?;
        let reason = wait::until(&format!("{fault} to fail"), PATIENCE, async || {
            let description = api.environment(app::APP, "prod").await?;
            let release = description.releases.into_iter();
            let release = release.into_iter().find(|release| release.name == name);
            let release = release.context("the release is loaded")?;
            let status = release.status();
            ensure!(status == LoadedStatus::Failed, "it is {status:?}");
            Ok(release.reason)
        })
        .await?;
        ensure!(
            reason.contains(last_line),
            "{fault}: no last lines in {reason:?}"
        );
        if fault == "exit" {
            ensure!(
                reason.contains("status 1"),
                "how it ended is not told: {reason:?}"
            );
        }
        shop.refused(3, &[], &["env", "prod", "activate", &name, "-a", app::APP])
            .await?;
        shop.ok(&["env", "prod", "unload", &name, "-a", app::APP, "--wait"])
            .await?;
    }

    let after = census::of(&cluster.dirs(), &[Role::Frontend]);
    ensure!(
        after == before,
        "the active release was touched: {before:?}, {after:?}"
    );
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    ensure!(
        app::answers_of(&history, "good") == history.sent(),
        "{:?}",
        history.bodies()
    );
    cluster.end()
}
