//! The leader's control process dies by kill -9 in the middle of an activation: the activation
//! completes under the next leader, the ingress of that node keeps serving, no request fails.

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{faults, wait};

#[tokio::test(flavor = "multi_thread")]
async fn the_activation_completes() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let next = sources.version("two")?;
    app::create_release(&shop, &next).await?;
    app::load(&shop, &next).await?;
    // Two more frontends for the outgoing release: warming the incoming one takes a moment, and
    // the leader dies within it.
    shop.ok(&[
        "env",
        "prod",
        "autoscaling",
        "desired",
        "active",
        "4",
        "-a",
        app::APP,
    ])
    .await?;
    healthy(&cluster, "one's", 4).await?;

    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();
    load.more(100).await?;
    let leader = cluster.leader().await?;
    let ingress = cluster.nodes[leader].process(Role::Ingress)?;

    shop.ok(&["env", "prod", "activate", &next, "-a", app::APP])
        .await?;
    let killed = faults::kill(&cluster.nodes[leader], Role::Control).await?;

    cluster.activated(app::APP, "prod", &next).await?;
    let after = wait::until(
        "answers of the new release alone",
        wait::GENEROUS,
        async || {
            let mark = std::time::Instant::now();
            load.more(60).await?;
            let recent = load.so_far().since(mark);
            ensure!(app::answers_of(&recent, "one") == 0, "{recent}");
            Ok(recent)
        },
    )
    .await?;
    ensure!(after.failed() == 0, "{after}");
    ensure!(
        ingress.is_alive(),
        "the ingress of the killed leader ended too"
    );
    faults::replaced(&cluster.nodes[leader], &killed).await?;
    cluster.ready().await?;
    cluster.agreed_state(3).await?;
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.end()
}

/// The others hear of its death from the machine it ran on, and do not wait for any timer: these are
/// so long that this test would not see the end of them.
#[tokio::test(flavor = "multi_thread")]
async fn its_death_is_noticed_at_once() -> Result<()> {
    let shortest = 4 * wait::GENEROUS;
    let minutes = format!(
        "[raft]\nelection_min_ms = {}\nelection_max_ms = {}\n",
        shortest.as_millis(),
        2 * shortest.as_millis()
    );
    let mut cluster = Cluster::start_configured(3, &minutes).await?;
    let leader = cluster.leader().await?;
    let killed = std::time::Instant::now();
    cluster.lose(leader)?;
    cluster.cli.ok(&["apps", "create", "after"]).await?;
    eprintln!("written {:?} after the leader was killed", killed.elapsed());
    ensure!(killed.elapsed() < shortest, "a timer was needed");
    cluster.end()
}

async fn healthy(cluster: &Cluster, whose: &str, count: u32) -> Result<()> {
    let api = cluster.api(0)?;
    wait::until(
        &format!("{whose} {count} frontends"),
        wait::GENEROUS,
        async || {
            let description = api.environment(app::APP, "prod").await?;
            let active = description.releases.iter().find(|release| release.active);
            let now = active.map(|release| release.frontends);
            ensure!(now == Some(count), "{now:?} are healthy");
            Ok(())
        },
    )
    .await
}
