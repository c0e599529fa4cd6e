//! `fleetd stop` ends a whole node on purpose: requests under way are answered, and nothing is left
//! behind, neither a process nor a cgroup. Started again, the node serves again.

use std::path::PathBuf;

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::{wait, workload};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_behind() -> Result<()> {
    let mut cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let ingress = cluster.nodes[0].http();
    let running = cluster.nodes[0].processes();
    let groups: Vec<PathBuf> = running
        .iter()
        .flat_map(|process| process.cgroups())
        .filter(|group| group.components().any(|part| is_fleets(part.as_os_str())))
        .collect();

    // An answer of which the first lines have come and the rest is still being made.
    let mut under_way = TcpStream::connect(ingress).await?;
    let request = format!(
        "GET /stream?ms=1500 HTTP/1.1\r\nHost: {}\r\n\r\n",
        app::host("www")
    );
    under_way.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    while !contains(&answer, "1 of 10") {
        let read = under_way.read_buf(&mut answer).await?;
        ensure!(
            read > 0,
            "ended early: {}",
            String::from_utf8_lossy(&answer)
        );
    }
    cluster.nodes[0].stop().await?;
    under_way.read_to_end(&mut answer).await?;
    let text = String::from_utf8_lossy(&answer);
    ensure!(
        text.contains("10 of 10"),
        "a request under way was cut: {text}"
    );
    let left = cluster.nodes[0].processes();
    ensure!(left.is_empty(), "left behind: {left:?}");
    for group in groups {
        ensure!(!group.exists(), "left behind: {}", group.display());
    }

    cluster.nodes[0].start().await?;
    cluster.ready().await?;
    wait::until("the shop to answer again", wait::GENEROUS, async || {
        let answer = workload::get(ingress, &app::host("www"), app::VERSION_PAGE).await;
        ensure!(answer.succeeded(), "{:?}", answer.outcome);
        Ok(())
    })
    .await?;
    cluster.end()
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes
        .windows(text.len())
        .any(|window| window == text.as_bytes())
}

fn is_fleets(part: &std::ffi::OsStr) -> bool {
    part.to_string_lossy().starts_with("fleet-")
}
