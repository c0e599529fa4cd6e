//! An ingress is replaced on purpose: a new process takes over the sockets, the old one finishes its
//! requests, WebSockets go on, nothing is refused.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::{self, Role};
use fleet_cluster_tests::sockets::Life;
use fleet_cluster_tests::websocket::{Heard, WebSocket};
use fleet_cluster_tests::{faults, wait};

use crate::activations::{self, Clients};

/// How long an old process lets WebSockets live (docs/ingress.md).
const DRAIN: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn no_request_fails() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    activations::live(&cluster, &["one"]).await?;
    let clients = Clients::start(&cluster).await?;
    clients.more(100).await?;
    let mut replaced = Vec::new();
    for node in &cluster.nodes {
        let mut socket = WebSocket::open(node.http(), &activations::host(), "/").await?;
        heard(&mut socket).await?;
        let (asked, before) = (Instant::now(), node.process(Role::Ingress)?);
        cluster.local(node).ok(&["node", "replace-ingress"]).await?;
        let serving = process::with_role(&node.processes(), Role::Ingress);
        ensure!(
            serving.iter().any(|process| process.pid != before.pid),
            "only {serving:?}"
        );
        // New connections are answered by the new process, this one still by the old.
        clients.more(100).await?;
        heard(&mut socket).await?;
        replaced.push((node.http(), asked, before, socket));
    }
    let (histories, lives) = clients.stop().await?;
    for (name, history) in &histories {
        println!("{name:<16} {history}");
        ensure!(history.failed() == 0, "{name}: {history}");
    }
    for life in &lives {
        let its = replaced.iter().find(|(at, ..)| *at == life.ingress);
        lived_as_long_as_it_should(life, its.map(|(_, asked, ..)| *asked))?;
    }
    for (_, asked, before, socket) in replaced {
        // It waits for its last client, who leaves now.
        let alive = before.is_alive();
        ensure!(
            alive || asked.elapsed() >= DRAIN,
            "it left its client behind"
        );
        drop(socket);
        faults::gone(&before).await?;
    }
    cluster.end()
}

async fn heard(socket: &mut WebSocket) -> Result<()> {
    socket.say("who?").await?;
    let heard = tokio::time::timeout(wait::GENEROUS, socket.hear()).await;
    let heard = heard.context("no answer")??;
    ensure!(heard == Heard::Text("one".to_owned()), "{heard:?}");
    Ok(())
}

/// To the end of the test, or to the deadline of its process, and then it was told.
fn lived_as_long_as_it_should(life: &Life, replaced: Option<Instant>) -> Result<()> {
    let Some((at, how)) = &life.ended else {
        return Ok(());
    };
    let asked = replaced.context("its process stayed")?;
    ensure!(*how == Heard::Closed(Some(1001)), "it ended by {how:?}");
    ensure!(
        *at >= asked + DRAIN,
        "it ended {:?} after its process was replaced",
        at.duration_since(asked)
    );
    Ok(())
}
