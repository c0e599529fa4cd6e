//! What a frontend is told: its variables and the system's by its environment, and who the client is
//! by the headers that the ingress makes.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::cluster::{Cluster, DOMAIN};
use fleet_cluster_tests::repository::Repository;
use fleet_cluster_tests::workload;

const MANIFEST: &str =
    "services:\n  web:\n    command: [/usr/bin/python3, mirror.py]\n    port: 8000\n";

#[tokio::test(flavor = "multi_thread")]
async fn variables_and_headers_arrive() -> Result<()> {
    let cluster = Cluster::start(1).await?;
    let mut repository = Repository::create(&cluster.path().join("mirror"))?;
    repository.write("mirror.py", include_str!("../../fixtures/mirror.py"))?;
    repository.write("fleet.yml", MANIFEST)?;
    let name = repository.commit("Mirror")?;
    let cli = cluster.cli.in_dir(&repository.dir);
    cli.ok(&["apps", "create", "mirror"]).await?;
    cli.ok(&["env", "set", "COLOUR=light blue"]).await?;
    cli.ok(&["release", "create", "HEAD", "--wait"]).await?;
    cli.ok(&["env", "prod", "load", &name, "--wait"]).await?;
    cli.ok(&["env", "prod", "activate", &name, "--wait"])
        .await?;

    let environment = mirrored(&cluster, "/env").await?;
    for (name, value) in [
        ("COLOUR", "light blue"),
        ("APP", "mirror"),
        ("SERVICE", "web"),
    ] {
        let told = environment.get(name).map(String::as_str);
        ensure!(told == Some(value), "{name} is {told:?}");
    }
    for name in ["PORT", "BUILD", "RELEASE", "RACK", "BUILD_DESCRIPTION"] {
        ensure!(
            environment.contains_key(name),
            "{name} is missing: {environment:?}"
        );
    }
    let secret = environment
        .values()
        .any(|value| value.contains(&cluster.keys.operator_token));
    ensure!(!secret, "a frontend was told the secret of the cluster");

    let headers = mirrored(&cluster, "/headers").await?;
    for (name, value) in [
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", &host()),
    ] {
        let told = headers.get(name).map(String::as_str);
        ensure!(told == Some(value), "{name} is {told:?}: {headers:?}");
    }
    cluster.end()
}

fn host() -> String {
    format!("web.prod.mirror.{DOMAIN}")
}

async fn mirrored(cluster: &Cluster, path: &str) -> Result<BTreeMap<String, String>> {
    let answer = workload::get(cluster.nodes[0].http(), &host(), path).await;
    let body = answer
        .body()
        .with_context(|| format!("{path}: {:?}", answer.outcome))?;
    serde_json::from_str(body).with_context(|| body.to_owned())
}
