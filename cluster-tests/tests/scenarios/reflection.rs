//! Python's grpcio, with nothing but server reflection, lists environments and activates a release.

use std::path::Path;
use std::process::Stdio;

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::python::GRPC;
use fleet_cluster_tests::workload;
use tokio::process::Command;

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_needs_no_files_of_ours() -> Result<()> {
    let python = GRPC.python().await?;
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
