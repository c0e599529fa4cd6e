//! What people's own programs speak, through the ingress to an app: gRPC by Python's grpcio, a
//! WebSocket client, curl in both versions, h2load.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::binaries::source_root;
use fleet_cluster_tests::cluster::{Cluster, DOMAIN};
use fleet_cluster_tests::python::{Environment, GRPC, WEBSOCKETS};
use fleet_cluster_tests::{wait, workload};
use tokio::process::Command;

const APP: &str = "orchard";

#[tokio::test(flavor = "multi_thread")]
async fn strangers_programs_find_their_protocols() -> Result<()> {
    let grpc = GRPC.python().await?;
    let cluster = Cluster::start(2).await?;
    live(&cluster, &grpc).await?;
    let ingress = cluster.nodes[1].http();

    let authority = host("api");
    let unknown = format!("nobody.{DOMAIN}");
    let script = fixture("grpc_client.py");
    done(Command::new(&grpc).args([&script, &ingress.to_string(), &authority, &unknown])).await?;
    match WEBSOCKETS.python().await {
        Ok(python) => {
            let script = fixture("websocket_client.py");
            done(Command::new(python).args([&script, &ingress.to_string(), &host("web")])).await?;
        }
        Err(error) => eprintln!("no WebSocket client of Python's: {error:#}"),
    }
    curl(ingress, &host("web")).await?;
    if !h2load(ingress, &host("web")).await? {
        eprintln!("h2load is not installed (package nghttp2-client): nothing is loaded with it");
    }

    domains(&cluster).await?;
    cluster.end()
}

/// Deploys the app: healthy by gRPC and by HTTP.
async fn live(cluster: &Cluster, grpc: &Path) -> Result<()> {
    let sources = cluster.path().join(APP);
    copy(
        &source_root().join("cluster-tests/fixtures/protocols"),
        &sources,
    )?;
    // The app brings the library along: frontends see nothing of the user who runs this.
    let packages = packages(grpc)?;
    copy(&packages.join("grpc"), &sources.join("lib/grpc"))?;
    std::fs::copy(
        packages.join("typing_extensions.py"),
        sources.join("lib/typing_extensions.py"),
    )?;
    let cli = cluster.cli.in_dir(&sources);
    cli.ok(&["apps", "create", APP]).await?;
    cli.ok(&["env", "set", "DOMAIN=apples.test", "-a", APP])
        .await?;
    cli.ok(&["deploy", "-a", APP]).await.map(drop)
}

/// A domain of one's own leads to the service, and belongs to one environment.
async fn domains(cluster: &Cluster) -> Result<()> {
    let ingress = cluster.nodes[0].http();
    wait::until("the domain to answer", wait::GENEROUS, async || {
        let answer = workload::get(ingress, "apples.test", "/").await;
        ensure!(answer.succeeded(), "{:?}", answer.outcome);
        Ok(())
    })
    .await?;
    let cli = cluster.cli.in_dir(&cluster.path().join(APP));
    cli.ok(&["env", "create", "staging", "-a", APP]).await?;
    cli.ok(&[
        "env",
        "set",
        "DOMAIN=apples.test",
        "-a",
        APP,
        "-e",
        "staging",
    ])
    .await?;
    let why = ["domain apples.test of service web belongs to environment prod of orchard"];
    let refused = ["deploy", "-a", APP, "-e", "staging"];
    cli.refused(3, &why, &refused).await.map(drop)
}

async fn curl(ingress: SocketAddr, host: &str) -> Result<()> {
    let page = format!("http://{host}:{}", ingress.port());
    let resolve = format!("{host}:{}:{}", ingress.port(), ingress.ip());
    let file = big_file()?;
    let upload = format!("@{}", file.path().display());
    for version in ["--http1.1", "--http2-prior-knowledge", "--http1.0"] {
        let asked = async |what: &[&str]| {
            let common = [
                "--silent",
                "--show-error",
                "--fail",
                "--max-time",
                "60",
                version,
            ];
            let curl = Command::new("curl")
                .args(common)
                .args(["--resolve", &resolve])
                .args(what)
                .stdin(Stdio::null())
                .output();
            let output = curl.await.context("running curl")?;
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            ensure!(output.status.success(), "curl {version} {what:?}: {errors}");
            anyhow::Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        };
        let events = asked(&["--no-buffer", &format!("{page}/events")]).await?;
        ensure!(events == "data: 0\n\ndata: 1\n\ndata: 2\n\n", "{events:?}");
        let sent = asked(&["--data-binary", &upload, &format!("{page}/upload")]).await?;
        ensure!(sent == UPLOAD.to_string(), "{version}: {sent}");
        // A cookie keeps the frontend.
        let jar = tempfile::NamedTempFile::new()?;
        let jar = jar.path().to_string_lossy().into_owned();
        let mut frontends = std::collections::BTreeSet::new();
        for _ in 0..6 {
            frontends.insert(asked(&["-b", &jar, "-c", &jar, &format!("{page}/")]).await?);
        }
        ensure!(frontends.len() == 1, "{version}: {frontends:?}");
    }
    let slow = workload::get(ingress, host, "/slow").await;
    ensure!(
        !slow.succeeded() && format!("{:?}", slow.outcome).contains("504"),
        "the manifest's timeout has no effect: {:?}",
        slow.outcome
    );
    Ok(())
}

/// Bytes of the upload: some hundred times what any buffer on the way holds.
const UPLOAD: usize = 8 << 20;

fn big_file() -> Result<tempfile::NamedTempFile> {
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(file.path(), vec![b'a'; UPLOAD])?;
    Ok(file)
}

/// A hundred streams at once, with the tool that people measure with; false where there is none.
async fn h2load(ingress: SocketAddr, host: &str) -> Result<bool> {
    let output = Command::new("h2load")
        .args(["-n", "2000", "-c", "4", "-m", "100"])
        .args(["-H", &format!(":authority: {host}")])
        .arg(format!("http://{ingress}/"))
        .stdin(Stdio::null())
        .output()
        .await;
    let Ok(output) = output else {
        return Ok(false);
    };
    let told = String::from_utf8_lossy(&output.stdout);
    ensure!(
        told.contains("2000 succeeded, 0 failed, 0 errored"),
        "{told}"
    );
    ensure!(told.contains("2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{told}");
    Ok(true)
}

async fn done(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().await?;
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {told}\n{errors}");
    ensure!(told.trim() == "done", "{told}");
    Ok(())
}

fn host(service: &str) -> String {
    format!("{service}.prod.{APP}.{DOMAIN}")
}

fn fixture(name: &str) -> String {
    let path = source_root()
        .join("cluster-tests/fixtures/protocols")
        .join(name);
    path.to_string_lossy().into_owned()
}

/// Where a virtual environment keeps its packages.
fn packages(python: &Path) -> Result<PathBuf> {
    let root = python.parent().and_then(Path::parent).context("no root")?;
    let lib = std::fs::read_dir(root.join("lib"))?;
    let version = lib.into_iter().next().context("no version of Python")??;
    Ok(version.path().join("site-packages"))
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_name() == Environment::COMPILED {
            continue;
        }
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &target)?,
            false => drop(std::fs::copy(entry.path(), target)?),
        }
    }
    Ok(())
}
