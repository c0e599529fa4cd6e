//! The schedule of backups, and what became of those that were due.

use std::sync::Arc;

use super::{Code, Detail, Rejection, itself};
use crate::{
    State, Time,
    backup::{Attempt, LONGEST, MOST_KEPT, SHORTEST, Schedule, Taken},
    event::Kind,
    ids::NodeId,
};

/// What became of a backup that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BackupResult {
    /// Written and durable.
    Taken {
        index: u64,
        path: String,
        bytes: u64,
        hash: String,
    },
    Failed {
        reason: String,
    },
}

/// Longest name of a directory, in bytes: that of Linux.
const LONGEST_PATH: usize = 4_096;

pub(super) fn schedule(
    state: &mut State,
    schedule: Option<Schedule>,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let sentence = match &schedule {
        Some(schedule) => {
            check(schedule)?;
            format!(
                "a backup is taken every {} and {} are kept",
                schedule.every, schedule.keep
            )
        }
        None => "backups are no longer taken by schedule".to_owned(),
    };
    state.backups.schedule = schedule;
    // Due at once: whoever sets a schedule sees whether it works.
    state.backups.last = None;
    trim(state);
    state.record(Kind::Cluster, actor, None, "backup", sentence);
    Ok(Detail::Done)
}

fn check(schedule: &Schedule) -> Result<(), Rejection> {
    let invalid = |message: String, hint: &str| {
        Err(Rejection::new(Code::InvalidValue, message).hint(hint.to_owned()))
    };
    if !(SHORTEST..=LONGEST).contains(&schedule.every) {
        let text = format!("a backup every {} is out of bounds", schedule.every);
        return invalid(text, "between 60s and 8784h");
    }
    if !(1..=MOST_KEPT).contains(&schedule.keep) {
        let text = format!("{} backups cannot be kept", schedule.keep);
        return invalid(text, "--keep 1 to 1000");
    }
    if let Some(directory) = &schedule.directory
        && (!directory.starts_with('/') || directory.len() > LONGEST_PATH)
    {
        let text = format!("{directory:?} is no absolute path");
        return invalid(text, "--dir /mnt/backups: the same on every control node");
    }
    Ok(())
}

/// From the leader, `at` the time by which the backup was due for it.
pub(super) fn record(
    state: &mut State,
    node: NodeId,
    at: Time,
    result: BackupResult,
) -> Result<Detail, Rejection> {
    let overtaken = state
        .backups
        .last
        .as_ref()
        .is_some_and(|last| last.at >= at);
    if state.backups.schedule.is_none() || overtaken {
        return Err(Rejection::stale("the schedule of backups"));
    }
    let Some(name) = state.nodes.get(&node).map(|node| node.name.clone()) else {
        return Err(super::build::unknown_node(node));
    };
    let (sentence, failure) = match result {
        BackupResult::Taken {
            index,
            path,
            bytes,
            hash,
        } => {
            let sentence = format!("backup of index {index} taken on node {name}: {path}");
            state.backups.taken.push(Taken {
                index,
                at,
                node,
                path,
                bytes,
                hash,
            });
            (sentence, None)
        }
        BackupResult::Failed { reason } => (
            format!("backup failed on node {name}: {reason}"),
            Some(reason),
        ),
    };
    state.backups.last = Some(Attempt { at, node, failure });
    trim(state);
    state.record(Kind::Cluster, &itself(), None, "backup", sentence);
    Ok(Detail::Done)
}

/// What is kept is listed: of each node as many as it keeps.
fn trim(state: &mut State) {
    let keep = state
        .backups
        .schedule
        .as_ref()
        .map_or(MOST_KEPT, |schedule| schedule.keep);
    let taken = &mut state.backups.taken;
    let mut newer = std::collections::BTreeMap::<NodeId, u32>::new();
    let mut kept: Vec<Taken> = Vec::new();
    for backup in taken.drain(..).rev() {
        let count = newer.entry(backup.node).or_default();
        *count += 1;
        if *count <= keep && kept.len() < MOST_KEPT as usize {
            kept.push(backup);
        }
    }
    kept.reverse();
    *taken = kept;
}
