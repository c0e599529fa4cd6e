//! A service that is scaled by its load, and what is seen of its count.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use fleet_proto::v1;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::api::Api;
use crate::app;
use crate::cluster::Cluster;
use crate::wait;
use crate::workload::{Load, Running};

/// The service that is scaled.
pub const SERVICE: &str = "www";

pub const MIN: u32 = 2;
pub const MAX: u32 = 10;

/// Requests a second that each frontend is meant for.
pub const RPS: u32 = 50;

/// Six milliseconds at the till: a frontend serves 160 requests a second, so that a load that two
/// cannot carry queues up visibly, costs no CPU, and is carried again once the count has followed.
pub const PAGE: &str = "/till?ms=6";

/// The shop, scaled by requests; CPU is a signal too, so that workers are listened to, but never the
/// one that decides.
pub const MANIFEST: &str = "\
services:
  www:
    command: [/usr/bin/python3, -I, -B, shop.py]
    port: 8000
    health: {path: /health, interval: 5, timeout: 2, grace: 20}
    scale:
      min: 2
      max: 10
      targets: {rps: 50, cpu: 1000}
      autoscale: {cooldownPeriod: 10}
";

/// Requests for [`PAGE`] through the ingresses of `nodes`.
pub fn load(cluster: &Cluster, nodes: &[usize], rate: u32) -> Running {
    let ingresses = nodes.iter().map(|node| cluster.nodes[*node].http());
    let load = Load {
        host: app::host(SERVICE),
        path: PAGE.to_owned(),
        ingresses: ingresses.collect(),
        rate,
    };
    load.start()
}

/// What the leader says of the service in the active release.
pub async fn described(api: &Api) -> Result<v1::ScaledService> {
    let said = api.autoscaling(app::APP, "prod").await?;
    let active = said.releases.into_iter().find(|release| release.active);
    let mut services = active.context("no release is active")?.services.into_iter();
    let service = services.find(|service| service.name == SERVICE);
    service.with_context(|| format!("{SERVICE} is not scaled"))
}

/// Waits until the count that is wanted passes; `what` names it.
pub async fn wanted(
    api: &Api,
    what: &str,
    within: Duration,
    passes: impl Fn(u32) -> bool,
) -> Result<()> {
    wait::until(what, within, async || {
        let now = described(api).await?;
        ensure!(
            passes(now.desired),
            "{} are wanted: {}",
            now.desired,
            now.next
        );
        Ok(())
    })
    .await
}

/// One look at the service, over all loaded releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub at: Instant,
    /// Wanted of all releases together: of one, unless a rollout is under way.
    pub desired: u32,
    pub healthy: u32,
    /// A rollout is under way.
    pub rolling: bool,
}

impl Count {
    /// Of one release no fewer than the minimum and no more than the maximum; while two share the
    /// load, at least half of it and at most twice, for the manifest says nothing of `deployment`.
    fn within_bounds(&self) -> bool {
        match self.rolling {
            false => (MIN..=MAX).contains(&self.desired),
            true => (MIN.div_ceil(2)..=2 * MAX).contains(&self.desired),
        }
    }
}

/// Looks every 100 ms; ends with [`Counts::stop`].
#[derive(Debug)]
pub struct Counts {
    seen: Arc<Mutex<Vec<Count>>>,
    stop: watch::Sender<bool>,
    looking: JoinHandle<()>,
}

/// How often is looked.
const INTERVAL: Duration = Duration::from_millis(100);

impl Counts {
    /// Looks through any node of `apis` that answers; a look that nobody answers is left out.
    pub fn watch(apis: Vec<Api>) -> Counts {
        let seen = Arc::<Mutex<Vec<Count>>>::default();
        let (stop, mut stopped) = watch::channel(false);
        let found = Arc::clone(&seen);
        let looking = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                let look = tokio::select! {
                    _ = ticks.tick() => look(&apis).await,
                    _ = stopped.changed() => return,
                };
                let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
                found.extend(look);
            }
        });
        Counts {
            seen,
            stop,
            looking,
        }
    }

    /// What was seen until now.
    pub fn so_far(&self) -> Vec<Count> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.clone()
    }

    /// Everything that was seen; an error if it was nothing, or if a count was out of bounds.
    pub async fn stop(self) -> Result<Vec<Count>> {
        self.stop.send_replace(true);
        self.looking.await?;
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        ensure!(!seen.is_empty(), "nobody answered a look");
        for count in seen.iter() {
            ensure!(count.within_bounds(), "out of bounds: {count:?}");
        }
        Ok(seen.clone())
    }
}

/// The counts wanted, one after another, without repetition.
pub fn steps(seen: &[Count]) -> Vec<u32> {
    let mut steps: Vec<u32> = seen.iter().map(|count| count.desired).collect();
    steps.dedup();
    steps
}

async fn look(apis: &[Api]) -> Option<Count> {
    for api in apis {
        let Ok(found) = api.environment(app::APP, "prod").await else {
            continue;
        };
        let services = found.releases.iter().flat_map(|release| &release.services);
        let services: Vec<_> = services.filter(|s| s.name == SERVICE).collect();
        return Some(Count {
            at: Instant::now(),
            desired: services.iter().map(|service| service.desired).sum(),
            healthy: services.iter().map(|service| service.healthy).sum(),
            rolling: found.rollout.is_some(),
        });
    }
    None
}
