//! A release is made from a git object, from a directory, and from an archive file; a release that
//! nobody loads can be destroyed.

use std::process::Command;

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;

#[tokio::test(flavor = "multi_thread")]
async fn commits_directories_and_archives_become_releases() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    let commit = sources.version("one")?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    shop.ok(&["apps", "create", app::APP]).await?;

    app::create_release(&shop, "HEAD").await?;
    let listed = shop.ok(&["release", "list", "-a", app::APP]).await?.stdout;
    let row = listed.lines().find(|line| line.starts_with(&commit));
    ensure!(row.is_some_and(|row| row.contains("AVAILABLE")), "{listed}");
    ensure!(
        row.is_some_and(|row| row.contains("Version one")),
        "{listed}"
    );

    let other = cluster.path().join("elsewhere");
    std::fs::create_dir(&other)?;
    for name in ["shop.py", "VERSION", "fleet.yml"] {
        std::fs::copy(sources.repository.dir.join(name), other.join(name))?;
    }
    std::fs::write(other.join("VERSION"), "from-a-directory\n")?;
    shop.ok(&[
        "release",
        "create",
        &other.to_string_lossy(),
        "-a",
        app::APP,
        "--wait",
    ])
    .await?;

    std::fs::write(other.join("VERSION"), "from-an-archive\n")?;
    let archive = cluster.path().join("app.tar.gz");
    let tar = Command::new("tar")
        .arg("-C")
        .arg(&other)
        .arg("-czf")
        .arg(&archive)
        .arg(".")
        .status()?;
    ensure!(tar.success(), "tar ended with {tar}");
    shop.ok(&[
        "release",
        "create",
        &archive.to_string_lossy(),
        "-a",
        app::APP,
        "--wait",
    ])
    .await?;

    let output = shop
        .ok(&["release", "list", "-a", app::APP, "-o", "json"])
        .await?;
    let available = output.stdout.matches("AVAILABLE").count();
    ensure!(available == 3, "three releases expected: {output}");

    shop.ok(&["release", "destroy", &commit, "-a", app::APP])
        .await?;
    let listed = shop.ok(&["release", "list", "-a", app::APP]).await?.stdout;
    ensure!(!listed.contains(&commit), "{listed}");
    cluster.end()
}
