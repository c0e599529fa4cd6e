//! How far one frontend has come, and what may follow. The only owner of these transitions.
//!
//! A frontend goes through its stages once and never back: there is no way from `Ended` to a
//! process. Whoever wants the service again assigns a new frontend. So "started twice" cannot be
//! expressed here: one that `Lapsed` with its node, and of which nothing runs, begins once more from
//! the front. And an outcome that arrives late finds a stage that ignores it.

use std::time::Duration;

use tokio::time::Instant;

use super::exit::Exit;
use super::running::{Running, Which};
use crate::clock::Now;
use crate::worker::assignment::Assignment;
use crate::worker::runtime::Step;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Stage {
    /// Written to the ledger, nothing done.
    Accepted,
    /// It ran when the whole node went down, and nothing of it runs now. It is started again in its
    /// place, with or without control, which is asked first.
    Lapsed {
        due: Instant,
    },
    /// The runtime is made to forget that it ran.
    Reviving,
    /// Its artefact is being fetched.
    Fetching {
        attempt: u32,
    },
    /// The last attempt failed; another will be made.
    FetchFailed {
        attempt: u32,
        reason: String,
        retry_at: Instant,
    },
    /// The artefact lies unpacked in the cache.
    Fetched,
    /// Its init step runs, or is to be asked about: it has been started by an agent that is gone.
    Initialising {
        in_flight: bool,
    },
    /// Its init step has ended well.
    Initialised,
    /// The runtime was asked, and has not answered. The end of the process may be seen before the
    /// answer is; it counts once the call is over, for a call under way could start it again.
    Starting {
        exited: Option<Exit>,
    },
    Running(Running),
    /// The process was told to end; its end, too, may be seen before the call is answered.
    Stopping {
        pid: Option<u32>,
        why: Why,
        attempt: StopAttempt,
        exited: Option<Exit>,
    },
    /// There is no process and never will be.
    Ended(End),
    /// What it left is being removed.
    Cleaning(End),
    /// It could not be removed; another attempt will be made.
    Unclean {
        end: End,
        retry_at: Instant,
    },
    /// Nothing of it is left but our memory.
    Clean(End),
}

/// Why a running frontend was stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Control asked.
    Asked,
    /// It cannot be kept, most often because it did not become healthy in time; the sentence says
    /// what its checks saw.
    Failed(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StopAttempt {
    InFlight,
    RetryAt(Instant),
}

/// How a frontend came to be without a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Ended because it was told to, as against for any other reason.
    pub(crate) asked: bool,
    pub(crate) reason: String,
    pub(crate) exit: Option<Exit>,
}

/// What the world answered to an action, or did by itself.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Outcome {
    Fetched,
    /// `hopeless` if another attempt would see the same.
    FetchFailed {
        reason: String,
        hopeless: bool,
    },
    Started {
        pid: u32,
    },
    NotStarted {
        reason: String,
        exit: Option<Exit>,
    },
    /// The init step has ended; `Err` if it never began.
    InitEnded(Result<Exit, String>),
    /// So has what runs beside the command at first.
    PostStarted(Result<Exit, String>),
    Probed(Which, Result<(), String>),
    /// The process was seen to end, whoever caused it.
    Exited(Exit),
    /// Nothing of it runs any more, says the call that should stop it.
    Stopped(Exit),
    NotStopped {
        reason: String,
    },
    Cleaned,
    NotCleaned {
        reason: String,
    },
    /// It may be started again.
    Revived,
    NotRevived {
        reason: String,
    },
}

/// Between attempts to stop a process that the runtime could not stop, and to clean after it.
const RETRY: Duration = Duration::from_secs(1);

/// How long a worker that starts waits for control to say what shall become of frontends that ended
/// with the node: longer than it takes to find a leader who is there.
pub(crate) const CONTROL_FIRST: Duration = Duration::from_secs(3);

/// Longest pause between two attempts to fetch.
const FETCH_RETRY_MAX: Duration = Duration::from_secs(30);

impl Stage {
    /// The stage after `outcome`; the same one if the outcome is late and means nothing any more.
    pub(crate) fn after(self, outcome: Outcome, assignment: &Assignment, now: Now) -> Stage {
        match (self, outcome) {
            (Stage::Reviving, Outcome::Revived) => Stage::Accepted,
            (Stage::Reviving, Outcome::NotRevived { .. }) => Stage::Lapsed {
                due: now.instant + RETRY,
            },
            (Stage::Fetching { .. }, Outcome::Fetched) => Stage::Fetched,
            (
                Stage::Fetching { .. },
                Outcome::FetchFailed {
                    reason,
                    hopeless: true,
                },
            ) => Stage::Ended(End::failed(reason, None)),
            (
                Stage::Fetching { attempt },
                Outcome::FetchFailed {
                    reason,
                    hopeless: false,
                },
            ) => {
                let retry_at = now.instant + fetch_pause(attempt);
                Stage::FetchFailed {
                    attempt,
                    reason,
                    retry_at,
                }
            }
            (Stage::Initialising { .. }, Outcome::InitEnded(ended)) => initialised(ended),
            (Stage::Initialising { .. }, Outcome::NotStarted { reason, exit }) => {
                Stage::Ended(End::failed(reason, exit))
            }
            (Stage::Starting { exited: None }, Outcome::Started { pid }) => {
                Stage::Running(Running::begin(pid, assignment, now))
            }
            (Stage::Starting { exited: Some(exit) }, Outcome::Started { .. })
            | (Stage::Running(_), Outcome::Exited(exit)) => Stage::Ended(End::by_itself(exit)),
            (Stage::Starting { .. }, Outcome::NotStarted { reason, exit }) => {
                Stage::Ended(End::failed(reason, exit))
            }
            (Stage::Starting { .. }, Outcome::Exited(exit)) => {
                Stage::Starting { exited: Some(exit) }
            }
            (Stage::Running(running), Outcome::Probed(which, result)) => {
                Stage::Running(running.probed(which, result, assignment, now))
            }
            (Stage::Running(running), Outcome::PostStarted(ended)) => {
                Stage::Running(running.post_started(ended))
            }
            (Stage::Stopping { why, exited, .. }, Outcome::Stopped(exit)) => {
                Stage::Ended(why.end(exited.unwrap_or(exit)))
            }
            (
                Stage::Stopping {
                    why,
                    exited: Some(exit),
                    ..
                },
                Outcome::NotStopped { .. },
            ) => Stage::Ended(why.end(exit)),
            (
                Stage::Stopping {
                    pid, why, exited, ..
                },
                Outcome::NotStopped { .. },
            ) => {
                let attempt = StopAttempt::RetryAt(now.instant + RETRY);
                Stage::Stopping {
                    pid,
                    why,
                    attempt,
                    exited,
                }
            }
            (
                Stage::Stopping {
                    why,
                    attempt: StopAttempt::RetryAt(_),
                    ..
                },
                Outcome::Exited(exit),
            ) => Stage::Ended(why.end(exit)),
            (
                Stage::Stopping {
                    pid,
                    why,
                    attempt: StopAttempt::InFlight,
                    ..
                },
                Outcome::Exited(exit),
            ) => Stage::Stopping {
                pid,
                why,
                attempt: StopAttempt::InFlight,
                exited: Some(exit),
            },
            (Stage::Cleaning(end), Outcome::Cleaned) => Stage::Clean(end),
            (Stage::Cleaning(end), Outcome::NotCleaned { .. }) => Stage::Unclean {
                end,
                retry_at: now.instant + RETRY,
            },
            (stage, _) => stage,
        }
    }

    /// How it ended, once it has.
    pub(crate) fn end(&self) -> Option<&End> {
        match self {
            Stage::Ended(end)
            | Stage::Cleaning(end)
            | Stage::Unclean { end, .. }
            | Stage::Clean(end) => Some(end),
            _ => None,
        }
    }

    /// When the process was started by this agent or found by it; `None` when there is none.
    pub(crate) fn known_since(&self) -> Option<Instant> {
        match self {
            Stage::Running(running) => Some(running.since.instant),
            _ => None,
        }
    }

    /// Whether the frontend itself was started, or may have been.
    pub(crate) fn start_asked(&self) -> bool {
        matches!(
            self,
            Stage::Starting { .. }
                | Stage::Running(_)
                | Stage::Stopping { .. }
                | Stage::Lapsed { .. }
                | Stage::Reviving
        )
    }

    /// Whether its init step may run.
    pub(crate) fn init_asked(&self) -> bool {
        matches!(self, Stage::Initialising { .. })
    }

    /// Whether a process of any kind may exist or be about to.
    pub(crate) fn may_have_process(&self) -> bool {
        self.start_asked() || matches!(self, Stage::Initialising { .. } | Stage::Initialised)
    }
}

fn initialised(ended: Result<Exit, String>) -> Stage {
    match ended {
        Ok(exit) if exit.tenure_over => Stage::Ended(End::by_itself(exit)),
        Ok(exit) => match exit.problem() {
            None => Stage::Initialised,
            Some(problem) => {
                let reason = format!("{} {problem}", Step::Init);
                Stage::Ended(End::failed(reason, Some(exit)))
            }
        },
        Err(reason) => Stage::Ended(End::failed(format!("{} {reason}", Step::Init), None)),
    }
}

impl Why {
    fn end(self, exit: Exit) -> End {
        match self {
            Why::Asked => End {
                asked: true,
                reason: String::new(),
                exit: Some(exit),
            },
            Why::Failed(reason) => End::failed(reason, Some(exit)),
        }
    }
}

impl End {
    pub(crate) fn failed(reason: String, exit: Option<Exit>) -> Self {
        Self {
            asked: false,
            reason,
            exit,
        }
    }

    /// Ended without control having told it to: by itself, or by this node, which then says why but
    /// does not call it a failure of the release.
    pub(crate) fn by_itself(exit: Exit) -> Self {
        Self {
            asked: exit.tenure_over,
            ..Self::failed(exit.sentence(), Some(exit))
        }
    }

    /// Told to stop after it had ended with the whole node.
    pub(crate) fn with_the_node() -> Self {
        Self {
            asked: true,
            reason: "ended with its node".to_owned(),
            exit: None,
        }
    }

    /// Told to stop before there was anything to stop.
    pub(crate) fn never_started() -> Self {
        Self {
            asked: true,
            reason: "was never started".to_owned(),
            exit: None,
        }
    }
}

/// 1, 2, 4 ... 30 seconds.
fn fetch_pause(attempt: u32) -> Duration {
    Duration::from_secs(1 << attempt.min(5)).min(FETCH_RETRY_MAX)
}
