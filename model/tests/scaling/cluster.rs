//! A cluster whose frontends carry a load, second by second: agents tell what CPU it takes,
//! ingresses what they send, and the planner does the rest.

use std::collections::{BTreeMap, BTreeSet};

use fleet_model::{
    Command, Time,
    command::{AutoscalingChange, NewBuild, Report, TargetsChange},
    environment::{Limits, Loaded},
    frontend::{Desired, Phase},
    ids::{EnvironmentKey, FrontendId, LoadedKey, NodeId},
    manifest::Service,
    plan::{IngressFacts, Load, Plan},
    scaling::{Decision, FrontendTraffic, FrontendUsage, PolicyKind, Signals},
    time::Millis,
};

use crate::common::{Checked, app, digest, environment, manifest, registration, service, web};

pub struct Cluster {
    pub checked: Checked,
    pub load: Load,
    pub signals: Signals,
    pub now: Time,
    pub nodes: u64,
    /// From being placed to being healthy.
    pub start_up: Millis,
    /// CPU that the load of the environment takes, in thousandths of a core; each frontend has one
    /// core at most.
    pub demand: u64,
    pub muted_agents: BTreeSet<NodeId>,
    pub muted_ingresses: BTreeSet<NodeId>,
    pub waiting: Plan,
    cpu_usec: BTreeMap<FrontendId, u64>,
    in_flight: BTreeMap<FrontendId, u64>,
}

pub const SECOND: Millis = Millis::seconds(1);

pub fn prod() -> EnvironmentKey {
    environment("shop/prod")
}

impl Cluster {
    /// Three nodes, limits 2 to 20, and `aaaa111` active with two healthy frontends.
    pub fn new() -> Self {
        Self::with(web())
    }

    pub fn with(described: Service) -> Self {
        let mut cluster = Self {
            checked: Checked::new(),
            load: Load::default(),
            signals: Signals::new(Time(0)),
            // A clock as it is.
            now: Time(1_700_000_000_000),
            nodes: 3,
            start_up: Millis::seconds(2),
            demand: 200,
            muted_agents: BTreeSet::new(),
            muted_ingresses: BTreeSet::new(),
            waiting: Plan::default(),
            cpu_usec: BTreeMap::new(),
            in_flight: BTreeMap::new(),
        };
        cluster.lead();
        for number in 1..=cluster.nodes {
            cluster.commit(Command::RegisterNode(registration(
                number,
                (number == 1).then_some(1),
            )));
        }
        cluster.commit(Command::CreateApp {
            name: "shop".to_owned(),
        });
        cluster.commit(Command::SetLimits {
            environment: prod(),
            limits: Limits { min: 2, max: 20 },
        });
        cluster.build("aaaa111", 1, described);
        cluster.promote("aaaa111");
        cluster.seconds(45);
        assert_eq!(cluster.count(), 2, "it begins with two");
        cluster
    }

    /// Another leads from now on, and has heard nothing.
    pub fn lead(&mut self) {
        self.signals = Signals::new(self.now);
        self.load = Load {
            since: self.now,
            ..Load::default()
        };
    }

    pub fn commit(&mut self, command: Command) {
        let answer = self.checked.commit(self.now, command);
        assert!(answer.is_ok(), "{answer:?}");
    }

    pub fn build(&mut self, name: &str, number: u64, described: Service) {
        self.commit(Command::CreateBuild(NewBuild {
            app: app("shop"),
            name: name.to_owned(),
            message: "a change".to_owned(),
            digest: digest(number),
            size: 10,
            manifest: manifest(&[("web", described)]),
            holder: NodeId(1),
            environment: None,
            description: None,
        }));
        for node in 2..=self.nodes {
            self.commit(Command::RecordCopy {
                digest: digest(number),
                node: NodeId(node),
            });
        }
    }

    pub fn promote(&mut self, name: &str) {
        self.commit(Command::Promote {
            environment: prod(),
            reference: Some(name.to_owned()),
            force: false,
        });
    }

    pub fn policy(&mut self, kind: PolicyKind) {
        self.set(AutoscalingChange::Policy(kind));
    }

    /// The policy `target`, with this target of CPU.
    pub fn target(&mut self, cpu_percent: u32) {
        self.policy(PolicyKind::Target);
        self.set(AutoscalingChange::Targets(TargetsChange {
            cpu_percent: Some(Some(cpu_percent)),
            ..TargetsChange::default()
        }));
    }

    pub fn set(&mut self, change: AutoscalingChange) {
        self.commit(Command::SetAutoscaling {
            environment: prod(),
            change,
        });
    }

    pub fn seconds(&mut self, seconds: u64) {
        (0..seconds).for_each(|_| self.second());
    }

    /// Lets seconds pass until `done`, at most `most` of them; answers how many it took.
    pub fn until(&mut self, most: u64, done: impl Fn(&Self) -> bool) -> u64 {
        for passed in 0..most {
            if done(self) {
                return passed;
            }
            self.second();
        }
        panic!("not within {most} seconds; decisions: {:#?}", self.lines());
    }

    pub fn second(&mut self) {
        self.now = self.now.plus(SECOND);
        self.work();
        self.measure();
        self.plan();
    }

    /// Workers do as they are told.
    fn work(&mut self) {
        let reports: Vec<Command> = self
            .checked
            .state
            .frontends
            .values()
            .filter_map(|frontend| {
                let ready = frontend.placed.plus(self.start_up) <= self.now;
                let phase = match (frontend.desired, frontend.observed.phase) {
                    (Desired::Run, phase) if phase < Phase::Healthy && ready => Phase::Healthy,
                    (Desired::Stop, phase) if !phase.over() => Phase::Stopped,
                    _ => return None,
                };
                Some(Command::Observe {
                    node: frontend.node,
                    reports: vec![Report {
                        frontend: frontend.id,
                        phase,
                        address: Some(format!("10.0.0.{}:{}", frontend.node, frontend.id)),
                        pid: None,
                        reason: String::new(),
                        exit: None,
                    }],
                })
            })
            .collect();
        reports.into_iter().for_each(|report| self.commit(report));
    }

    /// The load is shared evenly; agents and ingresses tell of it unless they are mute.
    fn measure(&mut self) {
        let state = &self.checked.state;
        let active = state.environments[&prod()].active.as_ref();
        let serves = |release| {
            let rollout = state.rollouts.get(&prod());
            active == Some(release) || rollout.is_some_and(|rollout| rollout.concerns(release))
        };
        let healthy: Vec<(FrontendId, NodeId, bool)> = state
            .frontends
            .values()
            .filter(|frontend| frontend.healthy())
            .map(|frontend| {
                let serves = serves(&frontend.loaded.release);
                (frontend.id, frontend.node, serves)
            })
            .collect();
        let serving = || healthy.iter().filter(|(.., serves)| *serves);
        let offered = self.demand / serving().count().max(1) as u64;
        let share = offered.min(1000);
        let in_flight = offered / 100;
        let mut before = BTreeMap::new();
        for (id, ..) in serving() {
            *self.cpu_usec.entry(*id).or_default() += share * 1000;
            before.insert(*id, self.in_flight.insert(*id, in_flight).unwrap_or(0));
        }
        for node in (1..=self.nodes).map(NodeId) {
            let of_node = || healthy.iter().filter(|(_, on, _)| *on == node);
            let usage: Vec<FrontendUsage> = of_node()
                .map(|(frontend, ..)| FrontendUsage {
                    frontend: *frontend,
                    sampled: self.now,
                    cpu_usec: self.cpu_usec.get(frontend).copied().unwrap_or(0),
                    memory_bytes: 64 << 20,
                    processes: 1,
                })
                .collect();
            if !self.muted_agents.contains(&node) {
                self.signals
                    .usage(&self.checked.state, node, self.now, &usage);
            }
            // A request takes a hundredth of a core for a second; each node gets its share of them.
            // What a frontend cannot take waits, all of it in the first ingress, and who waits sends
            // nothing else: what was sent is what was answered and what waits longer than before.
            let traffic: Vec<FrontendTraffic> = serving()
                .map(|(frontend, ..)| {
                    let answered = share / 10 / self.nodes;
                    let first = node == NodeId(1);
                    let sent = (answered + in_flight).saturating_sub(before[frontend]);
                    FrontendTraffic {
                        frontend: *frontend,
                        requests: if first { sent } else { answered },
                        server_errors: 0,
                        connection_errors: 0,
                        in_flight: if first { in_flight } else { 0 },
                        latency: vec![(40, 1)],
                    }
                })
                .collect();
            if !self.muted_ingresses.contains(&node) {
                self.signals
                    .traffic(&self.checked.state, node, 1, self.now, &traffic);
            }
        }
    }

    pub fn plan(&mut self) {
        let facts = IngressFacts {
            heard: self.now,
            applied: self.checked.state.generation,
            ..IngressFacts::default()
        };
        let nodes = || (1..=self.nodes).map(NodeId);
        self.load.workers = nodes().map(|node| (node, self.now)).collect();
        self.load.ingresses = nodes()
            .map(|node| (node, [(1, facts.clone())].into()))
            .collect();
        self.signals.forget(&self.checked.state);
        self.load.signals = self.signals.look(self.now);
        self.waiting = self.checked.settle(&self.load, self.now);
    }

    pub fn active(&self) -> (LoadedKey, &Loaded) {
        let state = &self.checked.state;
        let release = state.environments[&prod()].active.clone().unwrap();
        let key = LoadedKey {
            environment: prod(),
            release,
        };
        let loaded = &state.loaded[&key];
        (key, loaded)
    }

    pub fn count(&self) -> u32 {
        self.active().1.desired[&service("web")]
    }

    /// Frontends of all releases that serve.
    pub fn healthy(&self) -> u32 {
        let frontends = self.checked.state.frontends.values();
        frontends.filter(|frontend| frontend.healthy()).count() as u32
    }

    pub fn decisions(&self) -> Vec<Decision> {
        let past = self.active().1.scaling.get(&service("web"));
        past.map_or_else(Vec::new, |past| past.decisions.iter().cloned().collect())
    }

    /// The decisions as they are told, oldest first.
    pub fn lines(&self) -> Vec<String> {
        self.decisions().iter().map(Decision::line).collect()
    }

    /// How often the count changed.
    pub fn changes(&self) -> usize {
        let changes = self.decisions();
        changes.iter().filter(|d| d.from != d.to).count()
    }
}
