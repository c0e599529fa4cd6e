//! The same request id sent again, through another node and after a change of leader, returns the
//! first outcome and changes nothing.

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::faults;
use fleet_cluster_tests::process::Role;
use fleet_proto::v1;

#[tokio::test(flavor = "multi_thread")]
async fn it_takes_effect_once() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let request = v1::SetAutoscalingLimitsRequest {
        request_id: "limits-once".to_owned(),
        app: app::APP.to_owned(),
        environment: "prod".to_owned(),
        min: 2,
        max: 7,
    };
    let first = set_limits(&cluster, 0, &request).await?;
    ensure!(!first.repeated_request && !first.unchanged, "{first:?}");

    // Somebody else changes it meanwhile: a repetition must not undo that.
    cluster
        .cli
        .ok(&[
            "env",
            "prod",
            "autoscaling",
            "limits",
            "2",
            "9",
            "-a",
            app::APP,
        ])
        .await?;
    let second = set_limits(&cluster, 1, &request).await?;
    ensure!(second.repeated_request, "{second:?}");
    ensure!(second.log_index == first.log_index, "{first:?} {second:?}");

    let leader = cluster.leader().await?;
    let killed = faults::kill(&cluster.nodes[leader], Role::Control).await?;
    faults::replaced(&cluster.nodes[leader], &killed).await?;
    cluster.ready().await?;
    let third = set_limits(&cluster, 2, &request).await?;
    ensure!(third.log_index == first.log_index, "{first:?} {third:?}");
    let description = cluster.api(0)?.environment(app::APP, "prod").await?;
    ensure!(
        description.autoscaling_max == 9,
        "the repetition took effect"
    );
    cluster.end()
}

async fn set_limits(
    cluster: &Cluster,
    through: usize,
    request: &v1::SetAutoscalingLimitsRequest,
) -> Result<v1::Receipt> {
    let mut environments = cluster.api(through)?.environments();
    let answer = environments.set_autoscaling_limits(request.clone()).await?;
    answer
        .into_inner()
        .receipt
        .context("every mutation has a receipt")
}
