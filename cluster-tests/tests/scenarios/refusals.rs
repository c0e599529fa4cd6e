//! What is refused, with which exit code, and what the refusal says would help.

use anyhow::Result;
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;

const USAGE: i32 = 2;
const REFUSED: i32 = 3;
const NOT_FOUND: i32 = 4;

#[tokio::test(flavor = "multi_thread")]
async fn every_no_explains_itself() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    let active = app::go_live(&cluster.cli, &mut sources, "one").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let idle = sources.version("two")?;
    app::create_release(&shop, &idle).await?;

    // Unknown names, and the nearest one.
    shop.refused(NOT_FOUND, &["shop"], &["env", "list", "-a", "shp"])
        .await?;
    shop.refused(
        NOT_FOUND,
        &["prod"],
        &["env", "describe", "prdo", "-a", "shop"],
    )
    .await?;
    shop.refused(NOT_FOUND, &["0123456"], &["env", "prod", "load", "0123456"])
        .await?;

    // Activating what is not loaded: the command that loads it.
    let load = format!("env prod load {idle}");
    shop.refused(
        REFUSED,
        &[&idle, &load],
        &["env", "prod", "activate", &idle],
    )
    .await?;

    // Destroying a loaded release: the command that unloads it.
    let unload = format!("env prod unload {active}");
    shop.refused(
        REFUSED,
        &[&active, &unload],
        &["release", "destroy", &active],
    )
    .await?;

    // Unloading the active release of a protected environment: the command that unprotects it.
    shop.ok(&["env", "prod", "protected", "ON"]).await?;
    let unprotect = "env protected prod OFF";
    shop.refused(REFUSED, &[unprotect], &["env", "prod", "unload", &active])
        .await?;
    shop.refused(REFUSED, &[unprotect], &["env", "prod", "deactivate"])
        .await?;
    shop.ok(&["env", "prod", "protected", "OFF"]).await?;

    // A reference that could mean two loaded releases of one commit: both are listed.
    shop.ok(&["env", "set", "COLOUR=blue", "-a", "shop"])
        .await?;
    app::load(&shop, &active).await?;
    let second = format!("{active}-2");
    shop.refused(
        REFUSED,
        &[&active, &second],
        &["env", "prod", "activate", &active],
    )
    .await?;
    app::activate(&shop, &second).await?;

    // A short name that two builds begin with: both are listed.
    let (one, two, prefix) = two_alike(&mut sources)?;
    app::create_release(&shop, &one).await?;
    app::create_release(&shop, &two).await?;
    shop.refused(REFUSED, &[&one, &two], &["env", "prod", "load", &prefix])
        .await?;

    // One positional where two are needed is never "the default environment".
    shop.refused(USAGE, &[], &["env", "load", &idle]).await?;
    cluster.end()
}

/// Commits until two names begin alike; a few digits are enough for a short reference.
fn two_alike(sources: &mut Shop) -> Result<(String, String, String)> {
    let mut seen: Vec<String> = Vec::new();
    loop {
        let name = sources.version(&format!("try{}", seen.len()))?;
        if let Some(twin) = seen.iter().find(|other| other[..2] == name[..2]) {
            let alike = name
                .bytes()
                .zip(twin.bytes())
                .take_while(|(a, b)| a == b)
                .count();
            return Ok((twin.clone(), name.clone(), name[..alike].to_owned()));
        }
        seen.push(name);
    }
}
