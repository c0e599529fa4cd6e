//! The network between five nodes is cut in every way that has a name: in two, with the leader on
//! either side, in one direction, and into a ring. What was acknowledged survives, a minority refuses
//! soon, and within fifteen seconds of healing all five agree on one leader.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use fleet_cluster_tests::app::{self, APP, Shop};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::netns::{Fault, Lan};
use fleet_cluster_tests::wait;

const NODES: usize = 5;

/// From healing to one leader on whom all agree (issue: 15 s).
const AGREED_WITHIN: Duration = Duration::from_secs(15);

/// A command that finds no quorum is refused by the node that was asked, at the latest after the time
/// a proposal may take. The rest is for a machine that compiles beside.
const REFUSED_WITHIN: Duration = Duration::from_secs(15);

/// Exit code "unreachable" of the command line.
const UNREACHABLE: i32 = 5;

#[derive(Debug, Clone, Copy)]
enum Shape {
    /// The leader and one more, against three.
    LeaderInMinority,
    /// Two others against the leader and two more.
    LeaderInMajority,
    /// Nobody hears the leader, and it hears everybody.
    LeaderUnheard,
    /// The leader hears nobody, and everybody hears it.
    LeaderDeaf,
    /// Everybody hears two neighbours.
    Ring,
}

const SHAPES: [Shape; 5] = [
    Shape::LeaderInMinority,
    Shape::LeaderInMajority,
    Shape::LeaderUnheard,
    Shape::LeaderDeaf,
    Shape::Ring,
];

#[tokio::test(flavor = "multi_thread")]
async fn what_was_acknowledged_survives_every_partition() -> Result<()> {
    if let Err(why) = Lan::possible() {
        eprintln!("SKIPPED: no network namespaces here, so nothing was shown: {why:#}");
        return Ok(());
    }
    let cluster = Cluster::start_apart(NODES).await?;
    let mut sources = Shop::create(cluster.path())?;
    app::go_live(&cluster.cli, &mut sources, "one").await?;
    let rounds = if std::env::var_os("FLEET_LONG").is_some() {
        6
    } else {
        1
    };
    let mut story = Story::default();
    for round in 0..rounds {
        for shape in SHAPES {
            let what = format!("{shape:?} of round {round}");
            story.live(&cluster, shape).await.context(what)?;
        }
    }
    story.all_is_there(&cluster).await?;
    cluster.agreed_state(NODES).await?;
    // And it is a cluster as before.
    app::go_live(&cluster.cli, &mut sources, "two").await?;
    cluster.end()
}

#[derive(Debug, Default)]
struct Story {
    acknowledged: BTreeMap<String, String>,
    refused: usize,
}

impl Story {
    #[allow(clippy::print_stderr, reason = "how fast it was is worth reading")]
    async fn live(&mut self, cluster: &Cluster, shape: Shape) -> Result<()> {
        let leader = agreed(cluster, wait::GENEROUS).await?;
        let (lan, nodes) = (cluster.lan()?, &cluster.nodes);
        let next = |step: usize| (leader + step) % NODES;
        let others: Vec<usize> = (1..NODES).map(next).collect();
        let (fault, minority, majority) = match shape {
            Shape::LeaderInMinority => {
                let (few, many) = (vec![leader, next(1)], vec![next(2), next(3), next(4)]);
                let fault = Fault::partition(lan, nodes, [&few, &many])?;
                (fault, few, many)
            }
            Shape::LeaderInMajority => {
                let (few, many) = (vec![next(1), next(2)], vec![leader, next(3), next(4)]);
                let fault = Fault::partition(lan, nodes, [&few, &many])?;
                (fault, few, many)
            }
            Shape::LeaderUnheard => {
                let pairs = others.iter().map(|other| (leader, *other));
                let fault = Fault::strike(lan, nodes, "the leader is unheard", pairs)?;
                (fault, Vec::new(), others)
            }
            Shape::LeaderDeaf => {
                let pairs = others.iter().map(|other| (*other, leader));
                let fault = Fault::strike(lan, nodes, "the leader is deaf", pairs)?;
                (fault, Vec::new(), others)
            }
            Shape::Ring => (Fault::ring(lan, nodes)?, Vec::new(), (0..NODES).collect()),
        };
        self.write(cluster, &majority, &format!("{shape:?}"))
            .await?;
        for index in minority {
            self.is_refused(cluster, index).await?;
        }
        let what = fault.what.clone();
        let healed = Instant::now();
        let lost = fault.heal(lan).await?;
        let now = agreed(cluster, AGREED_WITHIN.saturating_sub(healed.elapsed())).await?;
        eprintln!(
            "{shape:?} ({what}): node{} led, {lost} packets lost, node{} leads {:.1?} after healing",
            leader + 1,
            now + 1,
            healed.elapsed()
        );
        // Also what was acknowledged while the network was cut.
        self.all_is_there(cluster).await
    }

    /// A few commands, through nodes that have a quorum, until each is acknowledged.
    async fn write(&mut self, cluster: &Cluster, through: &[usize], shape: &str) -> Result<()> {
        let cli = cluster.cli_to(through);
        for turn in 0..3 {
            let name = format!("{}_{}", shape.to_uppercase(), self.acknowledged.len());
            let value = format!("{turn}-{}", self.refused);
            let pair = format!("{name}={value}");
            wait::until("a command to be acknowledged", wait::GENEROUS, async || {
                // Its outcome may have been unknown before: setting it again changes nothing.
                cli.ok(&["env", "set", &pair, "-a", APP]).await.map(drop)
            })
            .await?;
            self.acknowledged.insert(name, value);
        }
        Ok(())
    }

    /// A node without a quorum says so, soon, and does nothing.
    async fn is_refused(&mut self, cluster: &Cluster, index: usize) -> Result<()> {
        self.refused += 1;
        let pair = format!("REFUSED_{}=1", self.refused);
        let cli = cluster.cli_to(&[index]);
        let refusal = ["env", "set", &pair, "-a", APP];
        let output = cli.refused(UNREACHABLE, &[], &refusal).await?;
        ensure!(output.took <= REFUSED_WITHIN, "refused too late: {output}");
        Ok(())
    }

    async fn all_is_there(&self, cluster: &Cluster) -> Result<()> {
        let show = ["env", "-a", APP, "-o", "json"];
        let output = cluster.cli.ok(&show).await?;
        let parsed: serde_json::Value = serde_json::from_str(&output.stdout)?;
        let there = parsed.get("variables").unwrap_or(&parsed);
        for (name, value) in &self.acknowledged {
            let found = there.get(name).and_then(serde_json::Value::as_str);
            ensure!(
                found == Some(value),
                "{name}={value} was acknowledged, {found:?} is there"
            );
        }
        Ok(())
    }
}

/// Waits until all nodes name the same leader of the same term, and that one agrees.
async fn agreed(cluster: &Cluster, within: Duration) -> Result<usize> {
    let what = "all nodes to agree on one leader";
    wait::until(what, within, async || {
        let asked = (0..NODES).map(async |index| cluster.api(index)?.status().await);
        let mut named = Vec::new();
        for (index, status) in futures::future::join_all(asked)
            .await
            .into_iter()
            .enumerate()
        {
            let status = status.with_context(|| format!("node{} is silent", index + 1))?;
            named.push((status.term, status.leader_id, status.node_id));
        }
        let (term, leader, _) = named[0];
        let same = |(other, id, _): &(u64, u64, u64)| (*other, *id) == (term, leader);
        ensure!(leader != 0 && named.iter().all(same), "they name {named:?}");
        match named.iter().position(|(_, _, own)| *own == leader) {
            Some(index) => Ok(index),
            None => bail!("the leader {leader} is none of ours"),
        }
    })
    .await
}
