//! A cluster with a thousand releases is backed up while it runs, and restored on a fresh data
//! directory: the state has the same hash, the frontends come back from the artefacts that came
//! along, and a damaged or shortened file is refused. Without artefacts no build is called available.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::api::{Api, Keys};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cli::Output;
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::Load;
use fleet_proto::v1;
use futures::{StreamExt as _, TryStreamExt as _};

/// Releases in the cluster (the number); an environment keeps its newest 20.
const RELEASES: usize = 1_000;
const ENVIRONMENTS: usize = 50;

/// Exit code of a refusal.
const REFUSED: i32 = 3;

#[tokio::test(flavor = "multi_thread")]
async fn the_same_state_comes_back() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    make_releases(&cluster).await?;

    let kept = tempfile::tempdir()?;
    let bare = backed_up(&cluster, kept.path(), "bare", &[]).await?;
    let whole = backed_up(&cluster, kept.path(), "whole", &["--with-artefacts"]).await?;
    ensure!(whole.artefacts > 0, "no artefact is in {whole:?}");
    let releases = releases(&cluster.api(0)?).await?;
    ensure!(
        releases.len() >= RELEASES,
        "only {} releases",
        releases.len()
    );
    let old_keys = cluster.keys.clone();
    let old_id = cluster.api(0)?.status().await?.cluster_id;
    cluster.end()?;

    without_artefacts(&bare, &old_id).await?;
    with_artefacts(&whole, &releases, &old_keys).await
}

/// Everything is there and serves again.
async fn with_artefacts(backup: &BackedUp, releases: &[String], old_keys: &Keys) -> Result<()> {
    let (mut restored, said) = Cluster::restore(&backup.path).await?;
    let said = json(&said)?;
    ensure!(
        said["state_hash"] == backup.state_hash,
        "{said} is not {backup:?}"
    );
    ensure!(said["lost"].as_array().is_some_and(Vec::is_empty), "{said}");
    let api = restored.api(0)?;
    let now = self::releases(&api).await?;
    ensure!(now == releases, "the releases differ");
    let status = api.status().await?;
    ensure!(status.generation == 1, "{status:?}");
    ensure!(status.node_id == backup.index + 1, "{status:?}");
    ensure!(
        Api::of(api.address, old_keys)?.status().await.is_err(),
        "the old keys are good"
    );
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: restored.ingresses(),
        rate: 50,
    };
    wait::until(
        "the frontends to be placed anew",
        wait::GENEROUS,
        async || {
            let frontends = restored.api(0)?.frontends(app::APP).await?;
            let healthy = frontends
                .iter()
                .filter(|frontend| frontend.status() == v1::ProcessStatus::Running)
                .count();
            ensure!(
                healthy == frontends.len() && healthy > 0,
                "{healthy} of {}",
                frontends.len()
            );
            Ok(())
        },
    )
    .await
    .with_context(|| restored.logs())?;
    let history = {
        let load = load.start();
        load.more(100).await?;
        load.stop().await?
    };
    ensure!(history.failed() == 0, "{history}");
    // It is a cluster like any other: it survives a restart, and others join it.
    restored.nodes[0].stop().await?;
    restored.nodes[0].start().await?;
    restored.leader().await?;
    restored.join_one().await?;
    restored.ready().await?;
    restored.agreed_state(2).await?;
    restored.end()
}

/// The state is the same, and says which builds have lost their artefacts.
async fn without_artefacts(backup: &BackedUp, old_id: &str) -> Result<()> {
    refuse_damage(backup).await?;
    let (restored, said) = Cluster::restore(&backup.path).await?;
    let said = json(&said)?;
    ensure!(
        said["state_hash"] == backup.state_hash,
        "{said} is not {backup:?}"
    );
    ensure!(
        said["restored_from"] == *old_id && said["cluster_id"] != *old_id,
        "{said}"
    );
    ensure!(
        said["lost"].as_array().is_some_and(|lost| !lost.is_empty()),
        "{said}"
    );
    let listed = restored
        .cli
        .ok(&["release", "list", "-a", app::APP])
        .await?;
    ensure!(!listed.stdout.contains("AVAILABLE"), "{listed}");
    restored.end()
}

/// A file that was cut short, or in which one bit fell over, founds nothing.
async fn refuse_damage(backup: &BackedUp) -> Result<()> {
    let bytes = std::fs::read(&backup.path)?;
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for (name, bytes, why) in [
        (
            "short",
            &bytes[..bytes.len() - 40],
            "it ends within its trailer",
        ),
        ("flipped", &flipped[..], "checksum"),
        ("script", b"#!/bin/sh", "not a backup file"),
    ] {
        let path = backup.path.with_extension(name);
        std::fs::write(&path, bytes)?;
        let refused = Cluster::restore(&path).await.err();
        let text = format!("{:#}", refused.context("it was taken")?);
        ensure!(
            text.contains(why) && text.contains(&format!("ended with {REFUSED}")),
            "{name}: {text}"
        );
    }
    Ok(())
}

#[derive(Debug)]
struct BackedUp {
    path: PathBuf,
    index: u64,
    state_hash: String,
    artefacts: u64,
}

/// Backs up, and makes sure that it was a state the cluster was in.
async fn backed_up(
    cluster: &Cluster,
    directory: &Path,
    name: &str,
    options: &[&str],
) -> Result<BackedUp> {
    let path = directory.join(name);
    let file = path.to_string_lossy();
    let mut command = vec!["cluster", "backup", &file, "-o", "json"];
    command.extend(options);
    let said = json(&cluster.cli.ok(&command).await?)?;
    let number = |key: &str| said[key].as_u64().context(key.to_owned());
    Ok(BackedUp {
        index: number("index")?,
        state_hash: said["state_hash"]
            .as_str()
            .context("state_hash")?
            .to_owned(),
        artefacts: number("artefacts")?,
        path,
    })
}

/// Each change of a variable makes a release.
async fn make_releases(cluster: &Cluster) -> Result<()> {
    let api = cluster.api(0)?;
    let created = futures::stream::iter(0..ENVIRONMENTS).map(|number| {
        let mut environments = api.environments();
        async move {
            let request = v1::CreateEnvironmentRequest {
                request_id: format!("environment-{number}"),
                app: app::APP.to_owned(),
                name: format!("qa{number}"),
                ..Default::default()
            };
            environments.create(request).await.map(drop)
        }
    });
    created.buffer_unordered(8).try_collect::<()>().await?;
    let made = futures::stream::iter(0..RELEASES).map(|turn| {
        let mut variables = api.variables();
        async move {
            let request = v1::SetVariablesRequest {
                request_id: format!("release-{turn}"),
                app: app::APP.to_owned(),
                environment: format!("qa{}", turn % ENVIRONMENTS),
                variables: BTreeMap::from([(format!("KEY_{turn}"), turn.to_string())]),
                ..Default::default()
            };
            variables.set(request).await.map(drop)
        }
    });
    made.buffer_unordered(16).try_collect::<()>().await?;
    Ok(())
}

/// Ids of all releases, in order.
async fn releases(api: &Api) -> Result<Vec<String>> {
    let mut all = Vec::new();
    for number in 0..ENVIRONMENTS {
        let releases = api.releases(app::APP, &format!("qa{number}")).await?;
        all.extend(releases.into_iter().map(|release| release.id));
    }
    all.sort();
    Ok(all)
}

/// A schedule takes its first backup at once; one that fails is told, and the next one that is set
/// goes on.
#[tokio::test(flavor = "multi_thread")]
async fn backups_are_taken_by_schedule() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let listed = async || {
        json(
            &cluster
                .cli
                .ok(&["cluster", "backup", "list", "-o", "json"])
                .await?,
        )
    };
    let schedule = ["cluster", "backup", "schedule", "60s", "--keep", "2"];
    // No file can be made there, whoever asks.
    let nowhere = [&schedule[..], &["--dir", "/proc/backups"]].concat();
    cluster.cli.ok(&nowhere).await?;
    wait::until("a failure to be told", wait::GENEROUS, async || {
        let list = listed().await?;
        ensure!(
            list["failure"].is_string() && list["backups"] == serde_json::json!([]),
            "{list}"
        );
        Ok(())
    })
    .await
    .with_context(|| cluster.logs())?;
    let events = cluster.api(0)?.events().await?;
    let told = events
        .iter()
        .any(|event| event.text.starts_with("backup failed on node node1"));
    ensure!(told, "no event of the failure: {events:?}");

    cluster.cli.ok(&schedule).await?;
    let taken = wait::until("a backup to be taken", wait::GENEROUS, async || {
        let list = listed().await?;
        let taken = list["backups"]
            .as_array()
            .and_then(|backups| backups.first());
        taken.cloned().with_context(|| list.to_string())
    })
    .await?;
    let path = PathBuf::from(taken["path"].as_str().context("path")?);
    ensure!(
        path.starts_with(cluster.nodes[0].dir.join("backups")),
        "{taken}"
    );
    let about = std::fs::metadata(&path)?;
    ensure!(
        Some(about.len()) == taken["bytes"].as_u64(),
        "{taken}, {} bytes",
        about.len()
    );
    ensure!(about.permissions().mode() & 0o777 == 0o600, "{about:?}");
    let kept = tempfile::tempdir()?;
    let copy = kept.path().join("copy");
    std::fs::copy(&path, &copy)?;
    cluster
        .cli
        .ok(&["cluster", "backup", "schedule", "off"])
        .await?;
    cluster.end()?;
    let (restored, said) = Cluster::restore(&copy).await?;
    ensure!(
        json(&said)?["state_hash"] == taken["state_hash"],
        "{said} is not {taken}"
    );
    restored.end()
}

fn json(output: &Output) -> Result<serde_json::Value> {
    serde_json::from_str(&output.stdout).with_context(|| output.to_string())
}
