//! Certificates from an authority, by both ways of asking: given and renewed, the authority's
//! questions answered by the ingress of a node that ordered nothing; a leader killed in between; a
//! refusal that is told in the authority's words.

mod pebble;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, APP, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::{faults, wait};
use serde_json::Value;

use self::pebble::{BLOCKED, Pebble};
use crate::certificates::client::{Client, plain_head};

/// The domain of prod, which its certificate is ordered for without anybody saying so.
const DOMAIN: &str = "shop.example.org";
const OTHER: &str = "other.example.org";

/// By a page and by a handshake.
const BOTH: [&str; 2] = ["pages", "shakes"];

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_given_and_renewed_whoever_leads_and_whoever_is_asked() -> Result<()> {
    if let Some(missing) = pebble::missing() {
        eprintln!("{missing} is not installed (package pebble): nothing is ordered");
        return Ok(());
    }
    let cluster = Cluster::start(3).await?;
    with_a_domain(&cluster).await?;
    let leader = cluster.leader().await?;
    // Whatever the authority asks, it asks a node that does not lead.
    let asked = &cluster.nodes[(leader + 1) % 3];
    let pebble = Pebble::start(cluster.path(), asked.http(), asked.https()).await?;
    let told = all_of_it(&cluster, &pebble, leader).await;
    told.with_context(|| pebble.log())?;
    drop(pebble);
    cluster.end()
}

async fn all_of_it(cluster: &Cluster, pebble: &Pebble, leader: usize) -> Result<()> {
    ordered(cluster, pebble).await?;
    for name in BOTH {
        given(cluster, name).await?;
    }
    ensure!(
        cluster.leader().await? == leader,
        "another node leads: who ordered and who answered may be the same"
    );
    shown(cluster, pebble).await?;
    refused(cluster, pebble).await?;

    // Neither maintenance nor the redirection, which is on by now, is in the way of a renewal; and
    // what one leader ordered another renews, with the account that is in the state.
    cluster
        .cli
        .ok(&["env", "prod", "maintenance", "ON", "-a", APP])
        .await?;
    faults::kill(&cluster.nodes[leader], Role::Control).await?;
    tokio::try_join!(renewed(cluster, BOTH[0]), renewed(cluster, BOTH[1]))?;
    cluster
        .cli
        .ok(&["env", "prod", "maintenance", "OFF", "-a", APP])
        .await?;
    shown(cluster, pebble).await?;
    told(cluster).await
}

async fn with_a_domain(cluster: &Cluster) -> Result<()> {
    let mut sources = Shop::create(cluster.path())?;
    let path = sources.repository.dir.join("fleet.yml");
    let manifest = std::fs::read_to_string(&path)?;
    let port = "    port: 8000\n";
    ensure!(manifest.contains(port), "another manifest: {manifest}");
    let with = manifest.replace(port, &format!("{port}    domain: {DOMAIN}\n"));
    sources.repository.write("fleet.yml", &with)?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    Ok(())
}

/// One for the domain of its environment, by pages; one for a host that is named, by handshakes.
async fn ordered(cluster: &Cluster, pebble: &Pebble) -> Result<()> {
    let [pages, shakes] = BOTH;
    let directory = pebble.directory();
    let ca = pebble.server_ca.display().to_string();
    let from = ["--acme", "--directory", &directory, "--directory-ca", &ca];
    let add = |name| [&["cert", "add", name], &from[..]].concat();
    let mail = ["--email", "ops@example.org"];
    let said = cluster.cli.ok(&[&add(pages)[..], &mail].concat()).await?;
    ensure!(
        said.stdout
            .contains("waits for an environment with a domain"),
        "{said}"
    );
    let named = ["--challenge", "tls-alpn-01", "--domain", OTHER];
    cluster.cli.ok(&[&add(shakes)[..], &named].concat()).await?;
    cluster
        .cli
        .ok(&["env", "prod", "cert", pages, "-a", APP])
        .await?;
    Ok(())
}

/// What is known of a certificate.
async fn look(cluster: &Cluster, name: &str) -> Result<Value> {
    let said = cluster
        .cli
        .ok(&["cert", "show", name, "-o", "json"])
        .await?;
    Ok(serde_json::from_str(&said.stdout)?)
}

fn chain(seen: &Value) -> &str {
    seen["chain"].as_str().unwrap_or_default()
}

/// Waits for the first of a name, or for the cluster to say which is its last.
async fn given(cluster: &Cluster, name: &str) -> Result<String> {
    wait::until(&format!("{name} to be given"), wait::GENEROUS, async || {
        let seen = look(cluster, name).await?;
        ensure!(!chain(&seen).is_empty(), "{seen}");
        let issuer = seen["issuer"].as_str().unwrap_or_default();
        ensure!(issuer.starts_with("Pebble"), "{seen}");
        Ok(chain(&seen).to_owned())
    })
    .await
}

/// Waits for another in the place of the one there is now.
async fn renewed(cluster: &Cluster, name: &str) -> Result<()> {
    let first = given(cluster, name).await?;
    let within = wait::GENEROUS + std::time::Duration::from_secs(pebble::LIFE.into());
    wait::until(&format!("{name} to be renewed"), within, async || {
        let seen = look(cluster, name).await?;
        ensure!(chain(&seen) != first.as_str(), "{seen}");
        ensure!(seen["acme"]["failures"] == 0, "{seen}");
        Ok(())
    })
    .await
}

/// Every ingress shows it to who believes the authority, and sends plain HTTP there.
async fn shown(cluster: &Cluster, pebble: &Pebble) -> Result<()> {
    let client = Client::trusting_pem(&[&pebble.root().await?])?;
    for node in &cluster.nodes {
        wait::until("the certificate to be shown", wait::GENEROUS, async || {
            let answer = client.get(node.https(), DOMAIN, app::VERSION_PAGE).await;
            let (status, body) = answer?;
            ensure!(
                status == 200 && app::version_in(&body) == "one",
                "{status} {body}"
            );
            let head = plain_head(node.http(), DOMAIN, "/").await?;
            ensure!(head.starts_with("HTTP/1.1 308"), "{head}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

/// What is refused is told, in a list and as an event, and not asked for again at once.
async fn refused(cluster: &Cluster, pebble: &Pebble) -> Result<()> {
    let directory = pebble.directory();
    let add = ["cert", "add", "blocked", "--acme", "--domain", BLOCKED];
    cluster
        .cli
        .ok(&[&add[..], &["--directory", &directory]].concat())
        .await?;
    let seen = wait::until("a refusal", wait::GENEROUS, async || {
        let seen = look(cluster, "blocked").await?;
        ensure!(seen["acme"]["failures"] == 1, "{seen}");
        Ok(seen)
    })
    .await?;
    let error = seen["acme"]["last_error"].as_str().unwrap_or_default();
    ensure!(error.starts_with("rejectedIdentifier: "), "{seen}");
    ensure!(seen["acme"]["state"] == "due", "{seen}");
    let listed = cluster.cli.ok(&["cert", "list"]).await?.stdout;
    ensure!(
        listed.contains("tried again") && listed.contains("rejectedIdentifier"),
        "{listed}"
    );
    Ok(())
}

async fn told(cluster: &Cluster) -> Result<()> {
    let events = cluster.cli.ok(&["events"]).await?.stdout;
    for sentence in [
        "certificate pages issued",
        "certificate pages renewed",
        "certificate shakes renewed",
        "certificate blocked was not issued: rejectedIdentifier",
    ] {
        ensure!(events.contains(sentence), "{sentence}: {events}");
    }
    // The one account that was made when the first order needed it.
    let seen = look(cluster, BOTH[0]).await?;
    ensure!(seen["acme"]["email"] == "ops@example.org", "{seen}");
    Ok(())
}
