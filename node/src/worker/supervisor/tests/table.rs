//! What to do next, row by row.

use std::time::Duration;

use tokio::time::Instant;

use crate::clock::{self, Now};
use crate::worker::assignment::testing::assignment;
use crate::worker::probe::{Health, Verdict};
use crate::worker::supervisor::next::{Action, Next, Wanted, next};
use crate::worker::supervisor::stage::{
    End, Outcome, ProbeState, Running, Stage, StopAttempt, Why,
};

const SECOND: Duration = Duration::from_secs(1);

fn running(now: Now, verdict: Verdict, probe: ProbeState) -> Stage {
    Stage::Running(Running {
        pid: 7,
        since: now,
        health: Health::resumed(verdict),
        probe,
    })
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
    let check = assignment(1).health;
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
    let deadline = now.instant + check.start_deadline;
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
            Next::Do(Action::Probe),
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
            Next::Do(Action::Probe),
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
        let found = next(wanted, &stage, &check, now.instant);
        assert_eq!(found, expected, "{wanted:?} {stage:?}");
    }
}

#[test]
fn a_late_start_is_ended_with_what_its_checks_saw() {
    let now = clock::now();
    let check = assignment(1).health;
    let mut health = Health::starting();
    health.observe(Err("answered with status 503".into()));
    let probe = ProbeState::InFlight;
    let stage = Stage::Running(Running {
        pid: 7,
        since: now,
        health,
        probe,
    });
    let late = now.instant + check.start_deadline;
    let expected = "did not answer GET /health within 60 s of its start: answered with status 503";
    let stop = Next::Do(Action::Stop(Why::Failed(expected.into())));
    assert_eq!(next(Wanted::Run, &stage, &check, late), stop);
    assert_eq!(
        next(Wanted::Run, &stage, &check, late - SECOND),
        Next::Until(late)
    );
}

#[test]
fn outcomes_that_come_late_change_nothing() {
    let now = clock::now();
    let check = assignment(1).health;
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
        Outcome::Probed(Ok(())),
        Outcome::Exited(super::fake::exit(0)),
        Outcome::Stopped(super::fake::exit(0)),
        Outcome::NotStopped { reason: "x".into() },
    ];
    for outcome in late {
        assert_eq!(end.clone().after(outcome, &check, now), end);
    }
    let stopping = stopping(StopAttempt::InFlight);
    assert_eq!(
        stopping.clone().after(Outcome::Probed(Ok(())), &check, now),
        stopping
    );
}

#[test]
fn pauses_between_fetches_grow_to_half_a_minute() {
    let now = clock::now();
    let check = assignment(1).health;
    let pauses = (0..8).map(|attempt| {
        let failed = Outcome::FetchFailed {
            reason: "x".into(),
            hopeless: false,
        };
        match (Stage::Fetching { attempt }).after(failed, &check, now) {
            Stage::FetchFailed { retry_at, .. } => (retry_at - now.instant).as_secs(),
            other => panic!("{other:?}"),
        }
    });
    assert_eq!(pauses.collect::<Vec<_>>(), [1, 2, 4, 8, 16, 30, 30, 30]);
}

#[test]
fn an_end_seen_during_a_call_counts_when_the_call_is_over() {
    let now = clock::now();
    let check = assignment(1).health;
    let seen = || Outcome::Exited(super::fake::exit(3));
    let starting = Stage::Starting { exited: None }.after(seen(), &check, now);
    assert_eq!(
        next(Wanted::Gone, &starting, &check, now.instant),
        Next::Rest
    );
    let expected = Stage::Ended(End::by_itself(super::fake::exit(3)));
    assert_eq!(
        starting.after(Outcome::Started { pid: 7 }, &check, now),
        expected
    );

    let asked = Stage::Ended(End {
        asked: true,
        reason: String::new(),
        exit: Some(super::fake::exit(3)),
    });
    let stopping = stopping(StopAttempt::InFlight).after(seen(), &check, now);
    assert_eq!(
        next(Wanted::Gone, &stopping, &check, now.instant),
        Next::Rest
    );
    let lost = Outcome::NotStopped {
        reason: "holder away".into(),
    };
    assert_eq!(stopping.clone().after(lost, &check, now), asked);
    assert_eq!(
        stopping.after(Outcome::Stopped(super::fake::exit(0)), &check, now),
        asked
    );
}
