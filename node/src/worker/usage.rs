//! What frontends use, and what there is to use.

use std::sync::Arc;
use std::time::Duration;

use fleet_proto::internal as wire;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::machine::chain;
use super::runtime::{self, FrontendKey, Runtime};
use super::supervisor::{Census, View};
use crate::clock;

/// Between two readings: load that grows tenfold is to be answered within seconds, and a panic window
/// is six seconds long.
const EVERY: Duration = Duration::from_secs(1);

/// How many frontends the holder is asked about at once. It has one thread, and a reading takes it
/// 32 us (`holder/cgroup/usage.rs`): starts and stops wait 2 ms for it at most.
const AT_ONCE: usize = 64;

/// The latest readings of all running frontends, until nobody reads them. Who reads slowly misses
/// some; nothing queues up here.
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
            let running = running(&views.borrow().census);
            if running.is_empty() {
                continue;
            }
            match read(runtime.as_ref(), &running).await {
                Ok(usage) => drop(publish.send_replace(usage)),
                // A gap is told as a gap: nothing is sent.
                Err(error) => tracing::debug!(error = %chain(&error), "no readings of frontends"),
            }
        }
    });
    readings
}

fn running(census: &Census) -> Vec<FrontendKey> {
    let running = census.values().filter(|observed| observed.pid.is_some());
    running.map(|observed| FrontendKey(observed.id.0)).collect()
}

/// Reads all of them; the times are those of the beginning.
async fn read<R: Runtime>(
    runtime: &R,
    running: &[FrontendKey],
) -> Result<wire::WorkerUsage, runtime::Error> {
    let mut usage = wire::WorkerUsage {
        frontends: Vec::with_capacity(running.len()),
        sampled_unix_ms: clock::unix_ms(),
        sampled_boot_ms: clock::Boot::now().0,
    };
    for some in running.chunks(AT_ONCE) {
        let read = runtime.usage(some).await?;
        usage.frontends.extend(read.into_iter().map(to_wire));
    }
    Ok(usage)
}

fn to_wire(usage: runtime::Usage) -> wire::FrontendUsage {
    wire::FrontendUsage {
        frontend_id: usage.id.0,
        cpu_usec: usage.cpu_usec,
        memory_bytes: usage.memory_bytes,
        processes: usage.processes,
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

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    /// docs/autoscaling.md says what reports cost.
    #[test]
    fn a_reading_of_a_frontend_takes_at_most_24_bytes() {
        let usage = runtime::Usage {
            id: FrontendKey(1_000_000),
            // A core for a day, 100 GiB, and more processes than a limit allows.
            cpu_usec: 86_400_000_000,
            memory_bytes: 100 << 30,
            processes: 10_000,
        };
        let of = |frontends: usize| {
            let usage = wire::WorkerUsage {
                frontends: vec![to_wire(usage.clone()); frontends],
                sampled_unix_ms: 1_700_000_000_000,
                sampled_boot_ms: 1_000_000_000,
            };
            usage.encoded_len()
        };
        assert!(of(1000) - of(0) <= 24 * 1000, "{}", of(1000));
        assert!(of(0) <= 24, "{}", of(0));
    }
}
