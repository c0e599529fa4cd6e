//! Two commands at once on one environment: one wins, and the other is told why.

use anyhow::{Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::workload;

#[tokio::test(flavor = "multi_thread")]
async fn one_wins_and_the_other_is_told() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "zero").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let mut names = Vec::new();
    for label in ["one", "two"] {
        let name = sources.version(label)?;
        app::create_release(&shop, &name).await?;
        app::load(&shop, &name).await?;
        names.push(name);
    }
    // Warming takes a moment, so that the first is still under way when the second arrives.
    shop.ok(&[
        "env",
        "prod",
        "autoscaling",
        "desired",
        "active",
        "4",
        "-a",
        app::APP,
    ])
    .await?;

    // Through different nodes, so that the leader alone can put them in an order.
    let (left, right) = (cluster.cli_to(&[0]), cluster.cli_to(&[1]));
    let one = [
        "env",
        "prod",
        "activate",
        &names[0],
        "-a",
        app::APP,
        "--wait",
    ];
    let two = [
        "env",
        "prod",
        "activate",
        &names[1],
        "-a",
        app::APP,
        "--wait",
    ];
    let (first, second) = tokio::try_join!(left.run(&one), right.run(&two))?;
    let (winner, loser, active) = match (first.code, second.code) {
        (0, _) => (&first, &second, "one"),
        _ => (&second, &first, "two"),
    };
    ensure!(winner.code == 0, "neither won: {first}\n{second}");
    ensure!(loser.code == 3, "refused by a rule (3) expected: {loser}");
    let other = if active == "one" {
        &names[0]
    } else {
        &names[1]
    };
    ensure!(
        loser.stderr.contains(other.as_str()),
        "the winner {other} is not named: {loser}"
    );
    for ingress in cluster.ingresses() {
        let answer = workload::get(ingress, &app::host("www"), app::VERSION_PAGE).await;
        ensure!(
            app::version_in(answer.body().unwrap_or_default()) == active,
            "{answer:?}"
        );
    }
    cluster.end()
}
