//! Rollback to a loaded release is a change of routing: one entry in the log for the switch, no
//! process started.

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::census::{self, Census};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::Load;
use fleet_proto::v1;

#[tokio::test(flavor = "multi_thread")]
async fn it_starts_nothing_and_commits_one_switch() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    let first = app::go_live(&cluster.cli, &mut sources, "one").await?;
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();
    load.more(100).await?;

    let mut census = Census::default();
    census.take(&census::of(&cluster.dirs(), &[Role::Frontend]));
    let api = cluster.api(0)?;
    let leader = cluster.api(cluster.leader().await?)?;
    let before = leader.status().await?;

    let answer = api
        .environments()
        .activate(v1::ActivateRequest {
            request_id: "rollback-1".to_owned(),
            app: app::APP.to_owned(),
            environment: "prod".to_owned(),
            release: first.clone(),
            now: false,
        })
        .await?
        .into_inner();
    let goal = answer.receipt.and_then(|receipt| receipt.wait);
    api.wait(goal).await?;
    census.take(&census::of(&cluster.dirs(), &[Role::Frontend]));

    let after = leader.status().await?;
    let generations = after.route_generation - before.route_generation;
    ensure!(
        generations == 1,
        "{generations} route tables for one switch"
    );
    // The command, the switch, and what ends the rollout (confirmed, drained).
    let entries = after.committed_index - before.committed_index;
    ensure!(
        (2..=4).contains(&entries),
        "{entries} log entries for a rollback"
    );
    let started = census.started();
    ensure!(started.is_empty(), "a rollback started {started:?}");

    let mark = std::time::Instant::now();
    load.more(100).await?;
    census.take(&census::of(&cluster.dirs(), &[Role::Frontend]));
    ensure!(
        census.started().is_empty(),
        "started afterwards: {:?}",
        census.started()
    );
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    ensure!(
        app::answers_of(&history.since(mark), "two") == 0,
        "the release before answered"
    );
    cluster.end()
}
