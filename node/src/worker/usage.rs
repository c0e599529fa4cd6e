//! What frontends use, and what there is to use.

use std::sync::Arc;
use std::time::Duration;

use fleet_proto::internal as wire;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::machine::chain;
use super::runtime::{FrontendKey, Runtime};
use super::supervisor::View;
use crate::clock;

/// Between two readings. The autoscaler's windows are minutes; counters lose nothing in between.
const EVERY: Duration = Duration::from_secs(5);

/// The latest readings of all running frontends, until nobody reads them.
pub(crate) fn sample<R: Runtime>(
    runtime: Arc<R>,
    views: watch::Receiver<View>,
) -> watch::Receiver<wire::WorkerUsage> {
    let (publish, readings) = watch::channel(wire::WorkerUsage::default());
    tokio::spawn(async move {
        let mut ticks = interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !publish.is_closed() {
            ticks.tick().await;
            let census = views.borrow().census.clone();
            let running = census.values().filter(|observed| observed.pid.is_some());
            let ids: Vec<_> = running.map(|observed| FrontendKey(observed.id.0)).collect();
            if ids.is_empty() {
                continue;
            }
            match runtime.usage(&ids).await {
                Ok(usages) => drop(publish.send_replace(report(usages))),
                // A gap is told as a gap: nothing is sent.
                Err(error) => tracing::debug!(error = %chain(&error), "no readings of frontends"),
            }
        }
    });
    readings
}

fn report(usages: Vec<super::runtime::Usage>) -> wire::WorkerUsage {
    let frontends = usages.into_iter().map(|usage| wire::FrontendUsage {
        frontend_id: usage.id.0,
        cpu_usec: usage.cpu_usec,
        memory_bytes: usage.memory_bytes,
    });
    wire::WorkerUsage {
        frontends: frontends.collect(),
        sampled_unix_ms: clock::unix_ms(),
    }
}

/// CPU time that this machine can give per second, in thousandths of a core.
pub(crate) fn cpu_millicores() -> u32 {
    let cores = std::thread::available_parallelism().map_or(1, |cores| cores.get());
    u32::try_from(cores.saturating_mul(1000)).unwrap_or(u32::MAX)
}

/// Memory of this machine.
pub(crate) fn memory_bytes() -> u64 {
    let info = rustix::system::sysinfo();
    info.totalram.saturating_mul(u64::from(info.mem_unit))
}
