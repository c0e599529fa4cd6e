//! Activations in a row under clients of every kind: requests on kept connections, on new ones, on
//! HTTP/2 with and without TLS, and WebSockets. None fails, each answer is of a release that was
//! active, and WebSockets live for the drain time and are told when it is over.
//!
//! Twelve of them, or a hundred with `FLEET_LONG=1`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::binaries::source_root;
use fleet_cluster_tests::cluster::{Cluster, DOMAIN};
use fleet_cluster_tests::history::{Exchange, History};
use fleet_cluster_tests::node::Node;
use fleet_cluster_tests::repository::Repository;
use fleet_cluster_tests::sockets::{self, Life, Sockets};
use fleet_cluster_tests::switches::{Switch, Switches};
use fleet_cluster_tests::wait;
use fleet_cluster_tests::websocket::Heard;
use fleet_cluster_tests::workload::{Load, Manner, Running};
use rustls::{ClientConfig, RootCertStore};

pub(crate) const APP: &str = "life";
/// As its manifest says.
const DRAIN: Duration = Duration::from_secs(1);
/// A code of RFC 6455: the other side goes away.
const GOING_AWAY: Heard = Heard::Closed(Some(1001));
/// WebSockets at each ingress.
const SOCKETS: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn they_cost_no_request_and_websockets_live_for_the_drain_time() -> Result<()> {
    let turns = match std::env::var_os("FLEET_LONG") {
        Some(_) => 100,
        None => 12,
    };
    let cluster = Cluster::start(3).await?;
    // Three, so that an answer of the release before the last is seen while a switch is under way.
    let releases = live(&cluster, &["one", "two", "three"]).await?;
    let now = Instant::now();
    let mut switches = vec![Switch {
        release: releases[0].0.clone(),
        asked: now,
        acknowledged: now,
    }];
    let clients = Clients::start(&cluster).await?;
    clients.more(50).await?;

    let api = cluster.api(0)?;
    for turn in 1..=turns {
        let (label, release) = &releases[turn % releases.len()];
        let asked = Instant::now();
        let took = api.activate_until_confirmed(APP, "prod", release).await?;
        switches.push(Switch {
            release: label.clone(),
            asked,
            acknowledged: asked + took,
        });
        // WebSockets hold it back for the drain time, and no longer.
        let drained = asked.elapsed();
        ensure!(
            drained >= DRAIN && drained < DRAIN + wait::GENEROUS / 3,
            "the rollout was complete after {drained:?}"
        );
        clients.more(20).await?;
    }
    let (histories, lives) = clients.stop().await?;
    judge(&Switches(switches), &histories, &lives, turns)?;
    cluster.end()
}

#[allow(clippy::print_stdout, reason = "the figures are worth reading")]
fn judge(
    switches: &Switches,
    histories: &[(&str, History)],
    lives: &[Life],
    turns: usize,
) -> Result<()> {
    for (name, history) in histories {
        println!("{name:<16} {history}");
        ensure!(history.failed() == 0, "{name}: {history}");
        let answer = |e: &'_ Exchange| Some((e.sent, e.ended(), e.body()?.to_owned()));
        let answers: Vec<_> = history.exchanges.iter().filter_map(answer).collect();
        let verdict = switches.judge(
            answers
                .iter()
                .map(|(sent, ended, by)| (*sent, *ended, &**by)),
        );
        ensure!(verdict.wrong.is_empty(), "{name}: {:#?}", verdict.wrong);
        // A checker to which everything is allowed has seen nothing.
        ensure!(
            2 * verdict.certain > verdict.answers && history.bodies().len() == 3,
            "{name}: {verdict:?}, {:?}",
            history.bodies()
        );
    }
    let opened = lives
        .iter()
        .map(|life| (life.begun, life.opened, &*life.answered_by));
    let verdict = switches.judge(opened);
    ensure!(verdict.wrong.is_empty(), "{:#?}", verdict.wrong);
    let ended = lives.iter().filter(|life| life.ended.is_some()).count();
    println!(
        "{} WebSockets, {ended} ended by 1001 at the drain time, {} messages answered",
        lives.len(),
        lives.iter().map(|life| life.answers).sum::<usize>()
    );
    for life in lives {
        lived_as_long_as_it_should(switches, life)?;
    }
    // Each switch ends all that there are at that moment.
    ensure!(ended >= turns * SOCKETS, "only {ended} were ended");
    Ok(())
}

/// Not an instant less than the drain time after its release was replaced, and not much more.
fn lived_as_long_as_it_should(switches: &Switches, life: &Life) -> Result<()> {
    let (_, end) = switches
        .reign(&life.answered_by, life.begun, life.opened)
        .context("judged before")?;
    let Some((at, how)) = &life.ended else {
        return Ok(());
    };
    let end = end.with_context(|| format!("ended though its release was active: {life:?}"))?;
    ensure!(*how == GOING_AWAY, "it ended by {how:?}");
    ensure!(
        *at >= end.asked + DRAIN,
        "it ended {:?} after the switch was asked for",
        at.duration_since(end.asked)
    );
    ensure!(
        *at < end.acknowledged + DRAIN + wait::GENEROUS / 3,
        "it lived for {:?} after the switch",
        at.duration_since(end.acknowledged)
    );
    Ok(())
}

/// Clients of every kind: two hundred requests a second, and WebSockets.
pub(crate) struct Clients {
    loads: Vec<(&'static str, Running)>,
    sockets: Sockets,
    held: usize,
}

impl Clients {
    pub(crate) async fn start(cluster: &Cluster) -> Result<Self> {
        let tls = Manner::Http2OverTls(trusting_the_cluster(cluster).await?);
        let plain = cluster.ingresses();
        let secure: Vec<SocketAddr> = cluster.nodes.iter().map(Node::https).collect();
        let load = |path: &str, ingresses: &[SocketAddr], rate| Load {
            host: host(),
            path: path.to_owned(),
            ingresses: ingresses.to_vec(),
            rate,
        };
        let loads = vec![
            ("kept", load("/", &plain, 80).start()),
            (
                "new connections",
                load("/", &plain, 50).start_in(Manner::New),
            ),
            ("HTTP/2", load("/", &plain, 30).start_in(Manner::Http2)),
            ("HTTP/2 over TLS", load("/", &secure, 30).start_in(tls)),
            // Under way when the routes change.
            ("slow", load("/slow", &plain, 10).start()),
        ];
        let sockets = Sockets::hold(&plain, SOCKETS, &host(), "/");
        let held = plain.len() * SOCKETS;
        sockets::living(&sockets, held).await?;
        Ok(Self {
            loads,
            sockets,
            held,
        })
    }

    /// Waits for so many answers of each kind, and for every WebSocket to live.
    pub(crate) async fn more(&self, count: usize) -> Result<()> {
        sockets::living(&self.sockets, self.held).await?;
        for (_, load) in &self.loads {
            load.more(count / self.loads.len()).await?;
        }
        Ok(())
    }

    pub(crate) async fn stop(self) -> Result<(Vec<(&'static str, History)>, Vec<Life>)> {
        let mut histories = Vec::new();
        for (name, load) in self.loads {
            histories.push((name, load.stop().await?));
        }
        Ok((histories, self.sockets.stop().await?))
    }
}

pub(crate) fn host() -> String {
    format!("web.prod.{APP}.{DOMAIN}")
}

/// Releases of the app under these labels, all loaded, the first of them active.
pub(crate) async fn live(cluster: &Cluster, labels: &[&str]) -> Result<Vec<(String, String)>> {
    live_with(cluster, None, labels).await
}

/// The same with another manifest.
pub(crate) async fn live_with(
    cluster: &Cluster,
    manifest: Option<&str>,
    labels: &[&str],
) -> Result<Vec<(String, String)>> {
    let mut sources = Repository::create(&cluster.path().join(APP))?;
    sources.copy_from(&source_root().join("cluster-tests/fixtures/life"))?;
    if let Some(manifest) = manifest {
        sources.write("fleet.yml", manifest)?;
    }
    let cli = cluster.cli.in_dir(&sources.dir);
    cli.ok(&["apps", "create", APP]).await?;
    let mut releases = Vec::new();
    for label in labels {
        sources.write("VERSION", label)?;
        let name = sources.commit(label)?;
        cli.ok(&["release", "create", &name, "-a", APP, "--wait"])
            .await?;
        cli.ok(&["env", "prod", "load", &name, "-a", APP, "--wait"])
            .await?;
        releases.push(((*label).to_owned(), name));
    }
    cli.ok(&[
        "env",
        "prod",
        "activate",
        &releases[0].1,
        "-a",
        APP,
        "--wait",
    ])
    .await?;
    Ok(releases)
}

/// What clients of HTTPS believe that take the cluster's word, in HTTP/2.
async fn trusting_the_cluster(cluster: &Cluster) -> Result<Arc<ClientConfig>> {
    let pem = crate::certificates::the_clusters_own(cluster).await?;
    let mut store = RootCertStore::empty();
    for der in fleet_trust::certificates_from_pem(&pem)? {
        store.add(der)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
