//! Which host leads where, and what is answered when there is nowhere to lead to.

use std::net::SocketAddr;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::history::Outcome;
use fleet_cluster_tests::{wait, workload};

#[tokio::test(flavor = "multi_thread")]
async fn hosts_lead_to_services_and_releases() -> Result<()> {
    let cluster = Cluster::start(2).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let next = sources.version("two")?;
    app::create_release(&shop, &next).await?;
    app::load(&shop, &next).await?;

    for ingress in cluster.ingresses() {
        for service in ["www", "admin"] {
            expect(ingress, &app::host(service), "one").await?;
            expect(ingress, &format!("sub.{}", app::host(service)), "one").await?;
            // A loaded release has hosts of its own before it is active.
            expect(ingress, &app::inactive_host(service, &next), "two").await?;
        }
        let unknown = workload::get(ingress, "www.prod.nothing.localhost", app::VERSION_PAGE).await;
        ensure!(status(&unknown.outcome) == Some(404), "{unknown:?}");
    }

    shop.ok(&["env", "prod", "maintenance", "ON", "-a", app::APP])
        .await?;
    wait::until("503 from every ingress", wait::GENEROUS, async || {
        for ingress in cluster.ingresses() {
            let answer = workload::get(ingress, &app::host("www"), app::VERSION_PAGE).await;
            ensure!(status(&answer.outcome) == Some(503), "{answer:?}");
        }
        Ok(())
    })
    .await?;
    cluster.end()
}

async fn expect(ingress: SocketAddr, host: &str, version: &str) -> Result<()> {
    let answer = workload::get(ingress, host, app::VERSION_PAGE).await;
    let body = answer
        .body()
        .with_context(|| format!("{host}: {:?}", answer.outcome))?;
    ensure!(
        app::version_in(body) == version,
        "{host} is answered by {body}"
    );
    Ok(())
}

fn status(outcome: &Outcome) -> Option<u16> {
    match outcome {
        Outcome::Answered { status, .. } => Some(*status),
        Outcome::Broken(_) => None,
    }
}
