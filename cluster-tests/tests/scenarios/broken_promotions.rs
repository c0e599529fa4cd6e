//! Releases that are broken in eight ways: each is taken back by itself with a sentence of its own,
//! the command ends with 1, no request fails, and the environment is as it was before.

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::wait;
use fleet_cluster_tests::workload::Load;
use fleet_proto::v1::EnvironmentDescription;

/// The shop with checks so quick that a fault shows at once.
const MANIFEST: &str = "\
services:
  www:
    command: [/usr/bin/python3, -I, -B, shop.py]
    port: 8000
    health: {path: /health, interval: 1, timeout: 1, grace: 4}
";

/// What is set, and what the command must say; `|` stands between words of which one is enough.
const FAULTS: [(&[&str], &[&str]); 3] = [
    (
        &["FAIL=never-listen"],
        &[
            "within 4 s of its start",
            "is not going to listen, as FAIL asks",
        ],
    ),
    // Where the sandbox knows of ports, a frontend cannot even listen on another's.
    (
        &["FAIL=wrong-port"],
        &["within 4 s of its start|permission denied"],
    ),
    (&["FAIL=unhealthy"], &["within 4 s of its start", "500"]),
];

/// Faults that show when the release has taken over: until the one before is back, requests to the
/// new one may fail with it, so no load is on.
const LATE: [(&[&str], &[&str]); 3] = [
    (&["FAIL=flap"], &["unhealthy", "status 500"]),
    (
        &["FAIL=crash", "FAIL_AFTER_MS=3000"],
        &["exited with status 70", "crashes, as FAIL asks"],
    ),
    (
        &["FAIL=crash", "FAIL_AFTER_MS=13000"],
        &["after it had taken over", "exited with status 70"],
    ),
];

#[tokio::test(flavor = "multi_thread")]
async fn each_is_taken_back_with_its_own_sentence() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    sources.repository.write("fleet.yml", MANIFEST)?;
    app::go_live(&cluster.cli, &mut sources, "good").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let api = cluster.api(0)?;
    let before = api.environment(app::APP, "prod").await?;
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 50,
    }
    .start();

    for (variables, says) in FAULTS {
        let mut words = vec!["env", "set"];
        words.extend(variables);
        words.extend(["--replace", "-a", app::APP]);
        shop.ok(&words).await?;
        promote_in_vain(&cluster, &shop, variables[0], says, &before).await?;
    }

    let failing_step =
        format!("{MANIFEST}    initContainer: {{command: 'echo no schema; exit 3'}}\n");
    sources.repository.write("fleet.yml", &failing_step)?;
    sources.version("init")?;
    shop.ok(&["env", "set", "FAIL=", "--replace", "-a", app::APP])
        .await?;
    shop.ok(&["build", "-a", app::APP]).await?;
    let says = ["init step exited with status 3", "no schema"];
    promote_in_vain(&cluster, &shop, "init", &says, &before).await?;

    let demanding = format!("environment: [SECRET_KEY]\n{MANIFEST}");
    sources.repository.write("fleet.yml", &demanding)?;
    sources.version("variable")?;
    shop.ok(&["build", "-a", app::APP]).await?;
    let refused = [
        "needs variables that are not set: SECRET_KEY",
        "fleet env set SECRET_KEY=",
    ];
    shop.refused(3, &refused, &["releases", "promote", "-a", app::APP])
        .await?;
    as_before(&cluster, &before).await?;

    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");

    sources.repository.write("fleet.yml", MANIFEST)?;
    sources.version("late")?;
    shop.ok(&["build", "-a", app::APP]).await?;
    for (variables, says) in LATE {
        let mut words = vec!["env", "set"];
        words.extend(variables);
        words.extend(["--replace", "-a", app::APP]);
        shop.ok(&words).await?;
        promote_in_vain(&cluster, &shop, variables[0], says, &before).await?;
    }
    cluster.end()
}

async fn promote_in_vain(
    cluster: &Cluster,
    shop: &fleet_cluster_tests::cli::Cli,
    fault: &str,
    says: &[&str],
    before: &EnvironmentDescription,
) -> Result<()> {
    let output = shop.run(&["releases", "promote", "-a", app::APP]).await?;
    ensure!(output.code == 1, "{fault}: exit code 1 expected: {output}");
    for words in says {
        ensure!(
            words.split('|').any(|words| output.stderr.contains(words)),
            "{fault}: no {words:?} in {output}"
        );
    }
    as_before(cluster, before)
        .await
        .with_context(|| fault.to_owned())
}

/// One loaded release, the same, with as many healthy frontends.
async fn as_before(cluster: &Cluster, before: &EnvironmentDescription) -> Result<()> {
    let api = cluster.api(0)?;
    wait::until("the environment as it was", wait::GENEROUS, async || {
        let now = api.environment(app::APP, "prod").await?;
        let releases = |description: &EnvironmentDescription| {
            let each = description.releases.iter();
            each.map(|r| (r.name.clone(), r.active, r.frontends))
                .collect::<Vec<_>>()
        };
        ensure!(
            releases(&now) == releases(before),
            "{:?} instead of {:?}",
            releases(&now),
            releases(before)
        );
        Ok(())
    })
    .await
}
