//! Builds whose manifest asks for a step: what it makes is served, what it says is told and kept, a
//! step that fails fails the build, and an agent that dies meanwhile is not missed.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::cluster::{Cluster, DOMAIN};
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::{faults, wait, workload};

/// Serves its directory.
const APP: &str = "services:
  web:
    build: {path: ., command: \"python3 make.py\", args: [COLOUR=green]}
    command: [/usr/bin/python3, -m, http.server, \"${PORT}\"]
    port: 8000
    health: /fleet.yml
";

const MAKE: &str = "import os
print('making', os.environ['COLOUR'], 'for', os.environ['APP'], flush=True)
open('generated.txt', 'w').write(os.environ['COLOUR'])
assert 'SECRET' not in os.environ
";

const BROKEN: &str = "import sys
print('looking for a header', flush=True)
sys.exit('no such header')
";

const SLOW: &str = "import os, time
print('begun', flush=True)
while not os.path.exists(os.environ['GATE']): time.sleep(0.1)
open('generated.txt', 'w').write('slow')
print('done', flush=True)
";

#[tokio::test(flavor = "multi_thread")]
async fn a_step_makes_what_is_served() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let sources = cluster.path().join("maker");
    std::fs::create_dir(&sources)?;
    let write = |name: &str, text: &str| std::fs::write(sources.join(name), text);
    write("fleet.yml", APP)?;
    write("make.py", MAKE)?;
    let cli = cluster.cli.in_dir(&sources);
    cli.ok(&["apps", "create", "maker"]).await?;
    cli.ok(&["env", "set", "SECRET=hush"]).await?;

    // What it says is told while it is waited for, and afterwards by any node.
    let built = cli.ok(&["build"]).await?;
    ensure!(built.stdout.contains("making green for maker"), "{built}");
    let build = id(&built.stdout, "Build: ")?;
    for node in 0..cluster.nodes.len() {
        let logs = cluster.cli_to(&[node]);
        let logs = logs.ok(&["builds", "logs", &build, "-a", "maker"]).await?;
        ensure!(logs.stdout.contains("making green for maker"), "{logs}");
    }
    let release = id(&built.stdout, "Release: ")?;
    cli.ok(&["releases", "promote", &release]).await?;
    ensure!(generated(&cluster).await? == "green", "not what was made");

    // A step that fails.
    write("make.py", BROKEN)?;
    let failed = cli.refused(1, &["exited with status 1", "no such header"], &["build"]);
    let failed = failed.await?;
    ensure!(failed.stdout.contains("looking for a header"), "{failed}");
    let listed = cli.ok(&["builds"]).await?;
    let newest = listed.stdout.lines().nth(1).context("no build")?;
    ensure!(newest.contains("failed"), "{listed}");
    let broken = newest.split_whitespace().next().context("no id")?;
    let logs = cli.ok(&["builds", "logs", broken]).await?;
    ensure!(logs.stdout.ends_with("no such header\n"), "{logs}");
    ensure!(generated(&cluster).await? == "green", "something changed");

    agents_die(&mut cluster, &sources).await?;
    cluster.end()
}

/// Every agent is killed while the step runs, and the step is neither lost nor begun anew.
async fn agents_die(cluster: &mut Cluster, sources: &std::path::Path) -> Result<()> {
    // The gate lies where steps may look: they see nothing else of this machine's directories.
    let gate = PathBuf::from(format!("/dev/shm/fleet-gate-{}", std::process::id()));
    let manifest = APP.replace("COLOUR=green", &format!("GATE={}", gate.display()));
    std::fs::write(sources.join("fleet.yml"), manifest)?;
    std::fs::write(sources.join("make.py"), SLOW)?;
    let cli = cluster.cli.in_dir(sources);
    let building = cli.spawn(&["build"])?;
    let running = || async {
        let listed = cli.ok(&["builds"]).await?;
        let newest = listed.stdout.lines().nth(1).context("no build")?;
        ensure!(newest.contains("running"), "{listed}");
        let id = newest.split_whitespace().next().context("no id")?;
        Ok(id.to_owned())
    };
    let build = wait::until("the build to run", wait::GENEROUS, running).await?;
    let step = format!("logs/b-{}-1.0/current", build.to_lowercase());
    wait::until("the step to begin", wait::GENEROUS, async || {
        let logs = cluster.dirs().into_iter().map(|dir| dir.join(&step));
        let begun = logs
            .filter_map(|log| std::fs::read_to_string(log).ok())
            .any(|log| log.contains("begun"));
        ensure!(begun, "nothing of it is in {step}");
        Ok(())
    })
    .await?;
    for node in &cluster.nodes {
        faults::kill(node, Role::Agent).await?;
    }
    std::fs::write(&gate, "")?;
    for node in &mut cluster.nodes {
        node.start().await?;
    }
    let built = building.wait_with_output().await;
    std::fs::remove_file(&gate)?;
    let built = built?;
    let told = String::from_utf8_lossy(&built.stdout).into_owned();
    ensure!(built.status.success(), "{told}");
    ensure!(told.matches("begun").count() == 1, "{told}");
    ensure!(told.matches("done").count() == 1, "{told}");
    cluster.ready().await?;
    let release = id(&told, "Release: ")?;
    cli.ok(&["releases", "promote", &release]).await?;
    ensure!(generated(cluster).await? == "slow", "not what was made");
    Ok(())
}

fn id(text: &str, before: &str) -> Result<String> {
    let mut lines = text.lines();
    let found = lines.find_map(|line| line.strip_prefix(before));
    found
        .map(str::to_owned)
        .with_context(|| format!("no {before:?} in {text}"))
}

async fn generated(cluster: &Cluster) -> Result<String> {
    let host = format!("web.prod.maker.{DOMAIN}");
    let answer = workload::get(cluster.nodes[0].http(), &host, "/generated.txt").await;
    let body = answer.body();
    body.map(str::to_owned)
        .with_context(|| format!("{:?}", answer.outcome))
}
