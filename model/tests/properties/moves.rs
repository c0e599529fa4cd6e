//! Moves: commands whose objects are chosen from those there are, so that random sequences go deep.

use fleet_model::{
    Command, Time,
    command::{Advance, BuildReport, Built, NewBuild, NodeChange, Report, VariableChange, Verdict},
    environment::Limits,
    frontend::{Exit, Phase},
    ids::{EnvironmentKey, LoadedKey, NodeId},
    manifest::Scale,
    node::{Lease, Role, Vote},
    plan::{IngressFacts, Load, plan},
    time::Millis,
};
use proptest::{prelude::*, sample::Index, sample::select};

use crate::builds::source;
use crate::common::{
    Checked, app, change, digest, drain, environment, manifest, registration, removal, web,
};

#[derive(Clone, Debug)]
pub enum Move {
    Ask(Command),
    /// A request id out of few, so that it was perhaps used before.
    AskAs(u8, Command),
    /// A verdict on a lease, of a leader that sees the state as it is.
    Mark(NodeId, Lease, Lease),
    /// The same about whatever release is loaded.
    AskOfLoaded(Index, Asked),
    Report(Index, Phase, u8),
    /// A worker says how a build step ended, perhaps one of long ago.
    EndStep(Index, u32, bool),
    Decide(Index, Decided),
    /// Plan, and commit all of it.
    Plan,
    /// Plan, and commit one command now, another one from an older plan.
    PlanLate(Index, Index),
    /// Plan until there is rest.
    Settle,
    Silence(u64),
    Hear(u64),
    Confirm(u64),
    Wait(u64),
    NewLeader,
    ClockBack(u64),
}

#[derive(Clone, Copy, Debug)]
pub enum Asked {
    Activate,
    ActivateNow,
    Unload,
    Load,
    Count(u32),
}

/// Commands as a planner would send them, right or wrong.
#[derive(Clone, Copy, Debug)]
pub enum Decided {
    Switch,
    Confirmed,
    Drained,
    Fail,
    Running,
    LoadFailed,
    Gone,
}

/// A cluster, its log, and what a leader knows.
#[derive(Debug)]
pub struct Life {
    pub checked: Checked,
    now: Time,
    load: Load,
    silent: Vec<NodeId>,
    planned: Vec<Command>,
}

impl Life {
    /// Three nodes, two apps, two builds of one, with one release loaded.
    pub fn new() -> Self {
        let mut life = Self {
            checked: Checked::new(),
            now: Time(1_000_000),
            load: Load::default(),
            silent: Vec::new(),
            planned: Vec::new(),
        };
        life.load.since = life.now;
        let mut beginning = vec![Command::InitCluster {
            id: "c1".to_owned(),
            name: "demo".to_owned(),
            domain: "localhost".to_owned(),
        }];
        beginning
            .extend((1..=3).map(|n| Command::RegisterNode(registration(n, (n == 1).then_some(1)))));
        beginning.push(Command::CreateApp {
            name: "shop".to_owned(),
        });
        beginning.push(Command::CreateEnvironment {
            app: app("shop"),
            name: "staging".to_owned(),
        });
        beginning.extend([build("037205f", 1, false), build("8ef9d2f", 2, true)]);
        beginning.extend([source("dddd444", 4), source("eeee555", 5)]);
        for command in beginning {
            life.checked.commit(life.now, command).unwrap();
        }
        for node in life.nodes() {
            for number in 1..=2 {
                let copy = Command::RecordCopy {
                    digest: digest(number),
                    node,
                };
                life.checked.commit(life.now, copy).unwrap();
            }
        }
        life
    }

    pub fn make(&mut self, one: Move) {
        self.hear_all();
        match one {
            Move::Ask(command) => drop(self.checked.commit(self.now, command)),
            Move::Mark(node, from, to) => {
                let mark = self.checked.mark(node, from, to);
                drop(self.checked.commit(self.now, mark));
            }
            Move::AskAs(id, command) => {
                drop(self.checked.ask(self.now, Some(&format!("r{id}")), command));
            }
            Move::AskOfLoaded(which, asked) => self.ask_of_loaded(which, asked),
            Move::Report(which, phase, port) => self.report(which, phase, port),
            Move::EndStep(which, attempts_ago, well) => self.end_step(which, attempts_ago, well),
            Move::Decide(which, decided) => self.decide(which, decided),
            Move::Plan => {
                let planned = plan(&self.checked.state, &self.load, self.now);
                self.planned.extend(planned.commands.iter().cloned());
                for command in planned.commands {
                    self.checked.planned(self.now, command);
                }
            }
            Move::PlanLate(first, late) => {
                let planned = plan(&self.checked.state, &self.load, self.now).commands;
                if !planned.is_empty() {
                    self.checked.planned(self.now, first.get(&planned).clone());
                }
                if !self.planned.is_empty() {
                    self.checked
                        .planned(self.now, late.get(&self.planned).clone());
                }
                self.planned.extend(planned);
            }
            Move::Settle => drop(self.checked.settle(&self.load, self.now)),
            Move::Silence(node) => self.silent.extend(self.node(node)),
            Move::Hear(node) => {
                let node = self.node(node);
                self.silent.retain(|silent| Some(*silent) != node);
            }
            Move::Confirm(node) => {
                let (node, now) = (self.node(node), self.now);
                let applied = self.checked.state.generation;
                if let Some(node) = node {
                    let facts = IngressFacts {
                        heard: now,
                        applied,
                        ..IngressFacts::default()
                    };
                    self.load.ingresses.insert(node, [(1, facts)].into());
                }
            }
            Move::Wait(millis) => self.now = self.now.plus(Millis(millis)),
            Move::NewLeader => {
                self.load = Load {
                    since: self.now,
                    ..Load::default()
                };
            }
            Move::ClockBack(millis) => self.now = Time(self.now.0.saturating_sub(millis)),
        }
    }

    fn hear_all(&mut self) {
        for node in self.nodes() {
            if !self.silent.contains(&node) {
                self.load.workers.insert(node, self.now);
            }
        }
    }

    fn nodes(&self) -> Vec<NodeId> {
        self.checked.state.nodes.keys().copied().collect()
    }

    fn node(&self, number: u64) -> Option<NodeId> {
        self.nodes().get(number as usize).copied()
    }

    fn loaded(&self, which: Index) -> Option<(LoadedKey, u64, String)> {
        let all: Vec<_> = self.checked.state.loaded.iter().collect();
        if all.is_empty() {
            return None;
        }
        let (key, loaded) = *which.get(&all);
        Some((key.clone(), loaded.revision, loaded.name.clone()))
    }

    fn ask_of_loaded(&mut self, which: Index, asked: Asked) {
        let Some((key, _, reference)) = self.loaded(which) else {
            return;
        };
        let environment = key.environment;
        let command = match asked {
            Asked::Activate | Asked::ActivateNow => Command::Activate {
                environment,
                reference,
                now: matches!(asked, Asked::ActivateNow),
            },
            Asked::Unload => Command::Unload {
                environment,
                reference,
            },
            Asked::Load => Command::Load {
                environment,
                reference: key.release.to_string(),
            },
            Asked::Count(count) => Command::SetDesired {
                environment,
                reference: Some(reference),
                count,
            },
        };
        drop(self.checked.commit(self.now, command));
    }

    fn report(&mut self, which: Index, phase: Phase, port: u8) {
        let all: Vec<_> = self.checked.state.frontends.values().collect();
        if all.is_empty() {
            return;
        }
        let frontend = *which.get(&all);
        let exit = (phase == Phase::Failed).then(|| Exit {
            code: Some(1),
            signal: None,
            out_of_memory: false,
            output: vec!["listen: address in use".to_owned()],
        });
        let report = Report {
            frontend: frontend.id,
            phase,
            address: (port > 0).then(|| format!("10.0.0.{}:2000{port}", frontend.node)),
            pid: None,
            reason: String::new(),
            exit,
        };
        let command = Command::Observe {
            node: frontend.node,
            reports: vec![report],
        };
        drop(self.checked.commit(self.now, command));
    }

    fn end_step(&mut self, which: Index, attempts_ago: u32, well: bool) {
        let steps = self.checked.state.builds.values();
        let running: Vec<_> = steps
            .filter_map(|build| Some((build.id.clone(), *build.due()?)))
            .collect();
        if running.is_empty() {
            return;
        }
        let (build, step) = which.get(&running).clone();
        let end = match well {
            true => Built::Artefact {
                digest: digest(6),
                size: 6,
            },
            false => Built::Failed {
                reason: "exited with status 1".to_owned(),
                output: Vec::new(),
            },
        };
        let report = BuildReport {
            build,
            node: step.node.unwrap_or(NodeId(1)),
            attempt: step.attempt.saturating_sub(attempts_ago),
            holder: NodeId(1),
            log: Some((digest(7), 7)),
            end,
        };
        let stale = step.node.is_none() || attempts_ago > 0 && step.attempt > 0;
        let answer = self.checked.commit(self.now, Command::ReportBuild(report));
        assert!(!stale || answer.is_err(), "a late report was taken");
    }

    fn decide(&mut self, which: Index, decided: Decided) {
        let advance = match decided {
            Decided::Switch => Some(Advance::Switch),
            Decided::Confirmed => Some(Advance::Confirmed),
            Decided::Drained => Some(Advance::Drained),
            Decided::Fail => Some(Advance::Fail {
                reason: "of the test".to_owned(),
            }),
            Decided::Running | Decided::LoadFailed | Decided::Gone => None,
        };
        let command = if let Some(step) = advance {
            let all: Vec<_> = self.checked.state.rollouts.values().collect();
            if all.is_empty() {
                return;
            }
            let rollout = *which.get(&all);
            Command::AdvanceRollout {
                environment: rollout.environment.clone(),
                rollout: rollout.id,
                assumed: rollout.revision,
                step,
            }
        } else {
            let Some((loaded, assumed, _)) = self.loaded(which) else {
                return;
            };
            let verdict = match decided {
                Decided::Running => Verdict::Running,
                Decided::Gone => Verdict::Gone,
                _ => Verdict::Failed {
                    reason: "of the test".to_owned(),
                },
            };
            Command::SettleLoaded {
                loaded,
                assumed,
                verdict,
            }
        };
        drop(self.checked.commit(self.now, command));
    }
}

fn build(name: &str, number: u64, two_services: bool) -> Command {
    let job = fleet_model::manifest::Service {
        port: None,
        scale: Some(Scale {
            count: 1,
            min: 1,
            max: 3,
        }),
        ..web()
    };
    let services = [("web", web()), ("job", job)];
    let count = if two_services { 2 } else { 1 };
    Command::CreateBuild(NewBuild {
        app: app("shop"),
        name: name.to_owned(),
        message: "a change".to_owned(),
        digest: digest(number),
        size: 10,
        manifest: manifest(&services[..count]),
        holder: NodeId(1),
        environment: None,
        description: None,
    })
}

pub fn one() -> impl Strategy<Value = Move> {
    let phases = vec![
        Phase::Assigned,
        Phase::Fetching,
        Phase::Starting,
        Phase::Healthy,
        Phase::Healthy,
        Phase::Healthy,
        Phase::Unhealthy,
        Phase::Stopping,
        Phase::Stopped,
        Phase::Failed,
        Phase::Lost,
    ];
    let asked = prop_oneof![
        Just(Asked::Activate),
        Just(Asked::ActivateNow),
        Just(Asked::Unload),
        Just(Asked::Load),
        (0..5_u32).prop_map(Asked::Count),
    ];
    let decided = select(vec![
        Decided::Switch,
        Decided::Confirmed,
        Decided::Drained,
        Decided::Fail,
        Decided::Running,
        Decided::LoadFailed,
        Decided::Gone,
    ]);
    prop_oneof![
        6 => command().prop_map(Move::Ask),
        1 => (0..3_u8, command()).prop_map(|(id, command)| Move::AskAs(id, command)),
        6 => (any::<Index>(), asked).prop_map(|(which, asked)| Move::AskOfLoaded(which, asked)),
        12 => (any::<Index>(), select(phases), 0..4_u8)
            .prop_map(|(which, phase, port)| Move::Report(which, phase, port)),
        3 => (any::<Index>(), 0..2_u32, any::<bool>())
            .prop_map(|(which, ago, well)| Move::EndStep(which, ago, well)),
        2 => (any::<Index>(), decided).prop_map(|(which, decided)| Move::Decide(which, decided)),
        6 => Just(Move::Plan),
        3 => (any::<Index>(), any::<Index>()).prop_map(|(a, b)| Move::PlanLate(a, b)),
        4 => Just(Move::Settle),
        1 => (1..6_u64, lease(), lease()).prop_map(|(node, from, to)| Move::Mark(NodeId(node), from, to)),
        2 => (0..4_u64).prop_map(Move::Silence),
        2 => (0..4_u64).prop_map(Move::Hear),
        5 => (0..4_u64).prop_map(Move::Confirm),
        5 => select(vec![1, 100, 1_000, 5_000, 20_000, 700_000]).prop_map(Move::Wait),
        1 => Just(Move::NewLeader),
        1 => select(vec![1, 5_000]).prop_map(Move::ClockBack),
    ]
}

fn lease() -> impl Strategy<Value = Lease> {
    select(vec![Lease::New, Lease::Ready, Lease::Suspect, Lease::Lost])
}

fn key() -> impl Strategy<Value = EnvironmentKey> {
    select(vec![environment("shop/prod"), environment("shop/staging")])
}

fn command() -> impl Strategy<Value = Command> {
    let node = || (1..6_u64).prop_map(NodeId);
    let on = any::<bool>;
    let reference = || select(vec!["037205f", "8ef9d2f", "0372", "active", "previous"]);
    prop_oneof![
        super::anew::command(),
        super::certificates::command().boxed(),
        super::access::command().boxed(),
        Just(Command::InitCluster {
            id: "c2".to_owned(),
            name: "other".to_owned(),
            domain: "example.org".to_owned()
        }),
        (1..6_u64, any::<bool>()).prop_map(|(number, control)| {
            let mut asked = registration(number, None);
            if !control {
                asked.roles.remove(&Role::Control);
            }
            Command::RegisterNode(asked)
        }),
        node().prop_map(removal),
        (node(), on()).prop_map(|(node, on)| drain(node, on)),
        (node(), node_change()).prop_map(|(node, asked)| change(node, asked)),
        (1..3_u64, node()).prop_map(|(number, node)| Command::RecordCopy {
            digest: digest(number),
            node
        }),
        on().prop_map(|new| build(if new { "aaaa111" } else { "037205f" }, 3, new)),
        reference().prop_map(|reference| Command::DestroyBuild {
            app: app("shop"),
            reference: reference.to_owned()
        }),
        Just(Command::CreateApp {
            name: "blog".to_owned()
        }),
        on().prop_map(|new| source(if new { "eeee555" } else { "ffff666" }, 6)),
        select(vec!["shop", "blog"]).prop_map(|name| Command::DeleteApp { app: app(name) }),
        select(vec!["staging", "prod", "set"]).prop_map(|name| Command::CreateEnvironment {
            app: app("shop"),
            name: name.to_owned()
        }),
        key().prop_map(|environment| Command::DestroyEnvironment { environment }),
        key().prop_map(|key| Command::SetDefaultEnvironment {
            app: key.app,
            environment: key.name
        }),
        (key(), 0..4_u32, 0..6_u32).prop_map(|(environment, min, max)| Command::SetLimits {
            environment,
            limits: Limits { min, max }
        }),
        (key(), on()).prop_map(|(environment, on)| Command::SetProtected { environment, on }),
        (key(), on()).prop_map(|(environment, on)| Command::SetRecycling { environment, on }),
        (key(), on()).prop_map(|(environment, on)| Command::SetMaintenance { environment, on }),
        (key(), select(vec!["A", "B", "LD_X"]), 0..3_u8).prop_map(|(environment, name, value)| {
            Command::SetVariables {
                environment,
                change: VariableChange {
                    set: [(name.into(), value.to_string().into())].into(),
                    ..VariableChange::default()
                },
            }
        }),
        (key(), reference()).prop_map(|(environment, reference)| Command::Load {
            environment,
            reference: reference.to_owned()
        }),
        (key(), reference()).prop_map(|(environment, reference)| Command::Load {
            environment,
            reference: reference.to_owned()
        }),
        (key(), reference(), on()).prop_map(|(environment, reference, now)| Command::Activate {
            environment,
            reference: reference.to_owned(),
            now
        }),
        key().prop_map(|environment| Command::Deactivate { environment }),
        (key(), reference()).prop_map(|(environment, reference)| Command::Unload {
            environment,
            reference: reference.to_owned()
        }),
    ]
}

/// Changes of a node beside draining and removing.
fn node_change() -> impl Strategy<Value = NodeChange> {
    let label = |zone: u8| [("zone".to_owned(), format!("z{zone}"))].into();
    prop_oneof![
        (0..60_u64).prop_map(|seconds| NodeChange::Drain {
            deadline: Some(Millis::seconds(seconds)),
        }),
        select(vec![Vote::Automatic, Vote::Always, Vote::Never]).prop_map(NodeChange::Vote),
        (0..3_u8, any::<bool>()).prop_map(move |(zone, unset)| NodeChange::SetLabels {
            set: label(zone),
            unset: unset.then(|| "zone".to_owned()).into_iter().collect(),
        }),
        Just(NodeChange::Leave),
        any::<bool>().prop_map(|force| NodeChange::Remove { force }),
        any::<bool>().prop_map(NodeChange::Mute),
        Just(NodeChange::Twin {
            boot: "b".to_owned(),
        }),
    ]
}
