//! Everything loses its power at once. When it is back, no control process can start: the apps come up
//! all the same, where the ingresses know them from their last table. Then control starts, and finds
//! nothing to change.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::{self, Load};
use fleet_cluster_tests::{census, faults, wait};

#[tokio::test(flavor = "multi_thread")]
async fn apps_come_up_before_control_does() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    app::limit(&cluster.cli, 3, 10).await?;
    let wanted = 4;
    wait::until("all frontends", wait::GENEROUS, async || {
        let leader = cluster.leader().await?;
        let there = cluster.api(leader)?.frontends(app::APP).await?;
        let healthy = there
            .iter()
            .filter(|one| one.status() == fleet_proto::v1::ProcessStatus::Running);
        let healthy = healthy.count();
        ensure!(healthy == wanted, "{healthy} of {wanted} are healthy");
        Ok(())
    })
    .await?;
    let told = told_of_frontends(&cluster).await?;
    let before = census::of(&cluster.dirs(), &[Role::Frontend]);

    for node in &cluster.nodes {
        faults::power_off(node).await?;
    }
    // Nothing can listen where control has to.
    let taken: Vec<TcpListener> = cluster
        .nodes
        .iter()
        .map(|node| TcpListener::bind(node.api()).context("taking the port of control"))
        .collect::<Result<_>>()?;
    for index in 0..cluster.nodes.len() {
        cluster.nodes[index].start().await?;
    }
    for ingress in cluster.ingresses() {
        for service in ["www", "admin"] {
            let host = app::host(service);
            let what = format!("{host} through {ingress}");
            wait::until(&what, wait::GENEROUS, async || {
                let answer = workload::get(ingress, &host, app::VERSION_PAGE).await;
                ensure!(answer.succeeded(), "{:?}", answer.failure());
                let body = answer.body().unwrap_or_default();
                ensure!(app::version_in(body) == "one", "{body}");
                Ok(())
            })
            .await
            .with_context(|| cluster.logs())?;
        }
    }
    let up = wait::until("every frontend", wait::GENEROUS, async || {
        let up = census::of(&cluster.dirs(), &[Role::Frontend]);
        ensure!(up.len() == wanted, "{up:?}");
        Ok(up)
    })
    .await?;
    ensure!(up.is_disjoint(&before), "a process outlived the power");
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();
    load.more(300).await?;
    let api = cluster.api(0)?;
    ensure!(api.status().await.is_err(), "control was not held back");

    drop(taken);
    cluster.ready().await?;
    cluster.agreed_state(3).await?;
    load.more_within(300, Duration::from_secs(60)).await?;
    census::unchanged(&up, &census::of(&cluster.dirs(), &[Role::Frontend]))?;
    let now = told_of_frontends(&cluster).await?;
    let news: Vec<_> = now.difference(&told).collect();
    ensure!(news.is_empty(), "control changed something: {news:?}");
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    // And they are governed again, not only alive.
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    cluster.end()
}

/// What the history says of frontends.
async fn told_of_frontends(cluster: &Cluster) -> Result<BTreeSet<(u64, u32, String)>> {
    let leader = cluster.leader().await?;
    let events = cluster.api(leader)?.events().await?;
    let ours = events
        .into_iter()
        .filter(|event| event.text.starts_with("www-") || event.text.starts_with("admin-"));
    Ok(ours
        .map(|event| (event.log_index, event.ordinal, event.text))
        .collect())
}
