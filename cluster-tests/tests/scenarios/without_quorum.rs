//! The control processes of two nodes of three stand still: every frontend answers through every
//! ingress, commands are refused as unavailable within two seconds, and work again when one returns.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{faults, wait};
use fleet_proto::v1;

/// Exit code "unreachable" of the command line.
const UNREACHABLE: i32 = 5;

/// How soon a command must be refused (issue: within two seconds).
const REFUSAL: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn the_data_plane_goes_on() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();
    load.more(100).await?;

    // The leader and one more; the third is asked.
    let leader = cluster.leader().await?;
    let (second, alone) = ((leader + 1) % 3, (leader + 2) % 3);
    let first_frozen = faults::freeze(&cluster.nodes[leader], Role::Control)?;
    let second_frozen = faults::freeze(&cluster.nodes[second], Role::Control)?;

    let api = cluster.api(alone)?;
    wait::until("a refusal as unavailable", wait::GENEROUS, async || {
        let asked = Instant::now();
        let mut environments = api.environments();
        let answer = environments.set_protected(protect("without-quorum")).await;
        let code = answer.err().map(|status| status.code());
        let took = asked.elapsed();
        ensure!(code == Some(tonic::Code::Unavailable), "{code:?}");
        ensure!(took <= REFUSAL, "refused only after {took:?}");
        Ok(())
    })
    .await?;
    let cli = cluster.cli_to(&[alone]);
    cli.refused(
        UNREACHABLE,
        &[],
        &["env", "prod", "protected", "ON", "-a", app::APP],
    )
    .await?;
    load.more(500).await?;

    // A read that may be old is still answered.
    cli.ok(&["env", "describe", "prod", "-a", app::APP, "--stale"])
        .await?;

    first_frozen.thaw();
    wait::until("commands to be taken again", wait::GENEROUS, async || {
        cli.ok(&["env", "prod", "protected", "ON", "-a", app::APP])
            .await
            .map(drop)
    })
    .await?;
    second_frozen.thaw();
    cluster.ready().await?;
    cluster.agreed_state(3).await?;
    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.end()
}

fn protect(request: &str) -> v1::SwitchRequest {
    v1::SwitchRequest {
        request_id: request.to_owned(),
        app: app::APP.to_owned(),
        environment: "prod".to_owned(),
        on: true,
    }
}
