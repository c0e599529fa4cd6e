//! The tree of a process on a machine without usable cgroups: searched in `/proc` by a variable
//! that every descendant inherits. A program that clears its environment and detaches itself gets
//! away, which is why the ladder calls this advisory.

use std::fs;

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
    let wanted = format!("{MARK}={mark}");
    let all = fs::read_dir("/proc").into_iter().flatten().flatten();
    let all = all.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let marked = |pid: &u32| {
        let env = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        env.split(|byte| *byte == 0)
            .any(|variable| variable == wanted.as_bytes())
    };
    all.filter(|pid| Some(*pid) == main || marked(pid))
        .filter(|pid| identity::stat(*pid).is_ok_and(|stat| !stat.is_dead()))
        .collect()
}

/// SIGKILL to all of them. Those forked meanwhile are found by the next call.
pub(super) fn kill(mark: &str, main: Option<u32>) {
    for pid in pids(mark, main) {
        if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
            let _ = rustix::process::kill_process(pid, Signal::KILL);
        }
    }
}

/// Sums over the tree; memory counts shared pages more than once.
pub(super) fn reading(mark: &str, main: Option<u32>) -> Reading {
    let page = sys::page_size();
    let mut reading = Reading::default();
    for stat in pids(mark, main)
        .into_iter()
        .filter_map(|pid| identity::stat(pid).ok())
    {
        reading.cpu_usec += stat.cpu_ticks * 1_000_000 / sys::ticks_per_second();
        reading.memory_bytes += stat.resident_pages * page;
        reading.pids += 1;
    }
    reading
}
