//! kill -9 of the leader's control process, of an agent and of the command line at five points of a
//! promotion: it completes, the bounds hold at every sample, no request fails, and whoever lost sight
//! of it finds the rest by asking for the same promotion again.

use anyhow::{Context as _, Result, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cli::Cli;
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::sampler::Sampler;
use fleet_cluster_tests::told::Told;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{faults, wait};
use tokio::process::Child;

/// Lines of the promotion's story: the kill follows the first of its kind.
const POINTS: [&str; 5] = [
    "Status: Running => Pending",
    " Placed on ",
    " Healthy",
    " Leaves routing",
    " is watched for ",
];

const COUNT: usize = 4;

#[derive(Clone, Copy, Debug)]
enum Victim {
    Leader,
    Agent,
    CommandLine,
}

const VICTIMS: [Victim; 3] = [Victim::Leader, Victim::Agent, Victim::CommandLine];

#[tokio::test(flavor = "multi_thread")]
async fn whoever_dies_in_it() -> Result<()> {
    let mut cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let cli = cluster.cli.in_dir(&sources.repository.dir);
    cli.ok(&["env", "guard", "prod", "3", "-a", app::APP])
        .await?;
    let count = COUNT.to_string();
    let desired = ["env", "prod", "autoscaling", "desired", "active", &count];
    cli.ok(&[&desired[..], &["-a", app::APP, "--wait"]].concat())
        .await?;
    let load = Load {
        host: app::host("www"),
        path: app::VERSION_PAGE.to_owned(),
        ingresses: cluster.ingresses(),
        rate: 100,
    }
    .start();

    // All pairs take their time; each point once and each victim at least once does always.
    let all = std::env::var_os("FLEET_LONG").is_some();
    for (number, point) in POINTS.into_iter().enumerate() {
        let some = [VICTIMS[number % VICTIMS.len()]];
        let victims = if all { &VICTIMS[..] } else { &some[..] };
        for victim in victims {
            survive(&mut cluster, &cli, *victim, point)
                .await
                .with_context(|| format!("{victim:?} killed after {point:?}"))?;
        }
    }

    let history = load.stop().await?;
    ensure!(history.failed() == 0, "{history}");
    cluster.agreed_state(3).await?;
    cluster.end()
}

/// A machine loses power in the middle: what it had is started elsewhere, and the promotion goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_machine_dies_in_it() -> Result<()> {
    let cluster = Cluster::start(3).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let cli = cluster.cli.in_dir(&sources.repository.dir);
    cli.ok(&["env", "guard", "prod", "3", "-a", app::APP])
        .await?;
    cli.ok(&["env", "set", "TURN=machine", "-a", app::APP])
        .await?;
    let mut story = Story::begin(&cli)?;
    story.told.until(" Started").await?;
    let leader = cluster.leader().await?;
    faults::power_off(&cluster.nodes[(leader + 1) % 3]).await?;
    story.ends_well().await?;
    let api = cluster.api(leader)?;
    wait::until("the end of the old release", wait::GENEROUS, async || {
        let releases = api.environment(app::APP, "prod").await?.releases;
        let running = releases.iter().find(|release| release.active);
        let running = running.context("a release is active")?;
        ensure!(running.frontends == 2, "{} are healthy", running.frontends);
        Ok(())
    })
    .await?;
    cluster.end()
}

async fn survive(cluster: &mut Cluster, cli: &Cli, victim: Victim, point: &str) -> Result<()> {
    let salt = format!("TURN={victim:?}-{}", point.trim().replace(' ', "-"));
    cli.ok(&["env", "set", &salt, "-a", app::APP]).await?;
    let apis = (0..3).map(|index| cluster.api(index));
    let sampler = Sampler::start(apis.collect::<Result<_>>()?, app::APP, "www");
    let mut story = Story::begin(cli)?;
    story.told.until(point).await?;
    match victim {
        Victim::Leader => {
            let node = &cluster.nodes[cluster.leader().await?];
            let killed = faults::kill(node, Role::Control).await?;
            story.ends_well().await?;
            faults::replaced(node, &killed).await?;
        }
        Victim::Agent => {
            // The one that has most to say: its node has the frontends of the first slots.
            let index = (cluster.leader().await? + 1) % 3;
            faults::kill(&cluster.nodes[index], Role::Agent).await?;
            cluster.nodes[index].start().await?;
            story.ends_well().await?;
        }
        Victim::CommandLine => {
            story.command.kill().await?;
            let rest = cli
                .ok(&["releases", "promote", "-a", app::APP, "--wait"])
                .await?;
            ensure!(rest.stdout.trim_end().ends_with("OK"), "{rest}");
        }
    }
    cluster.ready().await?;
    let samples = sampler.stop().await?;
    let healthy = samples.iter().map(|sample| sample.healthy).min();
    let total = samples.iter().map(|sample| sample.total).max();
    let (healthy, total) = healthy.zip(total).context("nobody answered a sampler")?;
    // The manifest says nothing of deployment: 50 % and 200 %.
    ensure!(
        healthy >= COUNT / 2,
        "only {healthy} frontends were healthy"
    );
    ensure!(total <= COUNT * 2, "there were {total} frontends at once");
    only_one_release_is_left(cluster).await
}

async fn only_one_release_is_left(cluster: &Cluster) -> Result<()> {
    let api = cluster.api(0)?;
    wait::until("the end of the old release", wait::GENEROUS, async || {
        let releases = api.environment(app::APP, "prod").await?.releases;
        let names: Vec<&str> = releases.iter().map(|r| r.name.as_str()).collect();
        ensure!(releases.len() == 1, "{names:?} are loaded");
        ensure!(releases[0].active, "{names:?} is not active");
        Ok(())
    })
    .await
}

/// A promotion as the command line tells it.
struct Story {
    command: Child,
    told: Told,
}

impl Story {
    fn begin(cli: &Cli) -> Result<Story> {
        let mut command = cli.spawn(&["releases", "promote", "-a", app::APP])?;
        let told = Told::by(&mut command)?;
        Ok(Story { command, told })
    }

    async fn ends_well(&mut self) -> Result<()> {
        let story = self.told.to_the_end().await?;
        let status = self.command.wait().await?;
        ensure!(
            status.success() && story.ends_with("\nOK\n"),
            "it ended with {status}:\n{}",
            self.told.so_far()
        );
        Ok(())
    }
}
