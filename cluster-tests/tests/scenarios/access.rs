//! An environment is closed and opened by its whitelist while it is asked all the time, on connections
//! that stay open: from one acknowledgement to the next command, every answer is as was acknowledged. An
//! ingress that dies while no control is there starts with the whitelist it had.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cli::Cli;
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::history::Outcome;
use fleet_cluster_tests::{faults, process::Role, wait, workload};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufStream};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

/// How often it is closed, and opened again.
const TURNS: usize = 15;
/// From one request of a connection to the next.
const PACE: Duration = Duration::from_millis(4);
const LOOPBACK: &str = "127.0.0.0/8";

#[tokio::test(flavor = "multi_thread")]
async fn no_answer_is_wrong_once_a_change_is_acknowledged() -> Result<()> {
    let cluster = Cluster::start(2).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    made_and_given(&cluster.cli).await?;
    closed_and_opened_under_load(&cluster).await?;
    limited(&cluster).await?;
    remembered_without_control(&cluster).await?;
    cluster.end()
}

async fn made_and_given(cli: &Cli) -> Result<()> {
    cli.ok(&["whitelist", "create", "office"]).await?;
    let refused = ["whitelist", "allow", "office", "127.0.0.1/8"];
    cli.refused(2, &["bits beyond its prefix", LOOPBACK], &refused)
        .await?;
    cli.ok(&["whitelist", "allow", "office", LOOPBACK]).await?;
    cli.ok(&["whitelist", "allow", "office", "2001:db8::7"])
        .await?;
    let given = ["env", "whitelist", "prod", "office", "-a", "shop", "--wait"];
    cli.ok(&given).await?;
    let said = cli.ok(&["whitelist", "describe", "office"]).await?.stdout;
    ensure!(said == " - 127.0.0.0/8\n - 2001:db8::7/128\n", "{said}");
    let listed = cli.ok(&["whitelist", "list"]).await?.stdout;
    ensure!(
        listed.contains("office     2/50     yes       no"),
        "{listed}"
    );
    let described = ["env", "describe", "prod", "-a", "shop"];
    let described = cli.ok(&described).await?.stdout;
    ensure!(
        described.contains("whitelist         office"),
        "{described}"
    );
    let destroyed = ["whitelist", "destroy", "office"];
    cli.refused(3, &["shop/prod"], &destroyed).await?;
    Ok(())
}

/// What was answered, and when it was asked.
struct Answered {
    asked: Instant,
    ended: Instant,
    status: u16,
}

/// From the acknowledgement of a change to the next command.
struct Stretch {
    from: Instant,
    to: Instant,
    status: u16,
}

async fn closed_and_opened_under_load(cluster: &Cluster) -> Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let asking: Vec<_> = cluster
        .ingresses()
        .into_iter()
        .flat_map(|ingress| [ingress; 2])
        .map(|ingress| ask_all_the_time(ingress, Arc::clone(&stop)))
        .collect();
    let mut stretches = Vec::new();
    for _ in 0..TURNS {
        for (verb, status) in [("revoke", 403), ("allow", 200)] {
            let change = ["whitelist", verb, "office", LOOPBACK, "--wait"];
            cluster.cli.ok(&change).await?;
            let from = Instant::now();
            // Connections that are made anew are answered so too.
            for ingress in cluster.ingresses() {
                let answer = workload::get(ingress, &app::host("www"), app::VERSION_PAGE).await;
                let Outcome::Answered { status: got, .. } = answer.outcome else {
                    bail!("{answer:?} after {verb}");
                };
                ensure!(got == status, "{got} instead of {status} after {verb}");
            }
            let to = Instant::now();
            stretches.push(Stretch { from, to, status });
        }
    }
    stop.store(true, Ordering::SeqCst);
    let mut judged = 0;
    for task in asking {
        for answer in task.await?? {
            ensure!(
                [200, 403].contains(&answer.status),
                "status {}",
                answer.status
            );
            let within = stretches
                .iter()
                .find(|stretch| stretch.from <= answer.asked && answer.ended <= stretch.to);
            if let Some(stretch) = within {
                judged += 1;
                ensure!(
                    answer.status == stretch.status,
                    "{} instead of {} on an open connection",
                    answer.status,
                    stretch.status
                );
            }
        }
    }
    // Each stretch lasts for some requests at least.
    ensure!(
        judged >= stretches.len(),
        "only {judged} answers within stretches"
    );
    Ok(())
}

/// Asks again and again on one connection, which is never replaced.
fn ask_all_the_time(
    ingress: SocketAddr,
    stop: Arc<AtomicBool>,
) -> JoinHandle<Result<Vec<Answered>>> {
    tokio::spawn(async move {
        let mut stream = BufStream::new(TcpStream::connect(ingress).await?);
        let host = app::host("www");
        let request = format!("GET {} HTTP/1.1\r\nHost: {host}\r\n\r\n", app::VERSION_PAGE);
        let mut answers = Vec::new();
        let mut pace = tokio::time::interval(PACE);
        while !stop.load(Ordering::SeqCst) {
            pace.tick().await;
            let asked = Instant::now();
            stream.write_all(request.as_bytes()).await?;
            stream.flush().await?;
            let status = tokio::time::timeout(wait::GENEROUS, answer(&mut stream)).await??;
            answers.push(Answered {
                asked,
                ended: Instant::now(),
                status,
            });
        }
        Ok(answers)
    })
}

/// The status of the next response, whose body is read.
async fn answer(stream: &mut BufStream<TcpStream>) -> Result<u16> {
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let status = line.split(' ').nth(1).context("the connection ended")?;
    let status = status.parse()?;
    let (mut length, mut chunked) = (0, false);
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let line = line.trim().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(number) = line.strip_prefix("content-length: ") {
            length = number.parse()?;
        }
        chunked |= line == "transfer-encoding: chunked";
    }
    ensure!(!chunked, "the sample app says how long its answers are");
    stream.read_exact(&mut vec![0; length]).await?;
    Ok(status)
}

/// A limit takes effect, is shown, and goes again.
async fn limited(cluster: &Cluster) -> Result<()> {
    let limits = |rate| {
        [
            "env",
            "limits",
            "prod",
            "--address-rate",
            rate,
            "-a",
            "shop",
            "--wait",
        ]
    };
    cluster.cli.ok(&limits("1,2")).await?;
    let described = ["env", "describe", "prod", "-a", "shop"];
    let said = cluster.cli.ok(&described).await?.stdout;
    ensure!(
        said.contains("limits by address  1 a second (2 at once)"),
        "{said}"
    );
    let ingress = cluster.nodes[0].http();
    let mut refused = 0;
    for _ in 0..10 {
        let answer = workload::get(ingress, &app::host("www"), app::VERSION_PAGE).await;
        refused += usize::from(matches!(
            answer.outcome,
            Outcome::Answered { status: 429, .. }
        ));
    }
    ensure!(refused > 0, "ten requests in a row at one a second");
    cluster.cli.ok(&limits("off")).await?;
    for _ in 0..10 {
        let answer = workload::get(ingress, &app::host("www"), app::VERSION_PAGE).await;
        ensure!(answer.succeeded(), "{answer:?}");
    }
    Ok(())
}

/// Nobody is there to ask, and the new process refuses whom the old one refused.
async fn remembered_without_control(cluster: &Cluster) -> Result<()> {
    let closed = ["whitelist", "revoke", "office", LOOPBACK, "--wait"];
    cluster.cli.ok(&closed).await?;
    let frozen: Vec<_> = cluster
        .nodes
        .iter()
        .map(|node| faults::freeze(node, Role::Control))
        .collect::<Result<_>>()?;
    let node = &cluster.nodes[0];
    let killed = faults::kill(node, Role::Ingress).await?;
    let answer = workload::get(node.http(), &app::host("www"), app::VERSION_PAGE).await;
    ensure!(
        matches!(answer.outcome, Outcome::Answered { status: 403, .. }),
        "{answer:?}"
    );
    faults::replaced(node, &killed).await?;
    drop(frozen);
    wait::until("control to be back", wait::GENEROUS, async || {
        cluster.cli.ok(&["whitelist", "list"]).await
    })
    .await?;
    let opened = ["whitelist", "allow", "office", LOOPBACK, "--wait"];
    cluster.cli.ok(&opened).await?;
    let answer = workload::get(node.http(), &app::host("www"), app::VERSION_PAGE).await;
    ensure!(answer.succeeded(), "{answer:?}");
    Ok(())
}
