//! Counts the frontends of a service again and again, as the cluster's own lists show them.

use std::time::Duration;

use anyhow::Result;
use fleet_proto::v1::ProcessStatus;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::api::Api;

/// How often is looked.
pub const INTERVAL: Duration = Duration::from_millis(100);

/// One look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// In routing and healthy.
    pub healthy: usize,
    /// All that are there, starting and stopping ones too.
    pub total: usize,
}

/// Counting under way; ends with [`Sampler::stop`].
#[derive(Debug)]
pub struct Sampler {
    stop: watch::Sender<bool>,
    looking: JoinHandle<Vec<Sample>>,
}

impl Sampler {
    /// Looks through any node of `apis` that answers; a look that nobody answers is left out.
    pub fn start(apis: Vec<Api>, app: &str, service: &str) -> Sampler {
        let (stop, mut stopped) = watch::channel(false);
        let (app, service) = (app.to_owned(), service.to_owned());
        let looking = tokio::spawn(async move {
            let mut samples = Vec::new();
            let mut ticks = tokio::time::interval(INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
            loop {
                tokio::select! {
                    _ = ticks.tick() => samples.extend(look(&apis, &app, &service).await),
                    _ = stopped.changed() => return samples,
                }
            }
        });
        Sampler { stop, looking }
    }

    /// Everything that was seen.
    pub async fn stop(self) -> Result<Vec<Sample>> {
        // The task may have ended by itself only by panicking, which the join tells.
        let _ = self.stop.send(true);
        Ok(self.looking.await?)
    }
}

async fn look(apis: &[Api], app: &str, service: &str) -> Option<Sample> {
    for api in apis {
        let Ok(frontends) = api.frontends(app).await else {
            continue;
        };
        let statuses: Vec<ProcessStatus> = frontends
            .iter()
            .filter(|frontend| frontend.service == service && frontend.environment == "prod")
            .map(|frontend| frontend.status())
            .collect();
        let count = |there: fn(ProcessStatus) -> bool| {
            statuses.iter().filter(|status| there(**status)).count()
        };
        return Some(Sample {
            healthy: count(|status| status == ProcessStatus::Running),
            total: count(|status| {
                !matches!(
                    status,
                    ProcessStatus::Complete | ProcessStatus::Failed | ProcessStatus::Lost
                )
            }),
        });
    }
    None
}
