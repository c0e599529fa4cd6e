//! One frontend as the supervisor keeps it: what is wanted, what is so, and since when.

use tokio::time::Instant;

use super::next::{Action, Next, Wanted, begin, held_back, next};
use super::observed::{Observed, Phase};
use super::resume::Found;
use super::stage::{End, Outcome, Stage, StopAttempt, Why};
use crate::clock::Now;
use crate::worker::assignment::{Assignment, Desired};
use crate::worker::probe::Verdict;

#[derive(Clone, Debug)]
pub(crate) struct Frontend {
    pub(crate) assignment: Assignment,
    /// Moves forward only.
    wanted: Wanted,
    stage: Stage,
    /// Chosen when it is started, and its own until it has ended.
    pub(crate) port: Option<u16>,
    /// When its phase last changed.
    since_unix_ms: u64,
    /// When its process was started; 0 before.
    started_unix_ms: u64,
    /// Log index of the order that was last about it.
    based_on_index: u64,
}

impl Frontend {
    pub(crate) fn accept(assignment: Assignment, index: u64, now: Now) -> Self {
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

    /// The same frontend at the stage to which an earlier agent had brought it. `was` is the phase
    /// it was last seen in, since when the wall clock says.
    pub(crate) fn resumed(
        self,
        stage: Stage,
        was: Phase,
        since: u64,
        started: u64,
        now: Now,
    ) -> Self {
        let mut frontend = Self {
            stage,
            since_unix_ms: since,
            started_unix_ms: started,
            ..self
        };
        if frontend.phase() != was {
            frontend.since_unix_ms = now.unix_ms;
        }
        frontend
    }

    /// The same frontend, of which a process was found though no ledger tells its port: it can
    /// neither be probed nor reached, nor started again under its id.
    pub(crate) fn found_unrecorded(self, found: Found, now: Now) -> Self {
        let reason = "runs, but the ledger of this worker was lost and with it the port".to_owned();
        let stage = match found {
            Found::Exited(exit) => Stage::Ended(End::failed(exit.sentence(), Some(exit))),
            Found::Running { pid, .. } => Stage::Stopping {
                pid: Some(pid),
                why: Why::Failed(reason),
                attempt: StopAttempt::RetryAt(now.instant),
                exited: None,
            },
        };
        Self { stage, ..self }
    }

    /// Takes a newer assignment for the same frontend. What it wants counts only if it is
    /// further on: a frontend that was told to stop is not told to run again.
    pub(crate) fn reassign(&mut self, assignment: Assignment, index: u64) {
        self.wanted = self.wanted.max(wanted(&assignment));
        self.assignment = assignment;
        self.based_on_index = index;
    }

    pub(crate) fn remove(&mut self, index: u64) {
        self.wanted = Wanted::Gone;
        self.based_on_index = index;
    }

    pub(crate) fn wanted(&self) -> Wanted {
        self.wanted
    }

    pub(crate) fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(crate) fn started_unix_ms(&self) -> u64 {
        self.started_unix_ms
    }

    /// `tenure`: until when a singleton may be started here.
    pub(crate) fn next(&self, tenure: Option<Instant>, now: Now) -> Next {
        let Self {
            wanted,
            stage,
            assignment,
            ..
        } = self;
        match held_back(*wanted, stage, assignment, tenure, now.instant) {
            true => Next::Rest,
            false => next(*wanted, stage, assignment, now.instant),
        }
    }

    pub(crate) fn begin(&mut self, action: &Action, now: Now) {
        self.change(now, |stage, _| begin(stage, action));
    }

    /// Control has said what shall become of it: there is nobody left to wait for.
    pub(crate) fn decided(&mut self, now: Now) {
        if let Stage::Lapsed { due } = &mut self.stage {
            *due = (*due).min(now.instant);
        }
    }

    pub(crate) fn learn(&mut self, outcome: Outcome, now: Now) {
        if outcome == Outcome::Revived {
            self.started_unix_ms = 0;
        }
        self.change(now, |stage, assignment| {
            stage.after(outcome, assignment, now)
        });
        if let (Stage::Running(running), 0) = (&self.stage, self.started_unix_ms) {
            self.started_unix_ms = running.since.unix_ms;
        }
    }

    /// As reported; `host` is where frontends of this node are reached.
    pub(crate) fn observed(&self, host: &str) -> Observed {
        Observed {
            id: self.assignment.id,
            incarnation: self.assignment.incarnation,
            phase: self.phase(),
            address: self
                .port
                .map(|port| address(host, port))
                .unwrap_or_default(),
            pid: match &self.stage {
                Stage::Running(running) => Some(running.pid),
                Stage::Stopping { pid, .. } => *pid,
                _ => None,
            },
            since_unix_ms: self.since_unix_ms,
            exit: self.stage.end().and_then(|end| end.exit.clone()),
            reason: self.reason(),
            based_on_index: self.based_on_index,
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        match &self.stage {
            Stage::Accepted => Phase::Assigned,
            Stage::Fetching { .. } | Stage::FetchFailed { .. } => Phase::Fetching,
            Stage::Lapsed { .. }
            | Stage::Reviving
            | Stage::Fetched
            | Stage::Initialising { .. }
            | Stage::Initialised
            | Stage::Starting { .. } => Phase::Starting,
            Stage::Running(running) => match running.health.verdict() {
                Verdict::Starting => Phase::Starting,
                Verdict::Healthy => Phase::Healthy,
                Verdict::Unhealthy => Phase::Unhealthy,
            },
            Stage::Stopping { .. } => Phase::Stopping,
            Stage::Ended(end)
            | Stage::Cleaning(end)
            | Stage::Unclean { end, .. }
            | Stage::Clean(end) => match end.asked {
                true => Phase::Stopped,
                false => Phase::Failed,
            },
        }
    }

    fn reason(&self) -> String {
        match &self.stage {
            Stage::FetchFailed { reason, .. } => reason.clone(),
            Stage::Initialising { .. } => "its init step runs".to_owned(),
            Stage::Lapsed { .. } | Stage::Reviving => "its node was down".to_owned(),
            Stage::Running(running) => running.reason().unwrap_or_default().to_owned(),
            Stage::Stopping {
                why: Why::Failed(reason),
                ..
            } => reason.clone(),
            _ => self
                .stage
                .end()
                .map(|end| end.reason.clone())
                .unwrap_or_default(),
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

/// `host:port`, with brackets where an IPv6 address needs them.
pub(crate) fn address(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}
