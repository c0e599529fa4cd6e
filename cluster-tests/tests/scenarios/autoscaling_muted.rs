//! Whoever measures falls silent, or whoever decides dies: the count is held, the reason is said, and
//! when all are heard again it follows the load as before.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::api::Api;
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::scaling::{self, Counts, MANIFEST, MAX, MIN, RPS, described};
use fleet_cluster_tests::{faults, wait};
use fleet_proto::v1;

const CALM: u32 = 20;
/// What two frontends can carry, and more than they are meant for.
const MANY: u32 = 250;
const CROWD: u32 = 400;

/// From the last word to the first after it: longer than what a report can make up for (10 s), shorter
/// than what makes a worker lost and an ingress not waited for (15 s).
const SILENCE: Duration = Duration::from_secs(12);

/// The windows and when, after the crowd has gone, they say that fewer would do: first when the fast
/// one, which is looked for in the length of the slow one, has no crowd in it any more.
const FAST: Duration = Duration::from_secs(6);

/// What an ingress does not tell is missing until it has left the window, too: so long after the
/// window has left the crowd behind the count is still held, and without the silence it would not be.
const PUT_OFF: Duration = Duration::from_secs(8);

/// And what a busy machine adds.
const BACK_WITHIN: Duration = Duration::from_secs(120);

/// The crowd goes, and agent and ingress of a node stand still.
#[tokio::test(flavor = "multi_thread")]
async fn silence_lowers_nothing() -> Result<()> {
    let (cluster, _sources) = live().await?;
    let leader = cluster.leader().await?;
    let api = cluster.api(leader)?;
    let mute = (leader + 1) % 3;
    // Nobody asks the ingress that is going to be silent: that its silence may hide requests is all
    // that is known of it.
    let others: Vec<usize> = (0..3).filter(|index| *index != mute).collect();
    let load = scaling::load(&cluster, &others, CALM);
    // The long form has each alone, too.
    let rounds: &[&[Role]] = match std::env::var_os("FLEET_LONG") {
        None => &[&[Role::Agent, Role::Ingress]],
        Some(_) => &[
            &[Role::Agent, Role::Ingress],
            &[Role::Agent],
            &[Role::Ingress],
        ],
    };
    for silent in rounds {
        let wanted = CROWD.div_ceil(RPS);
        load.change_rate(CROWD);
        let crowded = reached(&api, wanted - 1).await?;
        load.change_rate(CALM);
        let gone = Instant::now();
        // An agent makes up for its silence as it speaks again: CPU time is a counter. So it is silent
        // while the count would come down. What an ingress counted may be of any time.
        let lossy = silent.contains(&Role::Ingress);
        if !lossy {
            let calm = window(&crowded)?.saturating_sub(FAST);
            stays(&api, crowded.desired, calm.saturating_sub(gone.elapsed())).await?;
        }
        let began = Instant::now();
        let node = &cluster.nodes[mute];
        let frozen: Vec<_> = silent
            .iter()
            .map(|role| faults::freeze(node, *role))
            .collect::<Result<_>>()?;
        let held = unheard(&api).await?;
        let rest = SILENCE.saturating_sub(began.elapsed());
        stays(&api, held.desired, rest).await?;
        drop(frozen);
        if lossy {
            let put_off = window(&held)? + PUT_OFF;
            stays(&api, held.desired, put_off.saturating_sub(gone.elapsed())).await?;
            let now = described(&api).await?;
            eprintln!("{silent:?} silent: {}\nlater: {}", held.next, now.next);
            ensure!(now.next.contains("missing in the window"), "{}", now.next);
        }
        scaling::wanted(&api, "the count to come back", BACK_WITHIN, |count| {
            count == MIN
        })
        .await?;
    }
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.end()
}

/// Waits until the leader says that it does not hear of all that it should.
async fn unheard(api: &Api) -> Result<v1::ScaledService> {
    wait::until("the silence to be noticed", wait::GENEROUS, async || {
        let now = described(api).await?;
        let mut signals = now.signals.iter();
        let deaf = signals.any(|signal| signal.heard < signal.expected);
        ensure!(
            deaf && now.next.contains("heard of lately"),
            "{}: {:?}",
            now.next,
            now.signals
        );
        Ok(now)
    })
    .await
}

/// How far back shrinking looks: what is shown for information is shown over that time.
fn window(service: &v1::ScaledService) -> Result<Duration> {
    let mut signals = service.signals.iter();
    let latency = signals.find(|signal| signal.name == "latency");
    let window = latency.context("no latency is shown")?.window_seconds;
    Ok(Duration::from_secs(window.into()))
}

async fn stays(api: &Api, count: u32, span: Duration) -> Result<()> {
    wait::holds_for(&format!("{count} wanted"), span, async || {
        let now = described(api).await?;
        ensure!(now.desired >= count, "{}: {}", now.desired, now.next);
        Ok(())
    })
    .await
}

/// The leader dies in the middle of growth. The next one has heard nothing yet: it takes no step
/// twice, and none back.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_leader_neither_repeats_nor_takes_back() -> Result<()> {
    let (cluster, _sources) = live().await?;
    let apis = (0..3).map(|index| cluster.api(index));
    let counts = Counts::watch(apis.collect::<Result<_>>()?);
    let load = scaling::load(&cluster, &[0, 1, 2], CALM);
    load.more(2 * CALM as usize).await?;
    load.change_rate(MANY);
    let leader = cluster.leader().await?;
    let api = cluster.api(leader)?;
    scaling::wanted(
        &api,
        "the count to begin to grow",
        wait::GENEROUS,
        |count| count > MIN,
    )
    .await?;
    let killed = faults::kill(&cluster.nodes[leader], Role::Control).await?;
    let next = wait::until("another leader", wait::GENEROUS, async || {
        let next = cluster.leader().await?;
        let moved = next != leader || faults_replaced(&cluster, leader, killed.pid);
        ensure!(moved, "it is still the one that was killed");
        Ok(next)
    })
    .await?;
    load.change_rate(CROWD);
    let api = cluster.api(next)?;
    let wanted = CROWD.div_ceil(RPS);
    reached(&api, wanted - 1).await?;
    faults::replaced(&cluster.nodes[leader], &killed).await?;
    cluster.ready().await?;

    let now = described(&api).await?;
    let history = load.stop().await?;
    let steps = scaling::steps(&counts.stop().await?);
    eprintln!("{steps:?}\n{}\n{history}", lines(&now));
    ensure!(history.failed() == 0, "{history}");
    ensure!(steps.is_sorted(), "it went back: {steps:?}");
    let top = steps.last().context("nobody saw a count")?;
    // A tenth more than the load asks for is within tolerance; a step taken twice is not.
    ensure!(*top <= (wanted + 1).min(MAX), "{steps:?}");
    let mut changes: Vec<_> = now.decisions.iter().filter(|d| d.from != d.to).collect();
    changes.reverse();
    for two in changes.windows(2) {
        ensure!(two[0].to == two[1].from, "{}", lines(&now));
    }
    cluster.end()
}

/// Three nodes with one release live that is scaled by its load.
async fn live() -> Result<(Cluster, Shop)> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    sources.repository.write("fleet.yml", MANIFEST)?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    Ok((cluster, sources))
}

async fn reached(api: &Api, count: u32) -> Result<v1::ScaledService> {
    wait::until(&format!("{count} frontends"), wait::GENEROUS, async || {
        let now = described(api).await?;
        ensure!(now.ready >= count, "{} are ready: {}", now.ready, now.next);
        Ok(now)
    })
    .await
}

fn faults_replaced(cluster: &Cluster, node: usize, pid: i32) -> bool {
    let now = cluster.nodes[node].process(Role::Control);
    now.is_ok_and(|process| process.pid != pid)
}

fn lines(service: &v1::ScaledService) -> String {
    let lines = service.decisions.iter().map(|d| d.line.as_str());
    lines.collect::<Vec<_>>().join("\n")
}
