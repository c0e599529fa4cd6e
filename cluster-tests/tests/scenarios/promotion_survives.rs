//! kill -9 of the leader's control process, of an agent and of the command line at five points of a
//! promotion: it completes, the bounds hold at every sample, no request fails, and whoever lost sight
//! of it finds the rest by asking for the same promotion again.

use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use fleet_cluster_tests::app::{self, Shop};
use fleet_cluster_tests::cli::Cli;
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::process::Role;
use fleet_cluster_tests::sampler::Sampler;
use fleet_cluster_tests::workload::Load;
use fleet_cluster_tests::{faults, wait};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
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

/// Longest that a promotion of a few seconds may take with somebody dying in it.
const PATIENCE: Duration = Duration::from_secs(90);

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
    story.until(" Started").await?;
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
    story.until(point).await?;
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
    lines: tokio::io::Lines<BufReader<tokio::process::ChildStdout>>,
    told: Vec<String>,
}

impl Story {
    fn begin(cli: &Cli) -> Result<Story> {
        let mut command = cli.spawn(&["releases", "promote", "-a", app::APP])?;
        let out = command.stdout.take().context("it has a standard output")?;
        Ok(Story {
            command,
            lines: BufReader::new(out).lines(),
            told: Vec::new(),
        })
    }

    async fn until(&mut self, point: &str) -> Result<()> {
        let found = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await? {
                self.told.push(line);
                if self.told.last().is_some_and(|line| line.contains(point)) {
                    return Ok(());
                }
            }
            bail!("the story ended before");
        });
        let outcome = found.await.context("it does not come")?;
        outcome.with_context(|| self.told.join("\n"))
    }

    async fn ends_well(&mut self) -> Result<()> {
        let status = tokio::time::timeout(PATIENCE, async {
            while let Some(line) = self.lines.next_line().await? {
                self.told.push(line);
            }
            anyhow::Ok(self.command.wait().await?)
        });
        let status = match status.await {
            Ok(status) => status?,
            Err(_) => bail!("it does not end:\n{}", self.told.join("\n")),
        };
        let mut complaint = String::new();
        if let Some(err) = &mut self.command.stderr {
            err.read_to_string(&mut complaint).await?;
        }
        let last = self.told.last().map(String::as_str);
        ensure!(
            status.success() && last == Some("OK"),
            "it ended with {status}: {complaint}\n{}",
            self.told.join("\n")
        );
        Ok(())
    }
}
