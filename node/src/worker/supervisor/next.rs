//! What to do next about one frontend. Pure: desired state, stage and time in, one action out.

use tokio::time::Instant;

use super::running::Which;
use super::stage::{End, Stage, StopAttempt, Why};
use crate::worker::assignment::Assignment;

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
    /// Makes the runtime forget that it ran.
    Revive,
    /// Runs the init step, or finds out how it went.
    Init,
    Start,
    /// Runs what runs beside the command at first.
    PostStart,
    Probe(Which),
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

/// Whether a frontend must not be started now: nobody knows whether there is another of a singleton
/// elsewhere, until control has confirmed this node. `tenure`: until when it has.
pub(crate) fn held_back(
    wanted: Wanted,
    stage: &Stage,
    assignment: &Assignment,
    tenure: Option<Instant>,
    now: Instant,
) -> bool {
    wanted == Wanted::Run
        && assignment.singleton
        && matches!(stage, Stage::Fetched | Stage::Initialised)
        && tenure.is_none_or(|until| until <= now)
}

pub(crate) fn next(wanted: Wanted, stage: &Stage, assignment: &Assignment, now: Instant) -> Next {
    let run = wanted == Wanted::Run;
    match stage {
        Stage::Accepted
        | Stage::Fetching { .. }
        | Stage::FetchFailed { .. }
        | Stage::Fetched
        | Stage::Initialised
            if !run =>
        {
            Next::Do(Action::End(End::never_started()))
        }
        Stage::Lapsed { .. } if !run => Next::Do(Action::End(End::with_the_node())),
        Stage::Lapsed { due: at } => due(*at, now, Action::Revive),
        Stage::Accepted => Next::Do(Action::Fetch),
        Stage::FetchFailed { retry_at, .. } => due(*retry_at, now, Action::Fetch),
        Stage::Fetched if assignment.init_step.is_some() => Next::Do(Action::Init),
        Stage::Fetched | Stage::Initialised => Next::Do(Action::Start),
        Stage::Running(_) | Stage::Initialising { .. } if !run => {
            Next::Do(Action::Stop(Why::Asked))
        }
        Stage::Initialising { in_flight: false } => Next::Do(Action::Init),
        Stage::Running(running) => running.next(assignment, now),
        Stage::Stopping {
            why,
            attempt: StopAttempt::RetryAt(at),
            ..
        } => due(*at, now, Action::Stop(why.clone())),
        Stage::Ended(_) if wanted == Wanted::Gone => Next::Do(Action::Clean),
        Stage::Unclean { retry_at, .. } => due(*retry_at, now, Action::Clean),
        Stage::Clean(_) => Next::Forget,
        Stage::Fetching { .. }
        | Stage::Reviving
        | Stage::Initialising { in_flight: true }
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
        (Stage::Lapsed { .. }, Action::Revive) => Stage::Reviving,
        (Stage::Accepted, Action::Fetch) => Stage::Fetching { attempt: 0 },
        (Stage::FetchFailed { attempt, .. }, Action::Fetch) => Stage::Fetching {
            attempt: attempt.saturating_add(1),
        },
        (Stage::Fetched | Stage::Initialising { .. }, Action::Init) => {
            Stage::Initialising { in_flight: true }
        }
        (Stage::Fetched | Stage::Initialised, Action::Start) => Stage::Starting { exited: None },
        (Stage::Running(mut running), Action::PostStart) => {
            running.post_start_due = false;
            Stage::Running(running)
        }
        (Stage::Running(running), Action::Probe(which)) => Stage::Running(running.probing(*which)),
        (Stage::Running(running), Action::Stop(why)) => stopping(Some(running.pid), why),
        (Stage::Initialising { .. }, Action::Stop(why)) => stopping(None, why),
        (Stage::Stopping { pid, .. }, Action::Stop(why)) => stopping(pid, why),
        (
            Stage::Accepted
            | Stage::Lapsed { .. }
            | Stage::Fetching { .. }
            | Stage::FetchFailed { .. }
            | Stage::Fetched
            | Stage::Initialised,
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

fn due(at: Instant, now: Instant, action: Action) -> Next {
    if at <= now {
        Next::Do(action)
    } else {
        Next::Until(at)
    }
}
