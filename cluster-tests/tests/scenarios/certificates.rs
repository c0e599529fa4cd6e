//! HTTPS at the ingresses of a real cluster: the cluster's own certificate, one that an operator
//! brings, bad ones, replacement under load, sessions that move from one ingress to another, and keys
//! that lie open nowhere but where they are used.

pub(crate) mod client;
mod material;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::{faults, process::Role, wait, workload};

use self::client::Client;
use self::material::{Files, Made};

const USAGE: i32 = 2;
const REFUSED: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn hosts_show_what_they_are_given_and_no_handshake_fails() -> Result<()> {
    let cluster = Cluster::start(2).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let files = Files::in_dir(cluster.path().join("pem"))?;

    the_clusters_own_is_believed(&cluster).await?;
    bad_ones_are_refused(&cluster, &files).await?;
    let first = Made::server(&[&app::host("www")])?;
    given_to_an_environment(&cluster, &files, &first).await?;
    sessions_move(&cluster, &first).await?;
    let last = replaced_under_load(&cluster, &files, first).await?;
    keys_lie_nowhere_else(&cluster, &last)?;
    an_ingress_starts_with_its_certificates(&cluster, &last).await?;
    cluster.end()
}

/// The certificate that the cluster makes for itself, once it has.
pub(crate) async fn the_clusters_own(cluster: &Cluster) -> Result<String> {
    wait::until(
        "the cluster's own certificate",
        wait::GENEROUS,
        async || {
            let shown = cluster.cli.ok(&["cert", "show", "self-signed"]).await?;
            Ok(shown.stdout)
        },
    )
    .await
}

/// What `cert show` prints is all that a client needs, at any ingress.
async fn the_clusters_own_is_believed(cluster: &Cluster) -> Result<()> {
    let pem = the_clusters_own(cluster).await?;
    let client = Client::trusting_pem(&[&pem])?;
    for node in &cluster.nodes {
        wait::until(
            "the own certificate to be shown",
            wait::GENEROUS,
            async || {
                let (status, body) = client
                    .get(node.https(), &app::host("www"), app::VERSION_PAGE)
                    .await?;
                ensure!(
                    status == 200 && app::version_in(&body) == "one",
                    "{status} {body}"
                );
                Ok(())
            },
        )
        .await?;
        // No environment redirects while it has no certificate that anybody believes.
        let plain = workload::get(node.http(), &app::host("www"), app::VERSION_PAGE).await;
        ensure!(plain.succeeded(), "{:?}", plain.outcome);
    }
    Ok(())
}

/// Each is refused with its block, and nothing of it is kept.
async fn bad_ones_are_refused(cluster: &Cluster, files: &Files) -> Result<()> {
    let host = app::host("www");
    let (one, other) = (Made::server(&[&host])?, Made::server(&[&host])?);
    let (chained, expired) = (Made::chained(&[&host])?, Made::expired(&[&host])?);
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let [low, high] = &chained.chain;
    let backwards = format!("{high}{low}");
    let cases = [
        (
            &one.pem,
            "",
            other.key.as_str(),
            "the private key block does not belong to the certificate",
        ),
        (
            &expired.pem,
            "",
            &expired.key,
            "the certificate block expired",
        ),
        (
            &chained.server.pem,
            &*backwards,
            &chained.server.key,
            "the chain block is in the wrong order",
        ),
        (
            &one.pem,
            "",
            encrypted,
            "the private key block is encrypted",
        ),
        (
            &chained.high.pem,
            "",
            &chained.high.key,
            "the certificate block is the certificate of an authority",
        ),
    ];
    for (certificate, chain, key, sentence) in cases {
        let paths = files.write(certificate, chain, key)?;
        let refused = cluster
            .cli
            .refused(USAGE, &[sentence], &paths.add("bad", &[]))
            .await?;
        let secret = key.lines().nth(1).unwrap_or_default();
        ensure!(
            !refused.stderr.contains(secret),
            "it echoes the key: {refused}"
        );
    }
    let listed = cluster.cli.ok(&["cert", "list"]).await?.stdout;
    ensure!(!listed.contains("bad"), "{listed}");
    let refused = ["env", "cert", "prod", "bad", "-a", "shop"];
    cluster
        .cli
        .refused(4, &["there is no certificate \"bad\""], &refused)
        .await?;
    // The daemons are as they were.
    let answer = workload::get(cluster.nodes[0].http(), &host, app::VERSION_PAGE).await;
    ensure!(answer.succeeded(), "{:?}", answer.outcome);
    Ok(())
}

async fn given_to_an_environment(cluster: &Cluster, files: &Files, made: &Made) -> Result<()> {
    let paths = files.write(&made.pem, "", &made.key)?;
    cluster.cli.ok(&paths.add("shop", &[])).await?;
    let twice = paths.add("shop", &[]);
    cluster
        .cli
        .refused(
            REFUSED,
            &["there is a certificate shop", "--replace"],
            &twice,
        )
        .await?;
    cluster
        .cli
        .ok(&["env", "prod", "cert", "shop", "-a", "shop"])
        .await?;
    let described = cluster
        .cli
        .ok(&["env", "describe", "prod", "-a", "shop"])
        .await?
        .stdout;
    ensure!(described.contains("ssl certificate   shop"), "{described}");
    let client = Client::trusting_pem(&[&made.pem])?;
    for node in &cluster.nodes {
        wait::until("the certificate to be shown", wait::GENEROUS, async || {
            client
                .get(node.https(), &app::host("www"), app::VERSION_PAGE)
                .await
        })
        .await?;
        let head = client::plain_head(node.http(), &app::host("www"), "/a?b").await?;
        let port = node.https().port();
        let location = format!("location: https://{}:{port}/a?b", app::host("www"));
        ensure!(
            head.starts_with("HTTP/1.1 308") && head.contains(&location),
            "{head}"
        );
    }
    let used = ["cert", "remove", "shop"];
    cluster
        .cli
        .refused(REFUSED, &["certificate shop serves shop/prod"], &used)
        .await?;
    cluster
        .cli
        .ok(&["env", "prod", "redirect", "off", "-a", "shop"])
        .await?;
    Ok(())
}

/// A ticket of one ingress is good at the other: their keys are the cluster's.
async fn sessions_move(cluster: &Cluster, made: &Made) -> Result<()> {
    let client = Client::trusting_pem(&[&made.pem])?.remembering();
    let [one, other] = [0, 1].map(|index| cluster.nodes[index].https());
    // The first tickets may be older than the keys; then there is a second look.
    wait::until("a session to move", wait::GENEROUS, async || {
        client.get(one, &app::host("www"), "/").await?;
        ensure!(
            client.resumes(other, &app::host("www")).await?,
            "a full handshake"
        );
        Ok(())
    })
    .await
}

/// Clients of both ingresses shake hands while the certificate is replaced, and all succeed.
async fn replaced_under_load(cluster: &Cluster, files: &Files, first: Made) -> Result<Made> {
    const TIMES: usize = 20;
    let mut all = vec![first];
    for _ in 0..TIMES {
        all.push(Made::server(&[&app::host("www")])?);
    }
    let pems: Vec<&str> = all.iter().map(|made| made.pem.as_str()).collect();
    let client = Client::trusting_pem(&pems)?;
    let over = Arc::new(AtomicBool::new(false));
    let load: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| {
            let (client, over, address) = (client.clone(), Arc::clone(&over), node.https());
            tokio::spawn(async move {
                let mut answered = 0_u32;
                while !over.load(Ordering::SeqCst) {
                    let (status, _) = client
                        .get(address, &app::host("www"), app::VERSION_PAGE)
                        .await?;
                    ensure!(status == 200, "status {status}");
                    answered += 1;
                }
                anyhow::Ok(answered)
            })
        })
        .collect();
    for made in &all[1..] {
        let paths = files.write(&made.pem, "", &made.key)?;
        cluster.cli.ok(&paths.add("shop", &["--replace"])).await?;
    }
    let last = all.pop().context("there is one")?;
    let newest = Client::trusting_pem(&[&last.pem])?;
    for node in &cluster.nodes {
        wait::until(
            "the last certificate to be shown",
            wait::GENEROUS,
            async || newest.get(node.https(), &app::host("www"), "/").await,
        )
        .await?;
    }
    over.store(true, Ordering::SeqCst);
    for task in load {
        let answered = task.await?.context("a handshake or a request failed")?;
        ensure!(answered > 10, "only {answered} requests in all that time");
    }
    Ok(last)
}

/// The state, the log of commands, snapshots and the lines that daemons wrote hold no open key.
fn keys_lie_nowhere_else(cluster: &Cluster, made: &Made) -> Result<()> {
    let mut found = Vec::new();
    for node in &cluster.nodes {
        search(&node.dir, &made.secret, &mut found)?;
    }
    let logs = cluster.logs();
    ensure!(
        !logs.contains(made.key.lines().nth(1).unwrap_or_default()),
        "a daemon wrote a key"
    );
    let expected = |path: &&std::path::PathBuf| path.ends_with("ingress/table.pb");
    let elsewhere: Vec<_> = found.iter().filter(|path| !expected(path)).collect();
    ensure!(elsewhere.is_empty(), "the key lies open in {elsewhere:?}");
    // The search can find something.
    ensure!(
        found.len() == cluster.nodes.len(),
        "found only in {found:?}"
    );
    Ok(())
}

fn search(dir: &Path, secret: &[u8], found: &mut Vec<std::path::PathBuf>) -> Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let kind = std::fs::symlink_metadata(&path)?;
        if kind.is_dir() {
            search(&path, secret, found)?;
        } else if kind.is_file()
            // Files come and go while daemons run.
            && let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(secret.len()).any(|window| window == secret)
        {
            found.push(path);
        }
    }
    Ok(())
}

async fn an_ingress_starts_with_its_certificates(cluster: &Cluster, made: &Made) -> Result<()> {
    let client = Client::trusting_pem(&[&made.pem])?;
    let node = &cluster.nodes[1];
    let killed = faults::kill(node, Role::Ingress).await?;
    // The connection waits in the backlog of the socket, which the holder keeps.
    let (status, _) = client
        .get(node.https(), &app::host("www"), app::VERSION_PAGE)
        .await?;
    ensure!(status == 200, "status {status}");
    faults::replaced(node, &killed).await?;
    Ok(())
}
