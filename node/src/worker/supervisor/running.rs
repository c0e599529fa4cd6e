//! A frontend with a process: which checks are made when, and what their answers lead to.
//!
//! Up to three checks run beside one another, each one call at a time. The startup check comes
//! first and alone; when it has passed, or where there is none, health decides whether requests may
//! come, and liveness whether the frontend may go on living.

use tokio::time::Instant;

use super::exit::Exit;
use super::next::{Action, Next};
use super::stage::Why;
use crate::clock::Now;
use crate::worker::assignment::{Assignment, CheckKind, HealthCheck, RepeatedCheck};
use crate::worker::probe::{Health, Row, Rows, Verdict};
use crate::worker::runtime::Step;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Running {
    pub(crate) pid: u32,
    pub(crate) since: Now,
    pub(crate) health: Health,
    /// Of the health check; waits while there is a startup check.
    pub(crate) probe: ProbeState,
    /// When health began to be asked for.
    pub(crate) up: Instant,
    /// `None` once it has passed.
    pub(crate) startup: Option<Repeated>,
    pub(crate) liveness: Option<Repeated>,
    /// Whether what runs beside the command at first is still to be asked for.
    pub(crate) post_start_due: bool,
    /// Why it cannot be kept, though it runs.
    pub(crate) doomed: Option<String>,
}

/// A check whose answers count in rows, under way.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Repeated {
    pub(crate) rows: Rows,
    pub(crate) probe: ProbeState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeState {
    InFlight,
    DueAt(Instant),
    /// No check will follow.
    Over,
}

/// Which of its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Startup,
    Health,
    Liveness,
}

impl Running {
    /// Just started.
    pub(crate) fn begin(pid: u32, assignment: &Assignment, now: Now) -> Self {
        let first = now.instant + Health::first_after(&assignment.health);
        Self::new(pid, now, Health::starting(), first, assignment, now.instant)
    }

    /// Started by an agent that is gone, and `verdict` when that last looked. One that had come up
    /// need not do so again, and a deadline begins anew: it may have become healthy unseen.
    pub(crate) fn resumed(
        pid: u32,
        since: Now,
        verdict: Verdict,
        assignment: &Assignment,
        now: Instant,
    ) -> Self {
        let health = Health::resumed(verdict);
        let mut running = Self::new(pid, since, health, now, assignment, now);
        if verdict != Verdict::Starting {
            running.startup = None;
        }
        running
    }

    fn new(
        pid: u32,
        since: Now,
        health: Health,
        first: Instant,
        assignment: &Assignment,
        now: Instant,
    ) -> Self {
        let begin = |check: &RepeatedCheck| Repeated::due(now + check.grace);
        Self {
            pid,
            since,
            health,
            probe: ProbeState::DueAt(first),
            up: now,
            startup: assignment.startup.as_ref().map(begin),
            liveness: assignment.liveness.as_ref().map(begin),
            post_start_due: assignment.post_start.is_some(),
            doomed: None,
        }
    }

    /// What to do next, as long as it is wanted.
    pub(super) fn next(&self, assignment: &Assignment, now: Instant) -> Next {
        if let Some(reason) = &self.doomed {
            return Next::Do(Action::Stop(Why::Failed(reason.clone())));
        }
        if self.post_start_due {
            return Next::Do(Action::PostStart);
        }
        if let Some(startup) = &self.startup {
            return earliest([(Which::Startup, startup.probe)], None, now);
        }
        let deadline = self.deadline(&assignment.health);
        if deadline.is_some_and(|deadline| deadline <= now) {
            let reason = too_late(&self.health, &assignment.health);
            return Next::Do(Action::Stop(Why::Failed(reason)));
        }
        let liveness = self.liveness.as_ref();
        let liveness = liveness.map_or(ProbeState::Over, |liveness| liveness.probe);
        let checks = [(Which::Health, self.probe), (Which::Liveness, liveness)];
        earliest(checks, deadline, now)
    }

    /// The same with a check under way.
    pub(super) fn probing(mut self, which: Which) -> Self {
        let probe = match which {
            Which::Health => Some(&mut self.probe),
            Which::Startup => self.startup.as_mut().map(|startup| &mut startup.probe),
            Which::Liveness => self.liveness.as_mut().map(|liveness| &mut liveness.probe),
        };
        if let Some(probe) = probe {
            *probe = ProbeState::InFlight;
        }
        self
    }

    pub(super) fn probed(
        mut self,
        which: Which,
        result: Result<(), String>,
        assignment: &Assignment,
        now: Now,
    ) -> Self {
        match which {
            Which::Health => {
                self.health.observe(result);
                self.probe = match self.health.next_after(&assignment.health) {
                    Some(pause) => ProbeState::DueAt(now.instant + pause),
                    None => ProbeState::Over,
                };
            }
            Which::Startup => self.startup_probed(result, assignment, now.instant),
            Which::Liveness => self.liveness_probed(result, assignment, now.instant),
        }
        self
    }

    fn startup_probed(
        &mut self,
        result: Result<(), String>,
        assignment: &Assignment,
        now: Instant,
    ) {
        let (Some(startup), Some(check)) = (&mut self.startup, &assignment.startup) else {
            return;
        };
        match startup.observe(result, check, now) {
            Row::Open => {}
            Row::Failed => {
                let sentence = startup.rows.sentence(check);
                self.doomed = Some(format!("did not come up: {sentence}"));
            }
            Row::Passed => {
                self.startup = None;
                self.up = now;
                self.probe = ProbeState::DueAt(now);
                let grace = assignment.liveness.as_ref().map(|check| check.grace);
                self.liveness = grace.map(|grace| Repeated::due(now + grace));
            }
        }
    }

    fn liveness_probed(
        &mut self,
        result: Result<(), String>,
        assignment: &Assignment,
        now: Instant,
    ) {
        let (Some(liveness), Some(check)) = (&mut self.liveness, &assignment.liveness) else {
            return;
        };
        if liveness.observe(result, check, now) == Row::Failed {
            let sentence = liveness.rows.sentence(check);
            self.doomed = Some(format!("is no longer alive: {sentence}"));
        }
    }

    pub(super) fn post_started(mut self, ended: Result<Exit, String>) -> Self {
        let problem = match ended {
            Ok(exit) => exit.problem(),
            Err(reason) => Some(reason),
        };
        self.doomed = problem.map(|problem| format!("{} {problem}", Step::PostStart));
        self
    }

    /// Why it is as it is: what its checks said last.
    pub(crate) fn reason(&self) -> Option<&str> {
        let startup = self.startup.as_ref();
        let startup = startup.and_then(|startup| startup.rows.last_failure());
        let doomed = self.doomed.as_deref();
        doomed.or(startup).or(self.health.last_failure())
    }

    /// The moment by which it must have become healthy; `None` once it has, and while it comes up.
    fn deadline(&self, check: &HealthCheck) -> Option<Instant> {
        let starting = self.health.verdict() == Verdict::Starting && self.startup.is_none();
        starting.then(|| self.up + check.start_deadline)
    }
}

impl Repeated {
    fn due(at: Instant) -> Self {
        Self {
            rows: Rows::default(),
            probe: ProbeState::DueAt(at),
        }
    }

    fn observe(&mut self, result: Result<(), String>, check: &RepeatedCheck, now: Instant) -> Row {
        self.probe = ProbeState::DueAt(now + check.interval);
        self.rows.observe(result, check)
    }
}

/// The first check that is due, or the moment at which something will be.
fn earliest<const N: usize>(
    checks: [(Which, ProbeState); N],
    deadline: Option<Instant>,
    now: Instant,
) -> Next {
    let mut wake = deadline;
    for (which, probe) in checks {
        match probe {
            ProbeState::DueAt(at) if at <= now => return Next::Do(Action::Probe(which)),
            ProbeState::DueAt(at) => wake = Some(wake.map_or(at, |wake| wake.min(at))),
            ProbeState::InFlight | ProbeState::Over => {}
        }
    }
    wake.map_or(Next::Rest, Next::Until)
}

fn too_late(health: &Health, check: &HealthCheck) -> String {
    let seconds = check.start_deadline.as_secs_f64();
    let asked = match &check.kind {
        CheckKind::Http(path) => format!("did not answer GET {path}"),
        CheckKind::Grpc => "did not serve by gRPC's health service".to_owned(),
        CheckKind::Tcp => "did not accept a connection".to_owned(),
        CheckKind::Settle => "did not settle".to_owned(),
    };
    match health.last_failure() {
        Some(failure) => format!("{asked} within {seconds} s of its start: {failure}"),
        None => format!("{asked} within {seconds} s of its start"),
    }
}
