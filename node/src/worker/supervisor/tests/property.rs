//! Whatever control says and the world does, in whatever order: one process per frontend at most,
//! one call at a time, and in the end what is wanted.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::fake::exit;
use crate::clock::Now;
use crate::worker::assignment::testing::{assignment, check};
use crate::worker::assignment::{Assignment, Command, Desired};
use crate::worker::supervisor::frontend::Frontend;
use crate::worker::supervisor::next::{Action, Next, Wanted};
use crate::worker::supervisor::observed::Phase;
use crate::worker::supervisor::running::Which;
use crate::worker::supervisor::stage::Outcome;

/// What may happen between two decisions.
#[derive(Clone, Copy, Debug)]
enum Event {
    /// The call under way is answered; the number chooses how.
    Answer(u8),
    /// The checks under way are answered.
    Check(bool),
    /// So is the step under way, with this status.
    Step(u8),
    /// The process ends by itself.
    Dies(u8),
    Stop,
    Rerun,
    Remove,
    Wait(u16),
    Nothing,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        6 => any::<u8>().prop_map(Event::Answer),
        4 => any::<bool>().prop_map(Event::Check),
        3 => (0..2_u8).prop_map(Event::Step),
        1 => any::<u8>().prop_map(Event::Dies),
        1 => Just(Event::Stop),
        1 => Just(Event::Rerun),
        1 => Just(Event::Remove),
        3 => (0..40_000u16).prop_map(Event::Wait),
        2 => Just(Event::Nothing),
    ]
}

/// A frontend and the world around it.
struct World {
    frontend: Frontend,
    now: Now,
    assignment: Assignment,
    call: Option<Action>,
    /// Steps and checks may run beside a call and beside one another.
    step: Option<Action>,
    checks: Vec<Which>,
    alive: bool,
    starts: u32,
    forgotten: bool,
}

impl World {
    /// With everything there is, or as plain as it can be.
    fn new(plain: bool) -> Self {
        let command = |text: &str| Some(Command::Line(text.to_owned()));
        let assignment = match plain {
            true => assignment(1),
            false => Assignment {
                init_step: command("init"),
                post_start: command("begin"),
                pre_stop: command("end"),
                startup: Some(check("/started")),
                liveness: Some(check("/alive")),
                ..assignment(1)
            },
        };
        let now = Now {
            instant: Instant::now(),
            unix_ms: 1_000,
        };
        Self {
            frontend: Frontend::accept(assignment.clone(), 1, now),
            now,
            assignment,
            call: None,
            step: None,
            checks: Vec::new(),
            alive: false,
            starts: 0,
            forgotten: false,
        }
    }

    fn decide(&mut self) {
        if self.forgotten {
            return;
        }
        match self.frontend.next(None, self.now) {
            Next::Do(action) => {
                let late_fetch = matches!(self.call, Some(Action::Fetch));
                match &action {
                    Action::Probe(which) => {
                        assert!(self.alive, "a check of a process that is");
                        assert!(!self.checks.contains(which), "one check of a kind");
                        self.checks.push(*which);
                    }
                    Action::Init | Action::PostStart => {
                        assert_eq!(self.step, None, "one step at a time");
                        assert_eq!(action == Action::PostStart, self.alive);
                        self.step = Some(action.clone());
                    }
                    // Gives up on a fetch, whose answer will come late.
                    Action::End(_) => {
                        assert!(self.starts == 0 && (self.call.is_none() || late_fetch))
                    }
                    Action::Start => {
                        assert_eq!(self.step, None, "the init step is over");
                        assert_eq!((self.starts, self.call.as_ref()), (0, None), "started once");
                        self.call = Some(Action::Start);
                    }
                    other => {
                        assert!(
                            self.call.is_none() || late_fetch,
                            "{other:?} during {:?}",
                            self.call
                        );
                        self.call = Some(other.clone());
                    }
                }
                self.frontend.begin(&action, self.now);
            }
            Next::Forget => {
                assert!(!self.alive, "forgotten with a process");
                self.forgotten = true;
            }
            Next::Until(at) => assert!(at > self.now.instant, "a wake-up in the past"),
            Next::Rest => {}
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Answer(how) => self.answer(how),
            Event::Check(passed) => {
                for which in std::mem::take(&mut self.checks) {
                    let result = if passed { Ok(()) } else { Err("no".to_owned()) };
                    self.learn(Outcome::Probed(which, result));
                }
            }
            Event::Step(status) => match self.step.take() {
                Some(Action::Init) => self.learn(Outcome::InitEnded(Ok(exit(status.into())))),
                Some(_) => self.learn(Outcome::PostStarted(Ok(exit(status.into())))),
                None => {}
            },
            Event::Dies(code) => self.die(code),
            Event::Stop => self.reassign(Desired::Stop),
            Event::Rerun => self.reassign(Desired::Run),
            Event::Remove => self.frontend.remove(3),
            Event::Wait(ms) => self.wait(Duration::from_millis(ms.into())),
            Event::Nothing => {}
        }
    }

    fn answer(&mut self, how: u8) {
        let outcome = match (self.call.take(), how % 4) {
            (Some(Action::Fetch), 0) => Outcome::FetchFailed {
                reason: "away".into(),
                hopeless: false,
            },
            (Some(Action::Fetch), 1) if how == 1 => Outcome::FetchFailed {
                reason: "bad".into(),
                hopeless: true,
            },
            (Some(Action::Fetch), _) => Outcome::Fetched,
            (Some(Action::Start), 0) => Outcome::NotStarted {
                reason: "no".into(),
                exit: None,
            },
            (Some(Action::Start), 1) => {
                self.starts += 1;
                Outcome::NotStarted {
                    reason: "died".into(),
                    exit: Some(exit(1)),
                }
            }
            (Some(Action::Start), 2) => {
                self.starts += 1;
                self.learn(Outcome::Exited(exit(1)));
                Outcome::Started { pid: 7 }
            }
            (Some(Action::Start), _) => {
                self.starts += 1;
                self.alive = true;
                Outcome::Started { pid: 7 }
            }
            (Some(Action::Stop(_)), 0) => Outcome::NotStopped {
                reason: "away".into(),
            },
            (Some(Action::Stop(_)), _) => {
                self.alive = false;
                self.happen(Event::Step(1));
                Outcome::Stopped(exit(0))
            }
            (Some(Action::Clean), 0) => Outcome::NotCleaned {
                reason: "busy".into(),
            },
            (Some(Action::Clean), _) => Outcome::Cleaned,
            // A stop ends the steps with the process.
            (Some(_) | None, _) => return,
        };
        self.learn(outcome);
    }

    fn die(&mut self, code: u8) {
        if std::mem::take(&mut self.alive) {
            self.learn(Outcome::Exited(exit(code.into())));
        }
    }

    fn reassign(&mut self, desired: Desired) {
        self.frontend.reassign(
            Assignment {
                desired,
                ..self.assignment.clone()
            },
            2,
        );
    }

    fn learn(&mut self, outcome: Outcome) {
        if !self.forgotten {
            self.frontend.learn(outcome, self.now);
        }
    }

    fn wait(&mut self, time: Duration) {
        self.now.instant += time;
        self.now.unix_ms += u64::try_from(time.as_millis()).unwrap();
    }

    /// A kind world: every call succeeds, every check passes, time goes on.
    fn settle(&mut self) {
        for _ in 0..60 {
            self.decide();
            self.answer(3);
            self.happen(Event::Step(0));
            self.happen(Event::Check(true));
            self.wait(Duration::from_secs(1));
        }
    }

    fn phase_never_goes_back(&self, before: Phase) {
        let after = self.frontend.phase();
        let flap = matches!((before, after), (Phase::Unhealthy, Phase::Healthy));
        // Stopped orders before Failed; both are final.
        let terminal = |phase| matches!(phase, Phase::Stopped | Phase::Failed);
        assert!(
            after == before || (after > before || flap) && !terminal(before),
            "{before:?} to {after:?}"
        );
    }
}

proptest! {
    #[test]
    fn a_frontend_lives_once(
        plain in any::<bool>(),
        events in prop::collection::vec(event(), 0..80),
    ) {
        let mut world = World::new(plain);
        for event in events {
            let before = world.frontend.phase();
            world.decide();
            world.happen(event);
            prop_assert!(world.starts <= 1);
            world.phase_never_goes_back(before);
        }
        world.settle();
        let phase = world.frontend.phase();
        match world.frontend.wanted() {
            Wanted::Run if world.starts == 1 && world.alive => prop_assert_eq!(phase, Phase::Healthy),
            Wanted::Run => prop_assert_eq!(phase, Phase::Failed),
            Wanted::Stop => prop_assert!(!world.alive && phase >= Phase::Stopped),
            Wanted::Gone => prop_assert!(!world.alive && world.forgotten),
        }
    }

    #[test]
    fn left_alone_it_becomes_healthy(
        plain in any::<bool>(),
        failures in prop::collection::vec(Just(Event::Answer(0)), 0..4),
    ) {
        let mut world = World::new(plain);
        for failure in failures {
            world.decide();
            // Only fetching may fail here: a start that fails is final.
            if world.call == Some(Action::Fetch) {
                world.happen(failure);
            }
            world.wait(Duration::from_secs(31));
        }
        world.settle();
        prop_assert_eq!(world.frontend.phase(), Phase::Healthy);
        prop_assert_eq!(world.starts, 1);
    }
}
