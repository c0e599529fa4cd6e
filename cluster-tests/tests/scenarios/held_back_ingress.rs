//! `activate --wait` returns only after every live ingress has confirmed. One is frozen: the command
//! waits and names its node. After it has returned, no answer comes from the old release.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::told::Told;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{faults, wait};

#[tokio::test(flavor = "multi_thread")]
async fn activation_waits_for_it_and_says_so() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let shop = cluster.cli.in_dir(&sources.repository.dir);
    let next = sources.version("two")?;
    app::create_release(&shop, &next).await?;
    app::load(&shop, &next).await?;

    let held = &cluster.nodes[2];
    let frozen = faults::freeze(held, Role::Ingress)?;
    let mut waiting = shop.spawn(&["env", "prod", "activate", &next, "-a", app::APP, "--wait"])?;
    let told = Told::by(&mut waiting)?;

    let api = cluster.api(0)?;
    let sentence = wait::until(
        "a sentence that names the node",
        wait::GENEROUS,
        async || {
            let description = api.environment(app::APP, "prod").await?;
            let sentences: Vec<String> = description.waiting.into_iter().map(|w| w.text).collect();
            sentences
                .iter()
                .find(|text| text.contains(&held.name))
                .cloned()
                .with_context(|| format!("waiting for {sentences:?}"))
        },
    )
    .await?;
    // The command may still be on its way when the cluster waits already; it is let go only when it
    // has said what it waits for.
    wait::until("the command to name the node", wait::GENEROUS, async || {
        let said = told.so_far();
        ensure!(said.contains(&held.name), "it said: {said}");
        Ok(())
    })
    .await?;
    ensure!(
        waiting.try_wait()?.is_none(),
        "the command returned although {sentence}"
    );

    frozen.thaw();
    let status = waiting.wait().await?;
    let returned = Instant::now();
    ensure!(
        status.success(),
        "it ended with {status}: {}",
        told.so_far()
    );

    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 150,
    }
    .start();
    load.more(300).await?;
    let history = load.stop().await?.since(returned);
    ensure!(history.failed() == 0, "{history}");
    ensure!(
        app::answers_of(&history, "one") == 0,
        "the old release answered: {history}"
    );
    cluster.end()
}
