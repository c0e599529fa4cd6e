//! Which processes live, sampled over time: what was started, what ended, and what lived twice.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use crate::process::{self, Process, Role};

/// The processes of a node at one moment, without the agent (which tests kill and restart).
pub fn of(dirs: &[PathBuf], roles: &[Role]) -> BTreeSet<Process> {
    dirs.iter()
        .flat_map(|dir| {
            let all = process::of_node(dir);
            roles
                .iter()
                .flat_map(|role| process::with_role(&all, *role))
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Fails with what ended and what began, unless nothing did.
pub fn unchanged(before: &BTreeSet<Process>, after: &BTreeSet<Process>) -> anyhow::Result<()> {
    let ended: Vec<_> = before.difference(after).collect();
    let began: Vec<_> = after.difference(before).collect();
    anyhow::ensure!(
        ended.is_empty() && began.is_empty(),
        "ended: {ended:?}; began: {began:?}"
    );
    Ok(())
}

/// Every process seen while it was sampled, by pid and start time.
#[derive(Debug, Default)]
pub struct Census {
    seen: BTreeMap<(i32, u64), Process>,
    first: Option<BTreeSet<(i32, u64)>>,
}

impl Census {
    /// Adds one sample.
    pub fn take(&mut self, alive: &BTreeSet<Process>) {
        let keys: BTreeSet<(i32, u64)> = alive.iter().map(|p| (p.pid, p.started)).collect();
        self.first.get_or_insert(keys);
        self.seen
            .extend(alive.iter().map(|p| ((p.pid, p.started), p.clone())));
    }

    /// Processes that were not there at the first sample.
    pub fn started(&self) -> Vec<&Process> {
        let first = self.first.as_ref();
        self.seen
            .iter()
            .filter(|(key, _)| first.is_some_and(|first| !first.contains(key)))
            .map(|(_, process)| process)
            .collect()
    }
}
