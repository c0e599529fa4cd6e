//! The load grows twentyfold and goes away again: the count follows it within its bounds and comes
//! back, no request fails, and answers are as quick at the end as they were before.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::scaling::{self, Counts, MANIFEST, MAX, MIN, RPS, described};
use fleet_cluster_tests::wait;

const CALM: u32 = 20;
const CROWD: u32 = 400;

/// The window that shrinking looks at is at most a minute long, and its memory ten seconds.
const BACK_WITHIN: Duration = Duration::from_secs(180);

#[tokio::test(flavor = "multi_thread")]
async fn the_count_follows_the_load() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    sources.repository.write("fleet.yml", MANIFEST)?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let apis = (0..3).map(|index| cluster.api(index));
    let counts = Counts::watch(apis.collect::<Result<_>>()?);
    let load = scaling::load(&cluster, &[0, 1, 2], CALM);
    load.more(2 * CALM as usize).await?;
    let calm = load.so_far().percentile(0.95);

    let grew = Instant::now();
    load.change_rate(CROWD);
    let wanted = CROWD.div_ceil(RPS);
    let api = cluster.api(0)?;
    let ready = wait::until("the count to follow", wait::GENEROUS, async || {
        let now = described(&api).await?;
        // A load that is a tenth above what the count is for changes nothing.
        ensure!(
            now.ready + 1 >= wanted,
            "{} are ready: {}",
            now.ready,
            now.next
        );
        Ok(now.ready)
    })
    .await?;
    let took = grew.elapsed();
    // What has queued up before there was room is served first.
    let recovered = wait::until("quick answers", wait::GENEROUS, async || {
        let mark = Instant::now();
        load.more(CROWD as usize).await?;
        let p95 = load.since(mark).percentile(0.95);
        // Twice and a half of what a customer takes who waits for nobody, on a busy machine.
        ensure!(
            p95 < calm * 5 / 2 + Duration::from_millis(50),
            "95 % within {p95:?}"
        );
        Ok(p95)
    })
    .await?;
    if std::env::var_os("FLEET_LONG").is_some() {
        // The long form: the crowd stays for a while, and nothing moves.
        let stay = Duration::from_secs(180);
        wait::holds_for("the count", stay, async || {
            let now = described(&api).await?;
            ensure!(
                now.desired + 1 >= wanted,
                "{} are wanted: {}",
                now.desired,
                now.next
            );
            Ok(())
        })
        .await?;
    }

    load.change_rate(CALM);
    wait::until("the count to come back", BACK_WITHIN, async || {
        let now = described(&api).await?;
        ensure!(
            now.desired == MIN,
            "{} are wanted: {}",
            now.desired,
            now.next
        );
        ensure!(now.ready == MIN, "{} are ready", now.ready);
        Ok(())
    })
    .await?;
    load.more(CALM as usize).await?;
    let history = load.stop().await?;
    let seen = counts.stop().await?;
    let more = seen
        .iter()
        .find(|count| count.at > grew && count.desired > MIN);
    let noticed = more.context("nobody saw it grow")?.at - grew;
    let steps = scaling::steps(&seen);
    eprintln!(
        "{steps:?}; more were wanted after {noticed:.1?}, {ready} ready after {took:.1?}, then 95 % \
         within {recovered:.1?}\n{history}"
    );
    ensure!(history.failed() == 0, "{history}");
    let top = steps.iter().copied().max().unwrap_or_default();
    ensure!((wanted - 1..=MAX).contains(&top), "{steps:?}");
    // Up once, down once: a count that swings would do so more often.
    let turns = steps.windows(3).filter(|three| {
        let (before, after) = (three[0].cmp(&three[1]), three[1].cmp(&three[2]));
        before != after
    });
    ensure!(turns.count() == 1, "{steps:?}");
    tells_why(&cluster, top).await?;
    cluster.end()
}

/// Every change is in the log of the release and in the history, with its numbers.
async fn tells_why(cluster: &Cluster, top: u32) -> Result<()> {
    // Not of the leader alone: any node answers.
    let api = cluster.api((cluster.leader().await? + 1) % 3)?;
    let now = described(&api).await?;
    let changes: Vec<_> = now.decisions.iter().filter(|d| d.to != d.from).collect();
    ensure!(changes.iter().any(|d| d.to == top), "{changes:?}");
    ensure!(changes.first().is_some_and(|d| d.to == MIN), "{changes:?}");
    let log = api.log(app::APP, "prod", "autoscaling-logs").await?;
    let events = api.events().await?;
    for change in changes {
        let line = change.line.as_str();
        ensure!(line.contains(" requests "), "{line:?} names no signal");
        ensure!(line.contains("bounds 2 to 10"), "{line:?} names no bounds");
        let logged = log.iter().any(|logged| logged.text.contains(line));
        ensure!(logged, "{line:?} is missing in {log:?}");
        let told = events.iter().any(|event| event.text.contains(line));
        ensure!(told, "{line:?} is missing in the history");
    }
    Ok(())
}
