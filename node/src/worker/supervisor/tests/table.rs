//! What to do next, row by row.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{self, Now};
use crate::worker::assignment::testing::assignment;
use crate::worker::probe::{Health, Verdict};
use crate::worker::supervisor::next::{Action, Next, Wanted, next};
use crate::worker::supervisor::running::{ProbeState, Running, Which};
use crate::worker::supervisor::stage::{End, Outcome, Stage, StopAttempt, Why};

const SECOND: Duration = Duration::from_secs(1);

fn running(now: Now, verdict: Verdict, probe: ProbeState) -> Stage {
    let running = Running::resumed(7, now, verdict, &assignment(1), now.instant);
    Stage::Running(Running { probe, ..running })
}

fn stopping(attempt: StopAttempt) -> Stage {
    Stage::Stopping {
        pid: Some(7),
        why: Why::Asked,
        attempt,
        exited: None,
    }
}

#[test]
fn one_step_follows_from_each_stage() {
    use Wanted::{Gone, Run, Stop};
    let now = clock::now();
    let assignment = assignment(1);
    let soon = now.instant + SECOND;
    let end = End::failed("broke".into(), None);
    let failed = |at: Instant| Stage::FetchFailed {
        attempt: 1,
        reason: "x".into(),
        retry_at: at,
    };
    let never = || Next::Do(Action::End(End::never_started()));
    let stop = || Next::Do(Action::Stop(Why::Asked));
    let in_flight = ProbeState::InFlight;
    let due = ProbeState::DueAt(now.instant);
    let deadline = now.instant + assignment.health.start_deadline;
    let rows = [
        (Run, Stage::Accepted, Next::Do(Action::Fetch)),
        (Stop, Stage::Accepted, never()),
        (Gone, Stage::Accepted, never()),
        (Run, Stage::Fetching { attempt: 0 }, Next::Rest),
        (Stop, Stage::Fetching { attempt: 0 }, never()),
        (Run, failed(now.instant), Next::Do(Action::Fetch)),
        (Run, failed(soon), Next::Until(soon)),
        (Gone, failed(soon), never()),
        (Run, Stage::Fetched, Next::Do(Action::Start)),
        (Stop, Stage::Fetched, never()),
        (
            Run,
            Stage::Initialising { in_flight: false },
            Next::Do(Action::Init),
        ),
        (Run, Stage::Initialising { in_flight: true }, Next::Rest),
        (Stop, Stage::Initialising { in_flight: true }, stop()),
        (Gone, Stage::Initialising { in_flight: false }, stop()),
        (Run, Stage::Initialised, Next::Do(Action::Start)),
        (Stop, Stage::Initialised, never()),
        (Run, Stage::Starting { exited: None }, Next::Rest),
        (Stop, Stage::Starting { exited: None }, Next::Rest),
        (
            Gone,
            Stage::Starting {
                exited: Some(super::fake::exit(1)),
            },
            Next::Rest,
        ),
        (
            Run,
            running(now, Verdict::Starting, due),
            Next::Do(Action::Probe(Which::Health)),
        ),
        (
            Run,
            running(now, Verdict::Starting, ProbeState::DueAt(soon)),
            Next::Until(soon),
        ),
        (
            Run,
            running(now, Verdict::Starting, in_flight),
            Next::Until(deadline),
        ),
        (Run, running(now, Verdict::Healthy, in_flight), Next::Rest),
        (
            Run,
            running(now, Verdict::Healthy, ProbeState::Over),
            Next::Rest,
        ),
        (
            Run,
            running(now, Verdict::Unhealthy, due),
            Next::Do(Action::Probe(Which::Health)),
        ),
        (Stop, running(now, Verdict::Healthy, due), stop()),
        (Stop, running(now, Verdict::Starting, in_flight), stop()),
        (Gone, running(now, Verdict::Healthy, in_flight), stop()),
        (Stop, stopping(StopAttempt::InFlight), Next::Rest),
        (Run, stopping(StopAttempt::InFlight), Next::Rest),
        (Run, stopping(StopAttempt::RetryAt(now.instant)), stop()),
        (
            Gone,
            stopping(StopAttempt::RetryAt(soon)),
            Next::Until(soon),
        ),
        (Run, Stage::Ended(end.clone()), Next::Rest),
        (Stop, Stage::Ended(end.clone()), Next::Rest),
        (Gone, Stage::Ended(end.clone()), Next::Do(Action::Clean)),
        (Gone, Stage::Cleaning(end.clone()), Next::Rest),
        (
            Gone,
            Stage::Unclean {
                end: end.clone(),
                retry_at: soon,
            },
            Next::Until(soon),
        ),
        (Gone, Stage::Clean(end), Next::Forget),
    ];
    for (wanted, stage, expected) in rows {
        let found = next(wanted, &stage, &assignment, now.instant);
        assert_eq!(found, expected, "{wanted:?} {stage:?}");
    }
}

#[test]
fn a_late_start_is_ended_with_what_its_checks_saw() {
    let now = clock::now();
    let assignment = assignment(1);
    let mut health = Health::starting();
    health.observe(Err("answered with status 503".into()));
    let stage = Stage::Running(Running {
        health,
        probe: ProbeState::InFlight,
        ..Running::begin(7, &assignment, now)
    });
    let late = now.instant + assignment.health.start_deadline;
    let expected = "did not answer GET /health within 60 s of its start: answered with status 503";
    let stop = Next::Do(Action::Stop(Why::Failed(expected.into())));
    assert_eq!(next(Wanted::Run, &stage, &assignment, late), stop);
    assert_eq!(
        next(Wanted::Run, &stage, &assignment, late - SECOND),
        Next::Until(late)
    );
}

#[test]
fn outcomes_that_come_late_change_nothing() {
    let now = clock::now();
    let assignment = assignment(1);
    let end = Stage::Ended(End::never_started());
    let late = [
        Outcome::Fetched,
        Outcome::FetchFailed {
            reason: "x".into(),
            hopeless: true,
        },
        Outcome::Started { pid: 9 },
        Outcome::NotStarted {
            reason: "x".into(),
            exit: None,
        },
        Outcome::Probed(Which::Health, Ok(())),
        Outcome::InitEnded(Ok(super::fake::exit(0))),
        Outcome::PostStarted(Err("x".into())),
        Outcome::Exited(super::fake::exit(0)),
        Outcome::Stopped(super::fake::exit(0)),
        Outcome::NotStopped { reason: "x".into() },
    ];
    for outcome in late {
        assert_eq!(end.clone().after(outcome, &assignment, now), end);
    }
    let stopping = stopping(StopAttempt::InFlight);
    assert_eq!(
        stopping
            .clone()
            .after(Outcome::Probed(Which::Health, Ok(())), &assignment, now),
        stopping
    );
}

#[test]
fn pauses_between_fetches_grow_to_half_a_minute() {
    let now = clock::now();
    let assignment = assignment(1);
    let pauses = (0..8).map(|attempt| {
        let failed = Outcome::FetchFailed {
            reason: "x".into(),
            hopeless: false,
        };
        match (Stage::Fetching { attempt }).after(failed, &assignment, now) {
            Stage::FetchFailed { retry_at, .. } => (retry_at - now.instant).as_secs(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn an_end_seen_during_a_call_counts_when_the_call_is_over() {
    let now = clock::now();
    let assignment = assignment(1);
    let seen = || Outcome::Exited(super::fake::exit(3));
    let starting = Stage::Starting { exited: None }.after(seen(), &assignment, now);
    assert_eq!(
        next(Wanted::Gone, &starting, &assignment, now.instant),
        Next::Rest
    );
    let expected = Stage::Ended(End::by_itself(super::fake::exit(3)));
    assert_eq!(
        starting.after(Outcome::Started { pid: 7 }, &assignment, now),
        expected
    );

    let asked = Stage::Ended(End {
        asked: true,
        reason: String::new(),
        exit: Some(super::fake::exit(3)),
    });
    let stopping = stopping(StopAttempt::InFlight).after(seen(), &assignment, now);
    assert_eq!(
        next(Wanted::Gone, &stopping, &assignment, now.instant),
        Next::Rest
    );
    let lost = Outcome::NotStopped {
        reason: "holder away".into(),
    };
    assert_eq!(stopping.clone().after(lost, &assignment, now), asked);
    assert_eq!(
        stopping.after(Outcome::Stopped(super::fake::exit(0)), &assignment, now),
        asked
    );
}
