//! When each process of a service lived, seen from outside: for services of which there may never be
//! two. Begins are what the kernel says, ends are the last time a process was seen.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow, ensure};
use rustix::time::{ClockId, clock_gettime};

use crate::process::{self, Role};
use crate::wait;

/// Between two looks; two lives are told apart by it, so it is short against every grace.
const LOOK: Duration = Duration::from_millis(50);

/// One process, in milliseconds since the machine was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Life {
    pub pid: i32,
    pub began: u64,
    pub last_seen: u64,
}

/// Looking under way; ends with [`Lives::stop`].
#[derive(Debug)]
pub struct Lives {
    stop: Arc<AtomicBool>,
    looks: Arc<AtomicUsize>,
    looking: JoinHandle<BTreeMap<(i32, u64), Life>>,
}

impl Lives {
    /// Watches all frontends of `service` below `dirs`.
    pub fn watch(dirs: Vec<PathBuf>, service: &str) -> Lives {
        let stop = Arc::new(AtomicBool::new(false));
        let looks = Arc::new(AtomicUsize::new(0));
        let (stopped, looked) = (Arc::clone(&stop), Arc::clone(&looks));
        let service = service.to_owned();
        let looking = std::thread::spawn(move || {
            let mut seen = BTreeMap::new();
            loop {
                look(&dirs, &service, &mut seen);
                looked.fetch_add(1, Ordering::Relaxed);
                if wait::blocking(LOOK, || stopped.load(Ordering::Relaxed)) {
                    return seen;
                }
            }
        });
        Lives {
            stop,
            looks,
            looking,
        }
    }

    /// How often it has looked.
    pub fn looks(&self) -> usize {
        self.looks.load(Ordering::Relaxed)
    }

    /// Every life that was seen, in the order of their begins.
    pub fn stop(self) -> Result<Vec<Life>> {
        self.stop.store(true, Ordering::Relaxed);
        let seen = self
            .looking
            .join()
            .map_err(|_| anyhow!("the look-out panicked"))?;
        let mut lives: Vec<Life> = seen.into_values().collect();
        lives.sort_by_key(|life| life.began);
        Ok(lives)
    }
}

/// The shortest time between the end of one life and the begin of the next; an error if two of them
/// overlap.
pub fn apart(lives: &[Life]) -> Result<Option<Duration>> {
    let mut shortest = None;
    for (index, life) in lives.iter().enumerate() {
        for other in &lives[index + 1..] {
            ensure!(
                other.began > life.last_seen,
                "two at once: {life:?} and {other:?}"
            );
            let gap = Duration::from_millis(other.began - life.last_seen);
            shortest = Some(shortest.map_or(gap, |before: Duration| before.min(gap)));
        }
    }
    Ok(shortest)
}

fn look(dirs: &[PathBuf], service: &str, seen: &mut BTreeMap<(i32, u64), Life>) {
    for dir in dirs {
        let all = process::with_role(&process::of_node(dir), Role::Frontend);
        let ours = all
            .iter()
            .filter(|process| process.variable("SERVICE").as_deref() == Some(service));
        for process in ours {
            // Read before the look that counts.
            let now = since_boot();
            if process.is_alive() {
                let life = Life {
                    pid: process.pid,
                    // In the kernel's steps of 10 ms.
                    began: process.started * 10,
                    last_seen: now,
                };
                let known = seen.entry((process.pid, process.started)).or_insert(life);
                known.last_seen = now;
            }
        }
    }
}

fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds * 1_000 + u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn life(pid: i32, began: u64, last_seen: u64) -> Life {
        Life {
            pid,
            began,
            last_seen,
        }
    }

    #[test]
    fn an_overlap_is_found_wherever_it_is() {
        let gap = apart(&[life(1, 0, 100), life(2, 150, 300), life(3, 320, 400)]);
        assert_eq!(gap.unwrap(), Some(Duration::from_millis(20)));
        assert!(apart(&[life(1, 0, 100), life(2, 100, 300)]).is_err());
        // Also with one that comes back under a later one.
        assert!(apart(&[life(1, 0, 350), life(2, 400, 500), life(3, 450, 460)]).is_err());
        assert_eq!(apart(&[life(1, 0, 100)]).unwrap(), None);
    }

    #[test]
    fn a_process_is_seen_from_its_begin_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let lives = Lives::watch(vec![dir.path().to_path_buf()], "clock");
        let mut child = std::process::Command::new("sleep")
            .arg("600")
            .env("SERVICE", "clock")
            .current_dir(dir.path())
            .spawn()
            .unwrap();
        // The second look after its begin has begun after it.
        let begun = lives.looks();
        assert!(wait::blocking(wait::GENEROUS, || lives.looks() >= begun + 2));
        child.kill().unwrap();
        child.wait().unwrap();
        let seen = lives.stop().unwrap();
        assert_eq!(seen.len(), 1, "{seen:?}");
        assert!(seen[0].last_seen >= seen[0].began, "{seen:?}");
    }
}
