//! A node is cut off from all others, but not from its users: it ends its singleton by itself before
//! another may start elsewhere, keeps everything else running, and what was replaced meanwhile is
//! drained when it is back. Requests through the ingresses that heard of it all go unhurt.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::lives::{self, Lives};
use fleet_cluster_tests::netns::{Fault, Lan};
use fleet_cluster_tests::process::{self, Process};
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{faults, wait};
use fleet_proto::v1;

/// The shop, and a service of which there may never be two.
pub(crate) const MANIFEST: &str = "\
services:
  www:
    command: [/usr/bin/python3, -I, -B, shop.py]
    port: 8000
    health: /health
  clock:
    command: [/usr/bin/python3, -I, -B, shop.py]
    port: 8002
    health: /health
    scale: 1
    singleton: true
";

/// Requests that could be on the wire at one moment, at fifty a second.
const UNDER_WAY: usize = 8;

/// A worker is lost after 15 s; then its frontends are replaced.
const LOST: Duration = Duration::from_secs(15);

#[tokio::test(flavor = "multi_thread")]
async fn its_singleton_never_lives_twice() -> Result<()> {
    if let Err(why) = Lan::possible() {
        eprintln!("SKIPPED: no network namespaces here, so nothing was shown: {why:#}");
        return Ok(());
    }
    let cluster = Cluster::start_apart(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    sources.repository.write("fleet.yml", MANIFEST)?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    app::limit(&cluster.cli, 3, 10).await?;
    count_of(&cluster, "www", 3, wait::GENEROUS).await?;

    let lives = Lives::watch(cluster.dirs(), "clock");
    let clock = count_of(&cluster, "clock", 1, wait::GENEROUS)
        .await?
        .remove(0);
    let victim = cluster
        .nodes
        .iter()
        .position(|node| node.name == clock.node);
    let victim = victim.with_context(|| format!("{} is no node of ours", clock.node))?;
    let others: Vec<usize> = (0..3).filter(|index| *index != victim).collect();
    let kept = service_on(&cluster, victim, "www");
    ensure!(!kept.is_empty(), "www does not run on node{}", victim + 1);
    let load = |ingresses: &[usize]| Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: ingresses.iter().map(|i| cluster.nodes[*i].http()).collect(),
        rate: 50,
    };
    let (outside, inside) = (load(&others).start(), load(&[victim]).start());
    outside.more(100).await?;
    inside.more(100).await?;

    let lan = cluster.lan()?;
    let fault = Fault::partition(lan, &cluster.nodes, [&[victim], &others])?;
    // A request under way there when the wire was cut is lost with it; nothing that came later is.
    let struck = Instant::now();
    let seconds = if std::env::var_os("FLEET_LONG").is_some() {
        60
    } else {
        24
    };
    let elsewhere = async {
        let clock = replaced(&cluster, &others, "clock", 1, &clock.node).await?;
        replaced(&cluster, &others, "www", 3, &clock).await
    };
    // Both, so that the cut lasts as long as it should.
    let (moved, lasted) = tokio::join!(elsewhere, lasting(&outside, seconds * 50));
    moved.and(lasted)?;
    ensure!(
        kept.iter().all(Process::is_alive),
        "www was ended on the node that was cut off"
    );
    // It has served its users all along, from what it can reach.
    let alone = inside.so_far();
    let lost = fault.heal(lan).await?;
    let healed = Instant::now();

    cluster.ready().await?;
    for process in &kept {
        faults::gone(process).await?;
    }
    count_of(&cluster, "www", 3, wait::GENEROUS).await?;
    count_of(&cluster, "clock", 1, wait::GENEROUS).await?;
    outside.more(100).await?;
    inside.more(100).await?;
    let (outside, inside) = (outside.stop().await?, inside.stop().await?);
    let lives = lives.stop()?;
    let gap = lives::apart(&lives)?.context("the singleton was never replaced")?;
    eprintln!("{lost} packets lost in {seconds} s; {lives:?}, {gap:?} apart");
    eprintln!("through the others: {outside}\nthrough the one cut off: {alone}");
    let (before, since) = (outside.failed(), outside.since(struck));
    ensure!(since.failed() == 0, "after the cut: {since}");
    let under_way = before - since.failed();
    ensure!(
        under_way <= UNDER_WAY,
        "{under_way} were under way: {outside}"
    );
    let after = inside.since(healed);
    ensure!(after.failed() == 0, "after the network was healed: {after}");
    drained_not_shot(&cluster, kept.len()).await?;
    cluster.end()
}

async fn lasting(load: &fleet_cluster_tests::workload::Running, requests: usize) -> Result<()> {
    let patience = Duration::from_secs(requests as u64 / 50) + wait::GENEROUS;
    load.more_within(requests, patience).await
}

/// Waits until a service has `count` healthy frontends, none of them on `not`; answers that name.
pub(crate) async fn replaced(
    cluster: &Cluster,
    asked: &[usize],
    service: &str,
    count: usize,
    not: &str,
) -> Result<String> {
    let what = format!("{service} away from {not}");
    wait::until(&what, LOST + wait::GENEROUS, async || {
        for index in asked {
            let Ok(all) = cluster.api(*index)?.frontends(app::APP).await else {
                continue;
            };
            let there = running(&all, service).filter(|one| one.node != not).count();
            ensure!(there == count, "{there} of {count}");
            return Ok(not.to_owned());
        }
        anyhow::bail!("nobody answers")
    })
    .await
}

pub(crate) async fn count_of(
    cluster: &Cluster,
    service: &str,
    count: usize,
    within: Duration,
) -> Result<Vec<v1::Process>> {
    wait::until(&format!("{count} of {service}"), within, async || {
        let leader = cluster.leader().await?;
        let all = cluster.api(leader)?.frontends(app::APP).await?;
        let mine: Vec<_> = all.iter().filter(|one| one.service == service).collect();
        let healthy: Vec<_> = running(&all, service).cloned().collect();
        ensure!(healthy.len() == count && mine.len() == count, "{mine:?}");
        Ok(healthy)
    })
    .await
}

fn running<'a>(all: &'a [v1::Process], service: &'a str) -> impl Iterator<Item = &'a v1::Process> {
    let healthy = v1::ProcessStatus::Running;
    all.iter()
        .filter(move |one| one.service == service && one.status() == healthy)
}

pub(crate) fn service_on(cluster: &Cluster, node: usize, service: &str) -> Vec<Process> {
    let all = cluster.nodes[node].frontends();
    let ours = |process: &Process| process.variable("SERVICE").as_deref() == Some(service);
    process::with_role(&all, process::Role::Frontend)
        .into_iter()
        .filter(ours)
        .collect()
}

/// Each copy that came back left routing first, and was stopped when nothing was sent to it any more.
async fn drained_not_shot(cluster: &Cluster, copies: usize) -> Result<()> {
    let leader = cluster.leader().await?;
    let events = cluster.api(leader)?.events().await?;
    let said = |words: &str| {
        let texts = events.iter().filter(|event| event.text.contains(words));
        texts.filter(|event| event.text.starts_with("www-")).count()
    };
    let left = said("leaves routing: another has taken its slot");
    let stopped = said("is being stopped: nothing is sent to it any more");
    ensure!(
        left >= copies && stopped >= copies,
        "{left} left routing and {stopped} were stopped of {copies} that came back"
    );
    Ok(())
}
