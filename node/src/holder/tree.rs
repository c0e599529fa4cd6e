//! The tree of a process on a machine without usable cgroups: searched in `/proc` by a variable
//! that every descendant inherits. A program that clears its environment and detaches itself gets
//! away, which is why the ladder calls this advisory.

use std::{collections::BTreeMap, fs};

use rustix::process::{Pid, Signal};

use super::{cgroup::Reading, identity, spec::ProcessId, sys};

/// The variable that marks the processes of a holder.
pub(super) const MARK: &str = "FLEET_HELD";

/// Value of the mark: unique per node and process name.
pub(super) fn mark(node: &str, id: &ProcessId) -> String {
    format!("{node}/{id}")
}

/// The living processes that carry this mark, and `main`, which may have lost it.
pub(super) fn pids(mark: &str, main: Option<u32>) -> Vec<u32> {
    everybody()
        .filter(|pid| Some(*pid) == main || marks(*pid).iter().any(|found| found == mark))
        .filter(|pid| identity::stat(*pid).is_ok_and(|stat| !stat.is_dead()))
        .collect()
}

fn everybody() -> impl Iterator<Item = u32> {
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

/// The marks of a process; more than one where a holder runs below another.
fn marks(pid: u32) -> Vec<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
    let variables = environment.split(|byte| *byte == 0);
    let mark = |variable: &[u8]| {
        let variable = std::str::from_utf8(variable).ok()?;
        variable
            .strip_prefix(MARK)?
            .strip_prefix('=')
            .map(str::to_owned)
    };
    variables.filter_map(mark).collect()
}

/// SIGKILL to all of them. Those forked meanwhile are found by the next call.
pub(super) fn kill(mark: &str, main: Option<u32>) {
    for pid in pids(mark, main) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// Sums over each tree, in the order asked for; memory counts shared pages more than once. `/proc` is
/// searched once, however many are asked for.
pub(super) fn readings(asked: &[(String, Option<u32>)]) -> Vec<Reading> {
    let mut readings = vec![Reading::default(); asked.len()];
    if asked.is_empty() {
        return readings;
    }
    let by_mark = asked.iter().enumerate().map(|(at, (mark, _))| (mark, at));
    let by_mark: BTreeMap<&String, usize> = by_mark.collect();
    let by_main = asked
        .iter()
        .enumerate()
        .filter_map(|(at, (_, main))| Some(((*main)?, at)));
    let by_main: BTreeMap<u32, usize> = by_main.collect();
    for pid in everybody() {
        let main = by_main.get(&pid).copied();
        let marked = || {
            marks(pid)
                .iter()
                .find_map(|mark| by_mark.get(mark).copied())
        };
        let Some(reading) = main.or_else(marked).and_then(|at| readings.get_mut(at)) else {
            continue;
        };
        if let Ok(stat) = identity::stat(pid)
            && !stat.is_dead()
        {
            reading.cpu_usec += stat.cpu_ticks * 1_000_000 / sys::ticks_per_second();
            reading.memory_bytes += stat.resident_pages * sys::page_size();
            reading.pids += 1;
        }
    }
    readings
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::process::{Child, Command};

    use super::*;

    struct Sleeper(Child);

    impl Sleeper {
        fn marked(mark: &str) -> Self {
            let mut program = Command::new("sleep");
            Self(program.arg("1000").env(MARK, mark).spawn().unwrap())
        }
    }

    impl Drop for Sleeper {
        fn drop(&mut self) {
            self.0.kill().unwrap();
            self.0.wait().unwrap();
        }
    }

    #[test]
    fn one_search_finds_every_tree() {
        let mark = |name: &str| format!("{}/{name}", std::process::id());
        let sleepers = ["f-1", "f-2", "f-1"].map(|name| Sleeper::marked(&mark(name)));
        let pids = sleepers.each_ref().map(|sleeper| sleeper.0.id());
        // Between fork and exec a child still has the environment of its parent.
        while pids.iter().any(|pid| marks(*pid).is_empty()) {
            std::thread::yield_now();
        }
        let asked = [
            (mark("f-2"), Some(pids[1])),
            (mark("f-1"), None),
            (mark("f-3"), None),
            // It has lost its mark, but the holder knows it.
            ("lost".to_owned(), Some(std::process::id())),
        ];
        let found: Vec<u32> = readings(&asked)
            .iter()
            .map(|reading| reading.pids)
            .collect();
        assert_eq!(found, [1, 2, 0, 1]);
        assert!(readings(&asked)[1].memory_bytes > 0);
        assert_eq!(readings(&[]), []);
    }
}
