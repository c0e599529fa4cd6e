//! Backups that the cluster takes by itself: how often, how many are kept, and when one is due.

use crate::{Time, ids::NodeId, time::Millis};

/// Shortest time between two: a backup reads the whole state, which at its largest takes seconds.
pub const SHORTEST: Millis = Millis::seconds(60);

/// Longest time between two: a year. What is rarer is done by hand.
pub const LONGEST: Millis = Millis::seconds(366 * 24 * 3_600);

/// Most files kept on one node.
pub const MOST_KEPT: u32 = 1_000;

/// Kept where nothing else is said: a week of daily ones.
pub const KEPT: u32 = 7;

/// After a failed one the next is tried this soon, or at the next regular time if that is sooner.
const RETRY: Millis = Millis::seconds(600);

/// What the cluster does about backups, and has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Backups {
    /// `None`: only by hand.
    pub schedule: Option<Schedule>,
    /// When the last one was tried, and what came of it.
    pub last: Option<Attempt>,
    /// Those that are kept, oldest first, as many as the schedule says.
    pub taken: Vec<Taken>,
}

/// How often, and how many are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub every: Millis,
    /// Files that each node keeps, and lines that are listed.
    pub keep: u32,
    /// Where the leader writes them; `None`: `backups` in its data directory.
    pub directory: Option<String>,
}

/// A backup that was due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    pub at: Time,
    pub node: NodeId,
    /// Why there is none; `None` if there is one.
    pub failure: Option<String>,
}

/// A backup that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Taken {
    /// Log index of the state in it.
    pub index: u64,
    pub at: Time,
    /// Whose disk it is on.
    pub node: NodeId,
    pub path: String,
    pub bytes: u64,
    /// Hash of the state in it, in hexadecimal.
    pub hash: String,
}

impl Backups {
    /// When the next backup is due; `None` without a schedule. The first is due at once.
    #[must_use]
    pub fn due(&self) -> Option<Time> {
        let schedule = self.schedule.as_ref()?;
        let Some(last) = &self.last else {
            return Some(Time::default());
        };
        let pause = match last.failure {
            Some(_) => schedule.every.min(RETRY),
            None => schedule.every,
        };
        Some(last.at.plus(pause))
    }
}

/// Which of a directory's backups are too many: all but the `keep` newest. Names sort by age, as
/// [`file_name`] makes them; files that are called otherwise are not looked at.
#[must_use]
pub fn surplus(names: &[String], keep: u32) -> Vec<&str> {
    let mut ours: Vec<&str> = names
        .iter()
        .map(String::as_str)
        .filter(|name| name.starts_with(PREFIX) && name.ends_with(SUFFIX))
        .collect();
    ours.sort_unstable();
    let kept = ours.len().min(keep as usize);
    ours.truncate(ours.len() - kept);
    ours
}

/// What a scheduled backup is called: by its time first, because indices begin anew in a cluster
/// that was restored.
#[must_use]
pub fn file_name(at: Time, index: u64) -> String {
    format!("{PREFIX}{:015}-{index}{SUFFIX}", at.0)
}

const PREFIX: &str = "fleet-";
const SUFFIX: &str = ".backup";

#[cfg(test)]
mod tests {
    use super::*;

    fn backups(last: Option<(u64, bool)>) -> Backups {
        Backups {
            schedule: Some(Schedule {
                every: Millis::seconds(3_600),
                keep: 2,
                directory: None,
            }),
            last: last.map(|(at, failed)| Attempt {
                at: Time(at),
                node: NodeId(1),
                failure: failed.then(|| "disk full".to_owned()),
            }),
            taken: Vec::new(),
        }
    }

    #[test]
    fn the_first_is_due_at_once_and_a_failed_one_soon() {
        assert_eq!(Backups::default().due(), None);
        assert_eq!(backups(None).due(), Some(Time(0)));
        assert_eq!(backups(Some((5, false))).due(), Some(Time(3_600_005)));
        assert_eq!(backups(Some((5, true))).due(), Some(Time(600_005)));
    }

    #[test]
    fn only_the_oldest_of_our_own_files_go() {
        let mut names: Vec<String> = [9, 10, 100, 1_700_000_000_000]
            .map(|at| file_name(Time(at), 7))
            .into();
        names.push("fleet-notes.txt".to_owned());
        names.push("before-the-move.backup".to_owned());
        assert_eq!(surplus(&names, 2), [&*names[0], &*names[1]]);
        assert!(surplus(&names, 4).is_empty());
    }
}
