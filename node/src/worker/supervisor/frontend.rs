//! One frontend as the supervisor keeps it: what is wanted, what is so, and since when.

use super::next::{Action, Next, Wanted, begin, next};
use super::stage::{Outcome, Stage};
use crate::clock::Now;
use crate::worker::assignment::{Assignment, Desired};
use crate::worker::probe::Verdict;

#[derive(Clone, Debug)]
pub struct Frontend {
    pub assignment: Assignment,
    /// Moves forward only.
    wanted: Wanted,
    stage: Stage,
    /// Chosen when it is started, and its own until it has ended.
    pub port: Option<u16>,
    /// When its phase last changed.
    pub since_unix_ms: u64,
    /// When its process was started; 0 before.
    pub started_unix_ms: u64,
    /// Log index of the order that was last about it.
    pub based_on_index: u64,
}

/// What people and control see of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    Assigned,
    Fetching,
    Starting,
    Healthy,
    Unhealthy,
    Stopping,
    Stopped,
    Failed,
}

impl Frontend {
    pub fn accept(assignment: Assignment, index: u64, now: Now) -> Self {
        Self {
            wanted: wanted(&assignment),
            assignment,
            stage: Stage::Accepted,
            port: None,
            since_unix_ms: now.unix_ms,
            started_unix_ms: 0,
            based_on_index: index,
        }
    }

    /// As [`Frontend::accept`], at a stage that was restored.
    pub fn at(self, stage: Stage) -> Self {
        Self { stage, ..self }
    }

    /// Takes a newer assignment for the same frontend. What it wants counts only if it is
    /// further on: a frontend that was told to stop is not told to run again.
    pub fn reassign(&mut self, assignment: Assignment, index: u64) {
        self.wanted = self.wanted.max(wanted(&assignment));
        self.assignment = assignment;
        self.based_on_index = index;
    }

    pub fn remove(&mut self, index: u64) {
        self.wanted = Wanted::Gone;
        self.based_on_index = index;
    }

    pub fn wanted(&self) -> Wanted {
        self.wanted
    }

    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub fn next(&self, now: Now) -> Next {
        next(self.wanted, &self.stage, &self.assignment.health, now.instant)
    }

    pub fn begin(&mut self, action: &Action, now: Now) {
        self.change(now, |stage, _| begin(stage, action));
    }

    pub fn learn(&mut self, outcome: Outcome, now: Now) {
        self.change(now, |stage, frontend| stage.after(outcome, &frontend.health, now));
        if let (Stage::Running(running), 0) = (&self.stage, self.started_unix_ms) {
            self.started_unix_ms = running.since.unix_ms;
        }
    }

    pub fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Accepted => Phase::Assigned,
            Stage::Fetching { .. } | Stage::FetchFailed { .. } => Phase::Fetching,
            Stage::Fetched | Stage::Starting => Phase::Starting,
            Stage::Running(running) => match running.health.verdict() {
                Verdict::Starting => Phase::Starting,
                Verdict::Healthy => Phase::Healthy,
                Verdict::Unhealthy => Phase::Unhealthy,
            },
            Stage::Stopping { .. } => Phase::Stopping,
            Stage::Ended(end) | Stage::Cleaning(end) | Stage::Clean(end) => {
                if end.asked { Phase::Stopped } else { Phase::Failed }
            }
        }
    }

    fn change(&mut self, now: Now, step: impl FnOnce(Stage, &Assignment) -> Stage) {
        let before = self.phase();
        let stage = std::mem::replace(&mut self.stage, Stage::Accepted);
        self.stage = step(stage, &self.assignment);
        if self.phase() != before {
            self.since_unix_ms = now.unix_ms;
        }
    }
}

fn wanted(assignment: &Assignment) -> Wanted {
    match assignment.desired {
        Desired::Run => Wanted::Run,
        Desired::Stop => Wanted::Stop,
    }
}
