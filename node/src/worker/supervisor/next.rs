//! What to do next about one frontend. Pure: desired state, stage and time in, one action out.

use tokio::time::Instant;

use super::stage::{End, ProbeState, Running, Stage, StopAttempt, Why};
use crate::worker::assignment::{CheckKind, HealthCheck};

/// What control wants, in the order in which it may change its mind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Wanted {
    Run,
    Stop,
    /// Control has forgotten it: nothing shall be left.
    Gone,
}

/// One step. Each is begun by [`begin`] and, except `End`, answered by one `Outcome`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Fetch,
    Start,
    Probe,
    Stop(Why),
    /// Nothing to do in the world: the frontend ends without ever having had a process.
    End(End),
    Clean,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Do(Action),
    /// Nothing before this moment, unless something happens.
    Until(Instant),
    /// Nothing unless something happens.
    Rest,
    /// Drop it from memory and ledger.
    Forget,
}

pub(crate) fn next(wanted: Wanted, stage: &Stage, check: &HealthCheck, now: Instant) -> Next {
    let run = wanted == Wanted::Run;
    match stage {
        Stage::Accepted | Stage::Fetching { .. } | Stage::FetchFailed { .. } | Stage::Fetched
            if !run =>
        {
            Next::Do(Action::End(End::never_started()))
        }
        Stage::Accepted => Next::Do(Action::Fetch),
        Stage::FetchFailed { retry_at, .. } => due(*retry_at, now, Action::Fetch),
        Stage::Fetched => Next::Do(Action::Start),
        Stage::Running(_) if !run => Next::Do(Action::Stop(Why::Asked)),
        Stage::Running(running) => watch(running, check, now),
        Stage::Stopping {
            why,
            attempt: StopAttempt::RetryAt(at),
            ..
        } => due(*at, now, Action::Stop(why.clone())),
        Stage::Ended(_) if wanted == Wanted::Gone => Next::Do(Action::Clean),
        Stage::Unclean { retry_at, .. } => due(*retry_at, now, Action::Clean),
        Stage::Clean(_) => Next::Forget,
        Stage::Fetching { .. }
        | Stage::Starting { .. }
        | Stage::Stopping {
            attempt: StopAttempt::InFlight,
            ..
        }
        | Stage::Ended(_)
        | Stage::Cleaning(_) => Next::Rest,
    }
}

/// The stage while `action` is under way.
pub(crate) fn begin(stage: Stage, action: &Action) -> Stage {
    match (stage, action) {
        (Stage::Accepted, Action::Fetch) => Stage::Fetching { attempt: 0 },
        (Stage::FetchFailed { attempt, .. }, Action::Fetch) => Stage::Fetching {
            attempt: attempt.saturating_add(1),
        },
        (Stage::Fetched, Action::Start) => Stage::Starting { exited: None },
        (Stage::Running(running), Action::Probe) => Stage::Running(Running {
            probe: ProbeState::InFlight,
            ..running
        }),
        (Stage::Running(Running { pid, .. }), Action::Stop(why)) => stopping(Some(pid), why),
        (Stage::Stopping { pid, .. }, Action::Stop(why)) => stopping(pid, why),
        (
            Stage::Accepted | Stage::Fetching { .. } | Stage::FetchFailed { .. } | Stage::Fetched,
            Action::End(end),
        ) => Stage::Ended(end.clone()),
        (Stage::Ended(end) | Stage::Unclean { end, .. }, Action::Clean) => Stage::Cleaning(end),
        // `next` offers no other pair.
        (stage, _) => stage,
    }
}

fn stopping(pid: Option<u32>, why: &Why) -> Stage {
    Stage::Stopping {
        pid,
        why: why.clone(),
        attempt: StopAttempt::InFlight,
        exited: None,
    }
}

fn watch(running: &Running, check: &HealthCheck, now: Instant) -> Next {
    let deadline = running.deadline(check);
    if deadline.is_some_and(|deadline| deadline <= now) {
        return Next::Do(Action::Stop(Why::Failed(too_late(running, check))));
    }
    match (running.probe, deadline) {
        (ProbeState::DueAt(at), _) if at <= now => Next::Do(Action::Probe),
        (ProbeState::DueAt(at), Some(deadline)) => Next::Until(at.min(deadline)),
        (ProbeState::DueAt(at), None) => Next::Until(at),
        (ProbeState::InFlight | ProbeState::Over, Some(deadline)) => Next::Until(deadline),
        (ProbeState::InFlight | ProbeState::Over, None) => Next::Rest,
    }
}

fn due(at: Instant, now: Instant, action: Action) -> Next {
    if at <= now {
        Next::Do(action)
    } else {
        Next::Until(at)
    }
}

fn too_late(running: &Running, check: &HealthCheck) -> String {
    let seconds = check.start_deadline.as_secs_f64();
    let asked = match &check.kind {
        CheckKind::Http(path) => format!("did not answer GET {path}"),
        CheckKind::Tcp => "did not accept a connection".to_owned(),
        CheckKind::Settle => "did not settle".to_owned(),
    };
    match running.health.last_failure() {
        Some(failure) => format!("{asked} within {seconds} s of its start: {failure}"),
        None => format!("{asked} within {seconds} s of its start"),
    }
}
