//! What comes before, beside and after the command, and the checks that end a frontend.

use std::time::Duration;

use fleet_model::ids::FrontendId;

use super::fake::{Place, exit, full, reach, run, vanish};
use crate::clock::{self, Now};
use crate::worker::assignment::testing::{assignment, check};
use crate::worker::assignment::{Assignment, Command, RepeatedCheck};
use crate::worker::runtime::Step;
use crate::worker::supervisor::next::{Action, Next, Wanted, begin, next};
use crate::worker::supervisor::observed::Phase;
use crate::worker::supervisor::running::{Running, Which};
use crate::worker::supervisor::stage::{Outcome, Stage, Why};

const SECOND: Duration = Duration::from_secs(1);

fn line(text: &str) -> Option<Command> {
    Some(Command::Line(text.to_owned()))
}

fn with_init(id: u64) -> Assignment {
    Assignment {
        init_step: line("./migrate"),
        ..run(id)
    }
}

#[tokio::test]
async fn the_init_step_ends_well_before_the_command_starts() {
    let place = Place::new();
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![with_init(1)])).await.unwrap();
    let healthy = reach(&supervisor, 1, Phase::Healthy).await;
    let steps = place.machine.steps.lock().unwrap().clone();
    let (step, launch) = &steps[0];
    assert_eq!(*step, Step::Init);
    assert_eq!(launch.environment["INIT_CONTAINER"], "true");
    let port = launch.port.map(|port| format!("127.0.0.1:{port}"));
    assert_eq!(port.as_deref(), Some(&*healthy.address), "the same port");
    assert_eq!(steps.len(), 1);
}

#[tokio::test]
async fn a_failed_init_step_fails_the_frontend_with_its_words() {
    let place = Place::new();
    place.machine.answer_step(Step::Init, exit(3));
    let supervisor = place.start().await;
    supervisor.obey(full(10, vec![with_init(1)])).await.unwrap();
    let failed = reach(&supervisor, 1, Phase::Failed).await;
    assert_eq!(failed.reason, "init step exited with status 3");
    assert_eq!(failed.exit, Some(exit(3)));
    assert!(place.machine.starts.lock().unwrap().is_empty());
}

#[tokio::test]
async fn an_init_step_under_way_is_taken_over_and_can_be_stopped() {
    let place = Place::new();
    place.machine.hold_step(Step::Init);
    let supervisor = place.start().await;
    let wanted = vec![with_init(1), with_init(2)];
    supervisor.obey(full(10, wanted)).await.unwrap();
    for id in [1, 2] {
        place.machine.step_asked(Step::Init, FrontendId(id)).await;
    }
    drop(supervisor);

    let supervisor = place.start().await;
    let told = supervisor.view().borrow().census[&FrontendId(1)].clone();
    assert_eq!(told.phase, Phase::Starting);
    assert_eq!(told.reason, "its init step runs");
    // Nobody wants the second any more.
    supervisor.obey(full(11, vec![with_init(1)])).await.unwrap();
    vanish(&supervisor, 2).await;
    place.machine.answer_step(Step::Init, exit(0));
    reach(&supervisor, 1, Phase::Healthy).await;
    let starts = place.machine.starts.lock().unwrap().clone();
    assert_eq!(starts.len(), 1, "{starts:?}");
}

#[tokio::test]
async fn post_start_runs_once_and_its_failure_ends_the_frontend() {
    let place = Place::new();
    let supervisor = place.start().await;
    let wanted = Assignment {
        post_start: line("./register"),
        pre_stop: line("./deregister"),
        ..run(1)
    };
    supervisor
        .obey(full(10, vec![wanted.clone()]))
        .await
        .unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    place
        .machine
        .step_asked(Step::PostStart, FrontendId(1))
        .await;
    supervisor.obey(full(11, Vec::new())).await.unwrap();
    vanish(&supervisor, 1).await;
    let steps = place.machine.steps.lock().unwrap().clone();
    let names: Vec<_> = steps.iter().map(|(step, _)| *step).collect();
    assert_eq!(names, [Step::PostStart, Step::PreStop]);

    place.machine.answer_step(Step::PostStart, exit(4));
    let second = Assignment {
        id: FrontendId(2),
        ..wanted
    };
    supervisor.obey(full(12, vec![second])).await.unwrap();
    let failed = reach(&supervisor, 2, Phase::Failed).await;
    assert_eq!(failed.reason, "postStart exited with status 4");
}

#[tokio::test]
async fn one_that_is_no_longer_alive_is_ended() {
    let place = Place::new();
    let supervisor = place.start().await;
    let wanted = Assignment {
        liveness: Some(check("/alive")),
        ..run(1)
    };
    supervisor.obey(full(10, vec![wanted])).await.unwrap();
    reach(&supervisor, 1, Phase::Healthy).await;
    place.machine.sick.lock().unwrap().insert(FrontendId(1));
    let failed = reach(&supervisor, 1, Phase::Failed).await;
    let expected =
        "is no longer alive: GET /alive failed 3 times in a row: answered with status 500";
    assert_eq!(failed.reason, expected);
}

/// A frontend that was just started, and what is to be done about it when.
struct Started {
    assignment: Assignment,
    stage: Stage,
    now: Now,
}

impl Started {
    fn new(assignment: Assignment) -> Self {
        let now = clock::now();
        let stage = Stage::Running(Running::begin(7, &assignment, now));
        Self {
            assignment,
            stage,
            now,
        }
    }

    fn next(&self) -> Next {
        next(Wanted::Run, &self.stage, &self.assignment, self.now.instant)
    }

    /// Goes on until the next check, which must be this one, and answers it.
    fn answer(&mut self, which: Which, passed: bool) {
        if let Next::Until(at) = self.next() {
            self.now.instant = at;
        }
        let action = Action::Probe(which);
        assert_eq!(self.next(), Next::Do(action.clone()));
        let result = if passed { Ok(()) } else { Err("no".to_owned()) };
        let stage = begin(self.stage.clone(), &action);
        self.stage = stage.after(Outcome::Probed(which, result), &self.assignment, self.now);
    }
}

#[test]
fn nothing_is_asked_before_the_startup_check_has_passed() {
    let patient = RepeatedCheck {
        grace: 2 * SECOND,
        interval: SECOND,
        failure: 200,
        ..check("/started")
    };
    let mut frontend = Started::new(Assignment {
        startup: Some(patient),
        liveness: Some(RepeatedCheck {
            grace: 3 * SECOND,
            ..check("/alive")
        }),
        ..assignment(1)
    });
    let begun = frontend.now.instant;
    // Longer than a start may take without one: 60 s.
    for _ in 0..100 {
        frontend.answer(Which::Startup, false);
    }
    assert_eq!(frontend.now.instant - begun, 2 * SECOND + 99 * SECOND);
    frontend.answer(Which::Startup, true);
    let up = frontend.now.instant;
    frontend.answer(Which::Health, true);
    frontend.answer(Which::Liveness, true);
    assert_eq!(frontend.now.instant - up, 3 * SECOND);
}

#[test]
fn one_that_does_not_come_up_is_ended_with_what_was_asked() {
    let mut frontend = Started::new(Assignment {
        startup: Some(check("/started")),
        ..assignment(1)
    });
    for _ in 0..3 {
        frontend.answer(Which::Startup, false);
    }
    let expected = "did not come up: GET /started failed 3 times in a row: no";
    let stop = Action::Stop(Why::Failed(expected.to_owned()));
    assert_eq!(frontend.next(), Next::Do(stop));
}
