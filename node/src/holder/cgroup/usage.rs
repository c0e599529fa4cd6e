//! What a cgroup has used, read from its files (32 µs, engineering/runtime.md section 5).

use std::{fs, path::Path};

use super::{Cgroup, Kind};

/// One reading; 0 for what the machine does not account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct Reading {
    pub(in super::super) cpu_usec: u64,
    /// Without file cache that could be reclaimed.
    pub(in super::super) memory_bytes: u64,
    pub(in super::super) pids: u32,
    pub(in super::super) oom_kills: u64,
}

pub(super) fn read(cgroup: &Cgroup) -> Reading {
    let mut reading = Reading::default();
    if let Some(dir) = cgroup.dir(Kind::Unified) {
        // Accounted in every v2 cgroup, with or without the cpu controller.
        reading.cpu_usec = field(&dir.join("cpu.stat"), "usage_usec");
    }
    match cgroup.dir_about(Kind::Memory) {
        Some((Kind::Unified, dir)) => {
            let cache = field(&dir.join("memory.stat"), "inactive_file");
            reading.memory_bytes = number(&dir.join("memory.current")).saturating_sub(cache);
            reading.oom_kills = field(&dir.join("memory.events"), "oom_kill");
        }
        Some((_, dir)) => {
            let cache = field(&dir.join("memory.stat"), "total_inactive_file");
            reading.memory_bytes = number(&dir.join("memory.usage_in_bytes")).saturating_sub(cache);
            reading.oom_kills = field(&dir.join("memory.oom_control"), "oom_kill");
        }
        None => {}
    }
    let pids = cgroup
        .dir_about(Kind::Pids)
        .map_or(0, |(_, dir)| number(&dir.join("pids.current")));
    let pids = if pids > 0 {
        pids
    } else {
        cgroup.pids().len() as u64
    };
    reading.pids = u32::try_from(pids).unwrap_or(u32::MAX);
    reading
}

fn number(path: &Path) -> u64 {
    fs::read_to_string(path)
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(0)
}

/// The value behind `name` in a file of lines `name value`.
fn field(path: &Path, name: &str) -> u64 {
    let text = fs::read_to_string(path).unwrap_or_default();
    let mut values = text.lines().filter_map(|line| line.split_once(' '));
    values
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}
