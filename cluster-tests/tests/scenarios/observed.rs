//! What the ingresses say of their work is what was asked of them: metrics and access logs are held
//! against the history of the load, over a switch of releases, a replaced ingress and a full disk.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::history::History;
use fleet_cluster_tests::node::Node;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::{self, Load};
use fleet_cluster_tests::{faults, wait};
use fleet_metrics::{PATH, Series};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

type Figures = BTreeMap<String, Series>;
/// Requests by the release that answered.
type ByRelease = BTreeMap<String, usize>;

const SETTINGS: &str = "access_log = \"all\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_is_what_was_done() -> Result<()> {
    let mut cluster = Cluster::start_configured(2, SETTINGS).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let load = Load {
        host: app::host("www"),
        path: format!("{}?secret=1", app::VERSION_PAGE),
        ingresses: cluster.ingresses(),
        rate: 60,
    }
    .start();
    load.more(120).await?;
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    load.more(120).await?;
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    let answers = by_release(&history)?;
    ensure!(answers.len() == 2, "no switch: {answers:?}");

    counted(&cluster, &answers).await?;
    logged(&cluster, &answers).await?;
    malformed(&cluster.nodes[1]).await?;
    control(&cluster).await?;
    replaced(&cluster).await?;
    full(&mut cluster).await?;
    cluster.end()
}

/// The sums of both ingresses are what was sent, for each release what it answered.
async fn counted(cluster: &Cluster, answers: &ByRelease) -> Result<()> {
    wait::until("every request to be counted", wait::GENEROUS, async || {
        let mut counted = ByRelease::new();
        let mut all = 0.0;
        for node in &cluster.nodes {
            let figures = figures(node.metrics()).await?;
            all += figures["fleet_ingress_requests_total"].sum(&[]);
            let releases = &figures["fleet_release_requests_total"];
            for sample in &releases.samples {
                let labels = ["app", "environment"].map(|name| sample.label(name));
                ensure!(labels == [Some(app::APP), Some("prod")], "{sample:?}");
                let release = sample.label("release").context("no release")?.to_owned();
                *counted.entry(release).or_default() += sample.value as usize;
            }
        }
        ensure!(
            counted == *answers,
            "{counted:?} are counted, {answers:?} answered"
        );
        ensure!(
            all == answers.values().sum::<usize>() as f64,
            "{all} in all"
        );
        Ok(())
    })
    .await
}

/// There is a line for each request, with the release that answered it.
async fn logged(cluster: &Cluster, answers: &ByRelease) -> Result<()> {
    wait::until("a line for every request", wait::GENEROUS, async || {
        let mut logged = ByRelease::new();
        for node in &cluster.nodes {
            for line in lines(node)? {
                ensure!(
                    line["status"] == 200 && line["path"] == app::VERSION_PAGE,
                    "{line}"
                );
                ensure!(!line.to_string().contains("secret"), "{line}");
                let release = line["release"].as_str().context("no release")?.to_owned();
                *logged.entry(release).or_default() += 1;
            }
        }
        ensure!(
            logged == *answers,
            "{logged:?} are logged, {answers:?} answered"
        );
        Ok(())
    })
    .await
}

/// What cannot be read as one request is no request, and is told apart.
async fn malformed(node: &Node) -> Result<()> {
    let before = figures(node.metrics()).await?;
    let mut client = TcpStream::connect(node.http()).await?;
    let both = "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n";
    let request = format!("POST / HTTP/1.1\r\nHost: {}\r\n{both}", app::host("www"));
    client.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    client.read_to_string(&mut answer).await?;
    ensure!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
    wait::until(
        "what was malformed to be counted",
        wait::GENEROUS,
        async || {
            let now = figures(node.metrics()).await?;
            let one = |figures: &Figures, name: &str| figures[name].sum(&[]);
            let malformed = one(&now, "fleet_ingress_connections_malformed_total");
            ensure!(malformed == 1.0, "{malformed} malformed");
            let requests =
                [&before, &now].map(|figures| one(figures, "fleet_ingress_requests_total"));
            ensure!(requests[0] == requests[1], "it counts as a request");
            Ok(())
        },
    )
    .await
}

/// The control processes agree on who leads, and on what runs.
async fn control(cluster: &Cluster) -> Result<()> {
    wait::until("one leader by the figures", wait::GENEROUS, async || {
        let mut leaders = 0.0;
        for node in &cluster.nodes {
            let mut address = node.metrics();
            address.set_port(address.port() + 1);
            let figures = figures(address).await?;
            leaders += figures["fleet_control_raft_leader"].sum(&[]);
            let running = figures["fleet_control_frontends"].sum(&[("state", "running")]);
            ensure!(running >= 2.0, "{running} frontends run");
            ensure!(figures["fleet_control_applied_index"].sum(&[]) > 0.0);
        }
        ensure!(leaders == 1.0, "{leaders} lead");
        Ok(())
    })
    .await
}

/// A new ingress begins at zero, and its lines go where those of the old one are.
async fn replaced(cluster: &Cluster) -> Result<()> {
    let node = &cluster.nodes[0];
    let before = node.process(Role::Ingress)?;
    let lines_before = lines(node)?.len();
    cluster.local(node).ok(&["node", "replace-ingress"]).await?;
    faults::gone(&before).await?;
    sent(node, 80).await?;
    wait::until("the lines of the new ingress", wait::GENEROUS, async || {
        let more = lines(node)?.len() - lines_before;
        ensure!(more == 80, "{more} lines");
        Ok(())
    })
    .await
}

/// A disk that is full costs lines, and no request.
async fn full(cluster: &mut Cluster) -> Result<()> {
    let node = &mut cluster.nodes[0];
    let before = node.process(Role::Ingress)?;
    node.configure(&format!("{SETTINGS}access_log_file = \"/dev/full\"\n"))?;
    faults::kill(node, Role::Agent).await?;
    node.start().await?;
    faults::gone(&before).await?;
    sent(node, 80).await?;
    wait::until("the lost lines to be counted", wait::GENEROUS, async || {
        let figures = figures(node.metrics()).await?;
        let lines = &figures["fleet_ingress_access_log_lines_total"];
        let [lost, written] = ["lost", "written"].map(|how| lines.sum(&[("result", how)]));
        ensure!(
            (lost, written) == (80.0, 0.0),
            "{lost} lost, {written} written"
        );
        Ok(())
    })
    .await
}

/// Sends to an ingress that has just begun, which counts just this.
async fn sent(node: &Node, requests: usize) -> Result<()> {
    let host = app::host("www");
    let history = workload::burst(node.http(), &host, app::VERSION_PAGE, 4, requests).await;
    ensure!(history.failed() == 0, "{history}");
    wait::until("what was sent to be counted", wait::GENEROUS, async || {
        let figures = figures(node.metrics()).await?;
        let counted = figures["fleet_ingress_requests_total"].sum(&[]);
        ensure!(
            counted == requests as f64,
            "{counted} of {requests} are counted"
        );
        Ok(())
    })
    .await
}

async fn figures(address: SocketAddr) -> Result<Figures> {
    let page = workload::get(address, "metrics", PATH).await;
    let page = page.body().with_context(|| format!("{:?}", page.outcome))?;
    // The workload takes the end of the last line away, as of every answer.
    Ok(fleet_metrics::read(&format!("{page}\n"))?)
}

fn lines(node: &Node) -> Result<Vec<Value>> {
    let text = std::fs::read_to_string(node.dir.join("ingress/access.log"))?;
    let lines = text.lines().map(serde_json::from_str);
    Ok(lines.collect::<Result<_, _>>()?)
}

fn by_release(history: &History) -> Result<ByRelease> {
    let mut answers = ByRelease::new();
    for exchange in &history.exchanges {
        let page: Value = serde_json::from_str(exchange.body().context("no answer")?)?;
        let release = page["release"].as_str().context("no release")?;
        *answers.entry(release.to_owned()).or_default() += 1;
    }
    Ok(answers)
}
