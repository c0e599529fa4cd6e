//! Plans the same step of a rolling update again and again, for an instruction counter to watch:
//! `plan_cost FRONTENDS ROUNDS`. With 0 rounds it only gets there, so that the difference between
//! two runs is the planning alone. `./dev bench` runs it.

use std::sync::Arc;

use fleet_model::{
    Command, Entry, State, Time,
    command::{NewBuild, Registration, Report},
    environment::Limits,
    frontend::{Desired, Phase},
    ids::{AppName, Digest, EnvironmentKey, EnvironmentName, NodeId, ServiceName},
    manifest::{Manifest, Run, Scale, Service},
    node::Role,
    plan::{IngressFacts, Load, plan},
};

const NODES: u64 = 20;

fn main() -> Result<(), &'static str> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let (Some(Ok(frontends)), Some(Ok(rounds))) = (arguments.next(), arguments.next()) else {
        return Err("usage: plan_cost FRONTENDS ROUNDS");
    };
    let mut cluster = Cluster::new(frontends);
    cluster.roll_half_way();
    let load = cluster.load();
    let mut commands = 0;
    for _ in 0..rounds {
        let planned = plan(&cluster.state, &load, cluster.state.now);
        commands += planned.commands.len();
    }
    assert!(
        commands > 0 || rounds == 0,
        "there was nothing to plan at that moment"
    );
    Ok(())
}

struct Cluster {
    state: State,
    frontends: u32,
}

impl Cluster {
    /// Twenty nodes, and an active release whose frontends are all healthy.
    fn new(frontends: u32) -> Self {
        let mut cluster = Self {
            state: State::genesis(),
            frontends,
        };
        for number in 1..=NODES {
            cluster.commit(Command::RegisterNode(Registration {
                name: format!("n{number}"),
                address: format!("10.0.0.{number}:7400"),
                roles: Role::ALL.into(),
                labels: [].into(),
                architecture: "x86_64".to_owned(),
                id: (number == 1).then_some(NodeId(1)),
            }));
        }
        cluster.commit(Command::CreateApp {
            name: "shop".to_owned(),
        });
        cluster.commit(Command::SetLimits {
            environment: key(),
            limits: Limits {
                min: 1,
                max: 10_000,
            },
        });
        cluster.build("aaaa111", 1);
        cluster.build("bbbb222", 2);
        cluster.promote("aaaa111");
        cluster.settle(u32::MAX);
        cluster
    }

    /// The next release has begun to take over: half of its frontends are healthy, the old ones
    /// they replace are gone, and one more has just become healthy.
    fn roll_half_way(&mut self) {
        self.promote("bbbb222");
        self.settle(self.frontends / 2);
        let next = self.pending().into_iter().next();
        if let Some(report) = next {
            self.commit(report);
        }
    }

    /// Plans, and lets workers do as they are told, until `most` frontends have become healthy.
    fn settle(&mut self, most: u32) {
        let mut healthy = 0;
        loop {
            let planned = plan(&self.state, &self.load(), self.state.now);
            let stopped = self.stopped();
            let idle = planned.commands.is_empty() && stopped.is_empty();
            for command in planned.commands.into_iter().chain(stopped) {
                self.commit(command);
            }
            if !idle {
                continue;
            }
            let pending: Vec<Command> = self.pending();
            let room = (most - healthy) as usize;
            if pending.is_empty() || room == 0 {
                return;
            }
            for report in pending.into_iter().take(room) {
                self.commit(report);
                healthy += 1;
            }
        }
    }

    /// Reports of frontends that could be healthy now.
    fn pending(&self) -> Vec<Command> {
        self.reports(Phase::Healthy, |desired, phase| {
            desired == Desired::Run && phase < Phase::Healthy
        })
    }

    fn stopped(&self) -> Vec<Command> {
        self.reports(Phase::Stopped, |desired, phase| {
            desired == Desired::Stop && !phase.over()
        })
    }

    fn reports(&self, next: Phase, due: impl Fn(Desired, Phase) -> bool) -> Vec<Command> {
        let frontends = self.state.frontends.values();
        frontends
            .filter(|frontend| due(frontend.desired, frontend.observed.phase))
            .map(|frontend| Command::Observe {
                node: frontend.node,
                reports: vec![Report {
                    frontend: frontend.id,
                    phase: next,
                    address: Some(format!("10.0.0.{}:{}", frontend.node, frontend.id)),
                    pid: None,
                    reason: String::new(),
                    exit: None,
                }],
            })
            .collect()
    }

    fn load(&self) -> Load {
        let facts = IngressFacts {
            heard: self.state.now,
            applied: self.state.generation,
            ..IngressFacts::default()
        };
        let nodes = || self.state.nodes.keys().copied();
        Load {
            workers: nodes().map(|node| (node, self.state.now)).collect(),
            ingresses: nodes()
                .map(|node| (node, [(1, facts.clone())].into()))
                .collect(),
            ..Load::default()
        }
    }

    fn build(&mut self, name: &str, number: u64) {
        let count = self.frontends;
        let service = Service {
            scale: Some(Scale {
                count,
                min: count,
                max: count,
            }),
            ..Service::new(Run::Argv(vec!["./web".to_owned()]))
        };
        let Ok(web) = ServiceName::parse("web") else {
            unreachable!("a name that fits")
        };
        let manifest = Manifest {
            services: [(web, service)].into(),
            ..Manifest::default()
        };
        let Some(digest) = Digest::parse(&format!("{number:064x}")) else {
            unreachable!("64 digits")
        };
        self.commit(Command::CreateBuild(NewBuild {
            app: key().app,
            name: name.to_owned(),
            message: String::new(),
            digest: digest.clone(),
            size: 1,
            manifest: Arc::new(manifest),
            holder: NodeId(1),
            environment: None,
            description: None,
        }));
        let second = self.state.nodes.keys().copied().nth(1).unwrap_or(NodeId(1));
        self.commit(Command::RecordCopy {
            digest,
            node: second,
        });
    }

    fn promote(&mut self, name: &str) {
        self.commit(Command::Promote {
            environment: key(),
            reference: Some(name.to_owned()),
            force: false,
        });
    }

    fn commit(&mut self, command: Command) {
        let entry = Entry {
            index: self.state.index + 1,
            time: Time(self.state.now.0 + 1),
            request: None,
            actor: "bench".into(),
            command,
        };
        if let Err(refused) = self.state.apply(entry) {
            assert_eq!(refused.code.as_str(), "STALE", "{refused}");
        }
    }
}

fn key() -> EnvironmentKey {
    match (AppName::parse("shop"), EnvironmentName::parse("prod")) {
        (Ok(app), Ok(name)) => EnvironmentKey { app, name },
        _ => unreachable!("names that fit"),
    }
}
