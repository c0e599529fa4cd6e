//! Promotions of any count and any bounds, with workers that speak in any order and releases that
//! fail as they like: the bounds hold ([`Checked`] looks after every command), something moves
//! whenever something may, and a reversal ends.

use fleet_model::{
    Command, Time,
    command::{Code, NewBuild, Report},
    environment::Limits,
    frontend::{Desired, Frontend, Phase},
    ids::{EnvironmentKey, NodeId},
    manifest::{Deployment, Scale, Service},
    plan::{IngressFacts, Load, rolling::bounds},
    rollout,
    time::Millis,
};
use proptest::prelude::*;

use crate::common::{Checked, Random, app, digest, environment, manifest, registration, web};

proptest! {
    #![proptest_config(a_quarter_of_the_usual())]

    #[test]
    fn a_release_that_works_takes_over(shape in shape(), seed in any::<u64>()) {
        let mut world = World::new(shape, seed);
        if world.promote(Health::Sound) {
            prop_assert_eq!(world.active(), "bbbb222");
        }
    }

    #[test]
    fn a_release_that_never_works_is_taken_back(shape in shape(), seed in any::<u64>()) {
        let mut world = World::new(shape, seed);
        if world.promote(Health::Broken) && shape.count > 0 {
            prop_assert_eq!(world.active(), "aaaa111");
            let failed = matches!(world.phase(), rollout::Phase::Failed { .. });
            prop_assert!(failed);
        }
        world.is_whole()?;
    }

    #[test]
    fn whatever_fails_it_ends(shape in shape(), seed in any::<u64>()) {
        let mut world = World::new(shape, seed);
        world.promote(Health::Fickle);
        world.is_whole()?;
    }
}

/// Lives are long: `PROPTEST_CASES` makes them more, as for any other property.
fn a_quarter_of_the_usual() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig {
        cases: usual.cases.div_ceil(4),
        failure_persistence: None,
        ..usual
    }
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    count: u32,
    next: u32,
    deployment: Deployment,
    singleton: bool,
}

fn shape() -> impl Strategy<Value = Shape> {
    let percent = (0..=100_u32, 100..=200_u32);
    (1..9_u32, 1..9_u32, percent, proptest::bool::weighted(0.1)).prop_map(
        |(count, next, (minimum, maximum), singleton)| Shape {
            count: if singleton { 1 } else { count },
            next: if singleton { 1 } else { next },
            deployment: if singleton {
                Deployment {
                    minimum: 0,
                    maximum: 100,
                }
            } else {
                Deployment { minimum, maximum }
            },
            singleton,
        },
    )
}

#[derive(Clone, Copy, PartialEq)]
enum Health {
    Sound,
    Broken,
    Fickle,
}

struct World {
    checked: Checked,
    random: Random,
    now: Time,
    load: Load,
    shape: Shape,
}

impl World {
    /// Three nodes, and `count` healthy frontends of the active release.
    fn new(shape: Shape, seed: u64) -> Self {
        let mut world = Self {
            checked: Checked::new(),
            random: Random::new(seed),
            now: Time(1_000),
            load: Load::default(),
            shape,
        };
        for number in 1..=3 {
            let node = registration(number, (number == 1).then_some(1));
            world.commit(Command::RegisterNode(node));
        }
        world.commit(Command::CreateApp {
            name: "shop".to_owned(),
        });
        world.commit(Command::SetLimits {
            environment: key(),
            limits: Limits { min: 1, max: 10 },
        });
        for (number, name, count) in [(1, "aaaa111", shape.count), (2, "bbbb222", shape.next)] {
            world.commit(build(name, number, count, shape));
            for node in world
                .checked
                .state
                .nodes
                .keys()
                .copied()
                .collect::<Vec<_>>()
            {
                world.commit(Command::RecordCopy {
                    digest: digest(number),
                    node,
                });
            }
        }
        world.commit(promote("aaaa111"));
        world.run(Health::Sound);
        assert_eq!(world.active(), "aaaa111");
        world
    }

    /// Promotes the second release and lives until that is over; `false` when it was refused, as it
    /// is exactly when no step would be possible.
    fn promote(&mut self, health: Health) -> bool {
        let answer = self.checked.commit(self.now, promote("bbbb222"));
        // The environment bounds nothing here: the manifest pins both counts.
        let possible = bounds(self.shape.deployment, self.shape.next).leave_room();
        match answer {
            Ok(_) => assert!(possible, "{:?}", self.shape),
            Err(refused) => {
                assert!(!possible, "{refused}: {:?}", self.shape);
                assert_eq!(refused.code, Code::InvalidValue);
                return false;
            }
        }
        self.run(health);
        true
    }

    fn run(&mut self, health: Health) {
        for _ in 0..6_000 {
            self.hear();
            let waiting = self.checked.settle(&self.load, self.now).waiting;
            let moves = self.moves(health);
            if moves.is_empty() && waiting.is_empty() && self.phase().over() {
                return;
            }
            if let Some(report) = self.random.pick(&moves).cloned() {
                self.commit(report);
            }
            let idle = if moves.is_empty() { 5_000 } else { 200 };
            self.now = self.now.plus(Millis(self.random.between(1, idle)));
        }
        panic!("no end of {:?} for {:?}", self.phase(), self.shape);
    }

    /// Everybody is heard, and every ingress routes by the newest table.
    fn hear(&mut self) {
        let state = &self.checked.state;
        for node in state.nodes.keys() {
            self.load.workers.insert(*node, self.now);
            let facts = IngressFacts {
                heard: self.now,
                applied: state.generation,
                ..IngressFacts::default()
            };
            self.load.ingresses.insert(*node, [(1, facts)].into());
        }
    }

    /// What a worker could say next.
    fn moves(&mut self, health: Health) -> Vec<Command> {
        let frontends: Vec<Frontend> = self.checked.state.frontends.values().cloned().collect();
        let mut moves = Vec::new();
        for frontend in frontends {
            let new = self.checked.state.loaded[&frontend.loaded].name != "aaaa111";
            let fails = match health {
                Health::Sound => false,
                Health::Broken => new,
                Health::Fickle => self.random.one_in(if new { 4 } else { 40 }),
            };
            let phase = match (frontend.desired, frontend.observed.phase) {
                (_, phase) if phase.over() => continue,
                (Desired::Stop, _) => Phase::Stopped,
                (Desired::Run, Phase::Healthy) if fails && self.random.one_in(2) => {
                    Phase::Unhealthy
                }
                (Desired::Run, _) if fails => Phase::Failed,
                (Desired::Run, Phase::Healthy) => continue,
                (Desired::Run, _) => Phase::Healthy,
                (Desired::Withdrawn { .. }, _) => continue,
            };
            moves.push(report(&frontend, phase));
        }
        moves
    }

    fn commit(&mut self, command: Command) {
        self.checked.commit(self.now, command).unwrap();
    }

    fn phase(&self) -> rollout::Phase {
        self.checked.state.rollouts[&key()].phase.clone()
    }

    fn active(&self) -> String {
        let state = &self.checked.state;
        let key = key();
        let active = state.environments[&key].active.clone();
        let loaded = state
            .loaded_in(&key)
            .find(|(key, _)| Some(&key.release) == active.as_ref());
        loaded
            .map(|(_, loaded)| loaded.name.clone())
            .unwrap_or_default()
    }

    /// After anything, the environment has one active release at its count, and nothing else runs.
    fn is_whole(&mut self) -> Result<(), TestCaseError> {
        self.run(Health::Sound);
        let state = &self.checked.state;
        let count = if self.active() == "aaaa111" {
            self.shape.count
        } else {
            self.shape.next
        };
        let healthy = state.frontends.values().filter(|f| f.healthy()).count();
        prop_assert_eq!(
            (healthy, state.frontends.len()),
            (count as usize, count as usize)
        );
        prop_assert_eq!(state.loaded.len(), 1);
        Ok(())
    }
}

fn key() -> EnvironmentKey {
    environment("shop/prod")
}

fn promote(name: &str) -> Command {
    Command::Promote {
        environment: key(),
        reference: Some(name.to_owned()),
        force: false,
    }
}

fn report(frontend: &Frontend, phase: Phase) -> Command {
    Command::Observe {
        node: frontend.node,
        reports: vec![Report {
            frontend: frontend.id,
            phase,
            address: Some(format!(
                "10.0.0.{}:{}",
                frontend.node,
                20_000 + frontend.id.0
            )),
            pid: None,
            reason: String::new(),
            exit: None,
        }],
    }
}

fn build(name: &str, number: u64, count: u32, shape: Shape) -> Command {
    let web = Service {
        deployment: shape.deployment,
        singleton: shape.singleton,
        scale: Some(Scale {
            count,
            min: count,
            max: count,
        }),
        ..web()
    };
    Command::CreateBuild(NewBuild {
        app: app("shop"),
        name: name.to_owned(),
        message: String::new(),
        digest: digest(number),
        size: 1,
        manifest: manifest(&[("web", web)]),
        holder: NodeId(1),
        environment: None,
        description: None,
    })
}
