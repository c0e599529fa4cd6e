//! From the `kill -9` of a leader to the next acknowledged write: trials, and how they are spread.
//!
//! The client knows every address and begins an attempt at each of them every few milliseconds,
//! whether or not the ones before have ended; the first acknowledgement ends the trial. So what is
//! measured is the cluster, and neither how a client walks down its list nor how long it waits for an
//! answer that was lost with the leader.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_proto::v1;
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;

use crate::app;
use crate::cluster::Cluster;
use crate::etcd::{self, Etcd};
use crate::process::Role;
use crate::wait;

/// Between two attempts at one address.
const PACE: Duration = Duration::from_millis(20);

/// What a contender took in every trial.
#[derive(Debug)]
pub struct Spread {
    pub name: &'static str,
    /// Its timers, for whoever compares.
    pub timers: &'static str,
    pub times: Vec<Duration>,
}

impl Spread {
    pub fn new(name: &'static str, timers: &'static str) -> Spread {
        Spread {
            name,
            timers,
            times: Vec::new(),
        }
    }

    /// The time that `percent` of the trials did not exceed.
    pub fn at(&self, percent: usize) -> Duration {
        let mut sorted = self.times.clone();
        sorted.sort_unstable();
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "  {:<6} {:<42}", self.name, self.timers)?;
        for percent in [0, 50, 90, 100] {
            write!(f, " {:>6} ms", self.at(percent).as_millis())?;
        }
        Ok(())
    }
}

/// Kills our leader's control process; returns when the cluster is whole again.
pub async fn fleet(cluster: &Cluster, trial: usize) -> Result<Duration> {
    let leader = cluster.ready().await?;
    let apis: Vec<_> = (0..cluster.nodes.len())
        .map(|index| cluster.api(index))
        .collect::<Result<_>>()?;
    let victim = cluster.nodes[leader].process(Role::Control)?;
    let began = Instant::now();
    victim.kill()?;
    let write = |index: usize, attempt: u64| {
        let mut environments = apis[index].environments();
        async move {
            let request = v1::SetAutoscalingLimitsRequest {
                request_id: format!("failover-{trial}-{index}-{attempt}"),
                app: app::APP.to_owned(),
                environment: "prod".to_owned(),
                min: 2,
                max: 10 + u32::try_from(attempt % 2)?,
            };
            environments.set_autoscaling_limits(request).await?;
            Ok(())
        }
    };
    first_acknowledged(apis.len(), write).await?;
    let took = began.elapsed();
    cluster.ready().await?;
    Ok(took)
}

/// Kills etcd's leader and starts it again afterwards; returns when the cluster is whole again.
pub async fn etcd(cluster: &mut Etcd) -> Result<Duration> {
    let leader = cluster.ready().await?;
    let addresses = cluster.addresses();
    let began = Instant::now();
    cluster.kill(leader)?;
    first_acknowledged(addresses.len(), |index, _| etcd::put(addresses[index])).await?;
    let took = began.elapsed();
    cluster.restart(leader)?;
    cluster.ready().await?;
    Ok(took)
}

/// The first success of attempts that begin at a steady pace at every address.
async fn first_acknowledged<F: Future<Output = Result<()>>>(
    addresses: usize,
    write: impl Fn(usize, u64) -> F,
) -> Result<()> {
    let mut pace = tokio::time::interval(PACE);
    let mut attempts = FuturesUnordered::new();
    let mut turn = 0;
    let acknowledged = async {
        loop {
            tokio::select! {
                _ = pace.tick() => {
                    turn += 1;
                    attempts.extend((0..addresses).map(|index| write(index, turn)));
                }
                Some(Ok(())) = attempts.next() => return,
            }
        }
    };
    tokio::time::timeout(wait::GENEROUS, acknowledged)
        .await
        .context("nothing is acknowledged any more")
}

/// Trials of every contender in turn, so that what else the machine does falls on all alike; `told`
/// hears of every trial. Without a program for it, etcd is left out.
pub async fn trials(
    trials: usize,
    etcd_program: Option<&Path>,
    told: impl Fn(usize),
) -> Result<Vec<Spread>> {
    ensure!(trials > 0, "no trials asked for");
    let cluster = Cluster::start(3).await?;
    cluster.cli.ok(&["apps", "create", app::APP]).await?;
    let root = cluster.path().join("etcd");
    let mut peers = Vec::new();
    if let Some(program) = etcd_program {
        for (name, timers, heartbeat_ms, election_ms) in [
            ("etcd", "its defaults: 100, 1000-2000 ms", 100, 1_000),
            ("etcd", "as fleet's: 100, 500-1000 ms", 100, 500),
        ] {
            let timers_of = etcd::Timers {
                heartbeat_ms,
                election_ms,
            };
            let root = root.join(election_ms.to_string());
            let peer = Etcd::start(program, &root, timers_of).await?;
            peers.push((peer, Spread::new(name, timers)));
        }
    }
    let mut ours = Spread::new("fleet", "its defaults: 100, 500-1000 ms");
    for trial in 0..trials {
        ours.times.push(fleet(&cluster, trial).await?);
        for (peer, spread) in &mut peers {
            spread.times.push(etcd(peer).await?);
        }
        told(trial + 1);
    }
    let mut spreads = vec![ours];
    spreads.extend(peers.into_iter().map(|(_, spread)| spread));
    cluster.end()?;
    Ok(spreads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_is_read_at_its_ranks() {
        let mut spread = Spread::new("x", "none");
        spread.times = (1..=30).rev().map(Duration::from_millis).collect();
        let at = |percent| spread.at(percent).as_millis();
        assert_eq!([at(0), at(50), at(90), at(100)], [1, 15, 27, 30]);
        assert_eq!(Spread::new("x", "none").at(50), Duration::ZERO);
    }
}
