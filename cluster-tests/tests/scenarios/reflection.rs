//! Python's grpcio, with nothing but server reflection, lists environments and activates a release.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::workload;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_needs_no_files_of_ours() -> Result<()> {
    let python = python_with_grpc().await?;
    let cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let next = sources.version("two")?;
    app::create_release(&shop, &next).await?;
    app::load(&shop, &next).await?;

    let script = Path::new("fixtures/reflection.py");
    let authorities = cluster.nodes[0].dir.join("trust/authorities.pem");
    let authorities = authorities.to_string_lossy().into_owned();
    let output = Command::new(python)
        .arg(script)
        .args([
            &cluster.nodes[0].api().to_string(),
            &cluster.keys.operator_token,
            &authorities,
            app::APP,
            &next,
        ])
        .stdin(Stdio::null())
        .output()
        .await?;
    let told = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{told}\n{errors}");
    ensure!(told.contains("environment prod"), "{told}");
    ensure!(told.contains("done"), "{told}");
    let answer = workload::get(
        cluster.nodes[0].http(),
        &app::host("www"),
        app::VERSION_PAGE,
    )
    .await;
    ensure!(
        app::version_in(answer.body().unwrap_or_default()) == "two",
        "{answer:?}"
    );
    cluster.end()
}

/// A virtual environment with grpcio, kept in the cache for the next run.
async fn python_with_grpc() -> Result<PathBuf> {
    let dir = cache_dir()?.join("python-grpc");
    let python = dir.join("bin/python");
    if imports(&python).await {
        return Ok(python);
    }
    run(Command::new("/usr/bin/python3")
        .args(["-m", "venv", "--clear"])
        .arg(&dir))
    .await?;
    run(Command::new(&python).args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "grpcio",
        "grpcio-reflection",
    ]))
    .await?;
    ensure!(
        imports(&python).await,
        "grpcio was installed and cannot be imported"
    );
    Ok(python)
}

async fn imports(python: &Path) -> bool {
    let probe = Command::new(python)
        .args(["-c", "import grpc, grpc_reflection"])
        .output()
        .await;
    probe.is_ok_and(|output| output.status.success())
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {errors}",
        output.status
    );
    Ok(())
}

fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("FLEET_CACHE_DIR") {
        return Ok(PathBuf::from(dir));
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(PathBuf::from(home).join(".cache/fleet"))
}
