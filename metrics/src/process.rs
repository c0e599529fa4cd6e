//! What the kernel says of this process, under the names that collectors know.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::{Resource, getrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::{Family, Kind, Page};

/// The families of [`Process::write`].
pub const PROCESS: [Family; 5] = [CPU, RESIDENT, FDS, MOST_FDS, STARTED];

const CPU: Family = gauge_or(
    Kind::Counter,
    "process_cpu_seconds_total",
    "CPU time that this process has used, of user and system, in seconds",
);
const RESIDENT: Family = gauge_or(
    Kind::Gauge,
    "process_resident_memory_bytes",
    "memory of this process that is resident",
);
const FDS: Family = gauge_or(
    Kind::Gauge,
    "process_open_fds",
    "file descriptors that this process has open",
);
const MOST_FDS: Family = gauge_or(
    Kind::Gauge,
    "process_max_fds",
    "file descriptors that this process may have open",
);
const STARTED: Family = gauge_or(
    Kind::Gauge,
    "process_start_time_seconds",
    "when this process began to serve, in seconds since 1970",
);

const fn gauge_or(kind: Kind, name: &'static str, help: &'static str) -> Family {
    Family {
        name,
        kind,
        labels: &[],
        help,
    }
}

/// This process.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    started: SystemTime,
}

impl Process {
    /// To be called once, when the process begins.
    pub fn begins() -> Self {
        Self {
            started: SystemTime::now(),
        }
    }

    /// Writes what is known now. What the kernel does not tell has no series.
    pub fn write(&self, page: &mut Page) {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = Duration::try_from(cpu).unwrap_or_default();
        page.one(&CPU, cpu.as_secs_f64());
        let mut family = page.family(&RESIDENT);
        if let Some(bytes) = resident() {
            family.add(&[], bytes);
        }
        let mut family = page.family(&FDS);
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // One of them is that of the directory itself.
            family.add(&[], (open.count() as u64).saturating_sub(1));
        }
        let mut family = page.family(&MOST_FDS);
        if let Some(most) = getrlimit(Resource::Nofile).current {
            family.add(&[], most);
        }
        let since = self.started.duration_since(UNIX_EPOCH).unwrap_or_default();
        page.one(&STARTED, since.as_secs_f64());
    }
}

fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kibibytes: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kibibytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    #[test]
    fn the_kernel_tells_of_this_process() {
        let process = Process::begins();
        let open = std::fs::File::open("/proc/self/status").unwrap();
        let mut page = Page::new();
        process.write(&mut page);
        let read = read(&page.into_text()).unwrap();
        assert_eq!(read.len(), PROCESS.len());
        let value = |family: &Family| read[family.name].samples[0].value;
        assert!(value(&CPU) > 0.0);
        assert!(value(&RESIDENT) > 100_000.0, "{}", value(&RESIDENT));
        assert!((4.0..=value(&MOST_FDS)).contains(&value(&FDS)));
        assert!(value(&STARTED) > 1.7e9);
        drop(open);
    }
}
