//! A new release is promoted while the load is growing: neither fights the other, every count stays in
//! its bounds, and no request fails.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::scaling::{self, Counts, MANIFEST, MIN, RPS, described};
use fleet_cluster_tests::wait;

const CALM: u32 = 20;
/// What two frontends can carry, and more than they are meant for: what queues up in front of those
/// that leave is not what this is about.
const CROWD: u32 = 250;

#[tokio::test(flavor = "multi_thread")]
async fn a_release_goes_live_while_the_count_grows() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    sources.repository.write("fleet.yml", MANIFEST)?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let cli = cluster.cli.in_dir(&sources.repository.dir);
    let guard = ["env", "guard", "prod", "3", "-a", app::APP];
    cli.ok(&guard).await?;
    cli.ok(&["env", "set", "TURN=two", "-a", app::APP]).await?;
    let apis = (0..3).map(|index| cluster.api(index));
    let counts = Counts::watch(apis.collect::<Result<_>>()?);
    let load = scaling::load(&cluster, &[0, 1, 2], CALM);
    load.more(2 * CALM as usize).await?;

    let api = cluster.api(0)?;
    load.change_rate(CROWD);
    scaling::wanted(
        &api,
        "the count to begin to grow",
        wait::GENEROUS,
        |count| count > MIN,
    )
    .await?;
    let began = Instant::now();
    let promote = ["releases", "promote", "-a", app::APP, "--wait"];
    let story = cli.ok(&promote).await?;
    let over = Instant::now();

    let wanted = CROWD.div_ceil(RPS);
    wait::until("the count to follow", wait::GENEROUS, async || {
        let now = described(&api).await?;
        ensure!(now.ready >= wanted, "{} are ready: {}", now.ready, now.next);
        Ok(())
    })
    .await?;
    let look = wait::until("a look after the rollout", wait::GENEROUS, async || {
        let seen = counts.so_far();
        let mut later = seen.iter().filter(|count| count.at > over);
        let after = later.find(|count| !count.rolling).copied();
        after.context("it is still under way for whoever looks")
    })
    .await?;
    let history = load.stop().await?;
    let seen = counts.stop().await?;
    eprintln!("{story}\n{:?}\n{history}", scaling::steps(&seen));
    ensure!(history.failed() == 0, "{history}");
    let rolling: Vec<_> = seen.iter().filter(|count| count.rolling).collect();
    ensure!(!rolling.is_empty(), "nobody saw the rollout");
    // Never fewer than half of what there was when it began, whatever came on top meanwhile.
    let before = seen.iter().rev().find(|count| count.at < began);
    let before = before.context("nothing was seen before")?.healthy;
    let least = rolling.iter().map(|count| count.healthy).min();
    ensure!(
        least >= Some(before.div_ceil(2)),
        "{least:?} of {before} were healthy"
    );
    // What was wanted when it began is wanted at its end, and whatever it is at: nothing shrinks.
    let peak = |until: Instant| {
        let earlier = seen.iter().filter(|count| count.at <= until);
        earlier.map(|count| count.desired).max()
    };
    let after = look.desired;
    ensure!(Some(after) >= peak(began), "{after} are wanted after it");
    cluster.end()
}
