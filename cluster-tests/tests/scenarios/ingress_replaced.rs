//! An ingress is replaced on purpose: a new process takes over the sockets, the old one finishes its
//! requests, nothing is refused.

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::faults;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::Load;

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let quick = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();
    // Requests that are under way when the old process is told to go.
    let slow = Load {
        host: app::host("www"),
        path: "/slow?ms=700".to_owned(),
        ingresses: cluster.ingresses(),
        rate: 10,
    }
    .start();
    slow.more(10).await?;
    for node in &cluster.nodes {
        let before = node.process(Role::Ingress)?;
        cluster.local(node).ok(&["node", "replace-ingress"]).await?;
        faults::gone(&before).await?;
        let after = node.process(Role::Ingress)?;
        ensure!(after.pid != before.pid, "the same process still serves");
        quick.more(100).await?;
    }
    slow.more(10).await?;
    for load in [quick, slow] {
        let history = load.stop().await?;
        ensure!(history.failed() == 0, "{history}");
    }
    cluster.end()
}
