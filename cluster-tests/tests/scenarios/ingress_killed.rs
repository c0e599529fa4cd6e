//! An ingress dies by kill -9: connections made meanwhile wait in the backlog of the socket, which
//! the holder keeps, and only requests that were inside the killed process may fail.

use std::time::Instant;

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::faults;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::{self, Load};

#[tokio::test(flavor = "multi_thread")]
async fn only_requests_inside_it_may_fail() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let elsewhere = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses()[1..].to_vec(),
        rate: 60,
    }
    .start();
    elsewhere.more(60).await?;

    let node = &cluster.nodes[0];
    let killed = faults::kill(node, Role::Ingress).await?;
    // Nobody accepts yet, and still nobody is refused.
    let began = Instant::now();
    let first = workload::get(node.http(), &app::host("www"), app::VERSION_PAGE).await;
    ensure!(
        first.succeeded(),
        "the first request after the kill: {:?}",
        first.outcome
    );
    ensure!(
        app::version_in(first.body().unwrap_or_default()) == "one",
        "the new ingress knows the routes before it accepts: {first:?}"
    );
    let now = faults::replaced(node, &killed).await?;
    ensure!(
        now.pid != killed.pid,
        "answered after {:?} by a dead process",
        began.elapsed()
    );

    let again = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: vec![node.http()],
        rate: 60,
    }
    .start();
    again.more(120).await?;
    for load in [again, elsewhere] {
        let history = load.stop().await?;
        ensure!(history.failed() == 0, "{history}");
    }
    // It is a full member again: an activation waits for it and gets its confirmation.
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    let answer = workload::get(node.http(), &app::host("www"), app::VERSION_PAGE).await;
    ensure!(
        app::version_in(answer.body().unwrap_or_default()) == "two",
        "{answer:?}"
    );
    cluster.end()
}
