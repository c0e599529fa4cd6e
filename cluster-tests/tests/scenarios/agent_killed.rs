//! An agent dies by kill -9 under load: control, ingress and frontends keep running with the same
//! pids, the agent that comes back adopts them, and no request notices.

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{census, faults, wait};

const SURVIVORS: [Role; 4] = [Role::Holder, Role::Control, Role::Ingress, Role::Frontend];

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_survives_and_is_adopted() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
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

    for index in 0..cluster.nodes.len() {
        let before = census::of(&cluster.dirs(), &SURVIVORS);
        faults::kill(&cluster.nodes[index], Role::Agent).await?;
        load.more(200).await?;
        census::unchanged(&before, &census::of(&cluster.dirs(), &SURVIVORS))?;

        cluster.nodes[index].start().await?;
        cluster.ready().await?;
        load.more(100).await?;
        census::unchanged(&before, &census::of(&cluster.dirs(), &SURVIVORS))?;
    }

    // The adopted frontends are still ours to end: a new count is reached on every node.
    app::limit(&cluster.cli, 3, 10).await?;
    let api = cluster.api(0)?;
    wait::until("three frontends of www", wait::GENEROUS, async || {
        let description = api.environment(app::APP, "prod").await?;
        let healthy = description
            .releases
            .first()
            .map(|release| release.frontends);
        ensure!(healthy == Some(3), "{healthy:?} are healthy");
        Ok(())
    })
    .await?;
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.end()
}
