//! Putting together what the ledger remembers and what the runtime finds, after the agent was
//! away. Nothing is started or stopped here: a frontend that runs is taken as it is, one that ended with
//! the whole node is marked to be started again.

use fleet_proto::{internal as wire, stored};

use super::exit::Exit;
use super::frontend::Frontend;
use super::observed::Phase;
use super::running::Running;
use super::stage::{CONTROL_FIRST, End, Stage, StopAttempt, Why};
use crate::clock::Now;
use crate::worker::assignment::{Assignment, Unusable};
use crate::worker::probe::Verdict;

/// What the runtime knows of a frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found {
    Running { pid: u32, started_unix_ms: u64 },
    Exited(Exit),
}

/// The frontend that `stored` describes, at the stage that `found` proves.
pub(crate) fn resume(
    stored: stored::LedgerFrontend,
    found: Option<Found>,
    same_boot: bool,
    now: Now,
) -> Result<Frontend, Unusable> {
    let assignment = stored.assignment.ok_or(Unusable::Missing("content"))?;
    let assignment = Assignment::try_from(assignment)?;
    let observed = stored.observed.unwrap_or_default();
    let index = observed.based_on_index;
    let phase = Phase::from(observed.phase());
    let since = observed.since_unix_ms;
    let started = match &found {
        Some(Found::Running {
            started_unix_ms, ..
        }) => *started_unix_ms,
        _ => stored.started_unix_ms,
    };
    let asked = Asked {
        init: stored.init_asked,
        start: stored.start_asked,
    };
    let stage = stage(&observed, asked, found, same_boot, &assignment, now);
    let mut frontend = Frontend::accept(assignment, index, now);
    if stored.gone {
        frontend.remove(index);
    }
    frontend.port = u16::try_from(stored.port).ok().filter(|port| *port != 0);
    Ok(frontend.resumed(stage, phase, since, started, now))
}

/// What an agent that is gone had asked the runtime for.
#[derive(Clone, Copy)]
struct Asked {
    init: bool,
    start: bool,
}

fn stage(
    observed: &wire::FrontendObserved,
    asked: Asked,
    found: Option<Found>,
    same_boot: bool,
    assignment: &Assignment,
    now: Now,
) -> Stage {
    let phase = Phase::from(observed.phase());
    if matches!(phase, Phase::Stopped | Phase::Failed) {
        let exit = observed.exit.clone().map(Exit::from);
        let asked = phase == Phase::Stopped;
        return Stage::Ended(End {
            asked,
            reason: observed.reason.clone(),
            exit,
        });
    }
    // The node went down, and with it everything that ran. Of a singleton there may be another by
    // now: it is control that starts one again.
    let down = match &found {
        Some(Found::Exited(exit)) => exit.unseen() || !same_boot,
        Some(Found::Running { .. }) => false,
        None => !same_boot,
    };
    let starting_again = down && (asked.init || asked.start) && phase != Phase::Stopping;
    if starting_again && !assignment.singleton {
        return Stage::Lapsed {
            due: now.instant + CONTROL_FIRST,
        };
    }
    // What is found of it is its step. A machine that was restarted has forgotten that.
    if asked.init && !asked.start {
        return match same_boot {
            true => Stage::Initialising { in_flight: false },
            false => Stage::Ended(lost(phase, same_boot)),
        };
    }
    match found {
        // Its step, between the end of which and the start of the frontend the agent ended.
        Some(_) if !asked.start => Stage::Accepted,
        Some(Found::Running {
            pid,
            started_unix_ms,
        }) => running(
            pid,
            started_unix_ms,
            phase,
            &observed.reason,
            assignment,
            now,
        ),
        Some(Found::Exited(exit)) => Stage::Ended(ended(phase, &observed.reason, exit)),
        None if !asked.start => Stage::Accepted,
        // It may have run. Whatever the truth, it must not be started again under this id.
        None => Stage::Ended(lost(phase, same_boot)),
    }
}

/// A process found running goes on as it was last seen, so that being away for a moment takes
/// nothing out of routing.
fn running(
    pid: u32,
    started_unix_ms: u64,
    phase: Phase,
    reason: &str,
    assignment: &Assignment,
    now: Now,
) -> Stage {
    if phase == Phase::Stopping {
        // Told to end before we went away; whoever asked may not ask again, so we do.
        let why = match reason {
            "" => Why::Asked,
            reason => Why::Failed(reason.to_owned()),
        };
        let attempt = StopAttempt::RetryAt(now.instant);
        return Stage::Stopping {
            pid: Some(pid),
            why,
            attempt,
            exited: None,
        };
    }
    let verdict = match phase {
        Phase::Healthy => Verdict::Healthy,
        Phase::Unhealthy => Verdict::Unhealthy,
        _ => Verdict::Starting,
    };
    let since = Now {
        instant: now.instant,
        unix_ms: started_unix_ms,
    };
    Stage::Running(Running::resumed(
        pid,
        since,
        verdict,
        assignment,
        now.instant,
    ))
}

fn ended(phase: Phase, reason: &str, exit: Exit) -> End {
    match (phase, reason) {
        (Phase::Stopping, "") => End {
            asked: true,
            reason: String::new(),
            exit: Some(exit),
        },
        (Phase::Stopping, reason) => End::failed(reason.to_owned(), Some(exit)),
        _ => End::by_itself(exit),
    }
}

fn lost(phase: Phase, same_boot: bool) -> End {
    let reason = match same_boot {
        true => "ended while the agent was away, and nobody saw how",
        false => "ended when the machine was restarted",
    };
    End {
        asked: phase == Phase::Stopping,
        reason: reason.to_owned(),
        exit: None,
    }
}
