//! Which host leads where, what a frontend is told, and what it learns about the client.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Teller};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::history::Outcome;
use fleet_cluster_tests::{wait, workload};

#[tokio::test(flavor = "multi_thread")]
async fn hosts_lead_to_services_and_releases() -> Result<()> {
    let cluster = Cluster::start(2).await?;
    let mut teller = Teller::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut teller, "one").await?;
    let shop = cluster.cli.in_dir(&teller.repository.dir);
    shop.ok(&["env", "set", "COLOUR=blue", "-a", app::APP])
        .await?;
    let next = teller.version("two")?;
    app::create_release(&shop, &next).await?;
    app::load(&shop, &next).await?;

    for ingress in cluster.ingresses() {
        for service in ["www", "admin"] {
            expect(ingress, &app::host(service), "one").await?;
            expect(ingress, &format!("sub.{}", app::host(service)), "one").await?;
            // A loaded release has hosts of its own before it is active.
            expect(ingress, &app::inactive_host(service, &next), "two").await?;
        }
        let unknown = workload::get(ingress, "www.prod.nothing.localhost", "/").await;
        ensure!(status(&unknown.outcome) == Some(404), "{unknown:?}");

        let environment = json(ingress, &app::inactive_host("www", &next), "/env").await?;
        ensure!(
            environment.get("COLOUR").map(String::as_str) == Some("blue"),
            "{environment:?}"
        );
        for (name, value) in [("APP", app::APP), ("SERVICE", "www")] {
            let told = environment.get(name).map(String::as_str);
            ensure!(told == Some(value), "{name} is {told:?}");
        }
        for name in ["PORT", "BUILD", "RELEASE", "RACK", "BUILD_DESCRIPTION"] {
            ensure!(
                environment.contains_key(name),
                "{name} is missing: {environment:?}"
            );
        }
        let before = json(ingress, &app::host("www"), "/env").await?;
        ensure!(
            !before.contains_key("COLOUR"),
            "a loaded release keeps its variables"
        );

        let headers = json(ingress, &app::host("www"), "/headers").await?;
        let client = headers.get("x-forwarded-for").map(String::as_str);
        ensure!(client == Some("127.0.0.1"), "{headers:?}");
        ensure!(
            headers.get("x-forwarded-proto").map(String::as_str) == Some("http"),
            "{headers:?}"
        );
        ensure!(headers.contains_key("x-forwarded-host"), "{headers:?}");
    }

    shop.ok(&["env", "prod", "maintenance", "ON", "-a", app::APP])
        .await?;
    wait::until("503 from every ingress", wait::GENEROUS, async || {
        for ingress in cluster.ingresses() {
            let answer = workload::get(ingress, &app::host("www"), "/").await;
            ensure!(status(&answer.outcome) == Some(503), "{answer:?}");
        }
        Ok(())
    })
    .await?;
    cluster.end()
}

async fn expect(ingress: SocketAddr, host: &str, version: &str) -> Result<()> {
    let answer = workload::get(ingress, host, "/").await;
    let body = answer
        .body()
        .with_context(|| format!("{host}: {:?}", answer.outcome))?;
    ensure!(
        app::version_in(body) == version,
        "{host} is answered by {body}"
    );
    Ok(())
}

async fn json(ingress: SocketAddr, host: &str, path: &str) -> Result<BTreeMap<String, String>> {
    let answer = workload::get(ingress, host, path).await;
    let body = answer
        .body()
        .with_context(|| format!("{host}{path}: {:?}", answer.outcome))?;
    serde_json::from_str(body).with_context(|| body.to_owned())
}

fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answered { status, .. } => Some(*status),
        Outcome::Broken(_) => None,
    }
}
