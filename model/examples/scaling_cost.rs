//! Plans again and again what autoscaling has to look at, for an instruction counter to watch:
//! `scaling_cost SERVICES CHANGED ROUNDS`, ten frontends each service, of which CHANGED have news.
//! With 0 rounds it only gets there, so that the difference between two runs is the planning alone.
//! `./dev bench planning` runs it.

use std::{collections::BTreeMap, sync::Arc};

use fleet_model::{
    Command, Entry, State, Time,
    command::{NewBuild, Registration},
    environment::{Limits, LoadedStatus},
    frontend::{Desired, Frontend, Observed, Phase},
    ids::{
        AppName, Digest, EnvironmentKey, EnvironmentName, FrontendId, LoadedKey, NodeId,
        ServiceName,
    },
    manifest::{Manifest, Run, Service, Targets},
    node::Role,
    plan::{IngressFacts, Load, plan},
    scaling::{FrontendTraffic, FrontendUsage, Signals},
    time::Millis,
};

/// Frontends of each service.
const EACH: u32 = 10;
/// Services of each app.
const OF_APP: u32 = 10;
const NODES: u64 = 100;
/// Enough for a decision to be made.
const SECONDS: u64 = 24;

fn main() -> Result<(), &'static str> {
    let mut arguments = std::env::args().skip(1).map(|text| text.parse::<u32>());
    let mut next = || arguments.next().and_then(Result::ok);
    let (Some(services), Some(changed), Some(rounds)) = (next(), next(), next()) else {
        return Err("usage: scaling_cost SERVICES CHANGED ROUNDS");
    };
    let mut cluster = Cluster::new(services);
    // All are heard of, at steps that leave no gap.
    for second in (0..SECONDS).step_by(8) {
        cluster.hear(second, services);
    }
    // Looked at a moment before, so that only what there is news of is due.
    cluster.signals.look(cluster.at(SECONDS));
    cluster.hear(SECONDS, changed);
    let now = cluster.at(SECONDS);
    let load = cluster.load(now);
    let mut commands = 0;
    for _ in 0..rounds {
        commands += plan(&cluster.state, &load, now).commands.len();
    }
    assert!(
        rounds == 0 || changed == 0 || commands > 0,
        "nothing was asked for"
    );
    Ok(())
}

struct Cluster {
    state: State,
    signals: Signals,
    nodes: Vec<NodeId>,
}

impl Cluster {
    /// Apps of ten services each, everything active and healthy.
    fn new(services: u32) -> Self {
        let mut state = State::genesis();
        for number in 1..=NODES {
            commit(
                &mut state,
                Command::RegisterNode(Registration {
                    name: format!("n{number}"),
                    address: format!("10.0.0.{number}:7400"),
                    roles: Role::ALL.into(),
                    labels: [].into(),
                    architecture: "x86_64".to_owned(),
                    id: (number == 1).then_some(NodeId(1)),
                }),
            );
        }
        let mut cluster = Self {
            signals: Signals::new(state.now),
            nodes: state.nodes.keys().copied().collect(),
            state,
        };
        for app in 0..services.div_ceil(OF_APP) {
            cluster.app(app);
        }
        cluster
    }

    fn app(&mut self, number: u32) {
        let key = key(number);
        let digest = Digest::parse(&format!("{number:064x}"));
        let commands = [
            Command::CreateApp {
                name: key.app.to_string(),
            },
            Command::SetLimits {
                environment: key.clone(),
                limits: Limits {
                    min: EACH,
                    max: 100,
                },
            },
            Command::CreateBuild(NewBuild {
                app: key.app.clone(),
                name: "aaaa111".to_owned(),
                message: String::new(),
                digest: fits(digest),
                size: 1,
                manifest: Arc::new(manifest()),
                holder: NodeId(1),
                environment: None,
                description: None,
            }),
            Command::RecordCopy {
                digest: fits(Digest::parse(&format!("{number:064x}"))),
                node: self.nodes[1],
            },
            Command::Load {
                environment: key.clone(),
                reference: "aaaa111".to_owned(),
            },
        ];
        for command in commands {
            commit(&mut self.state, command);
        }
        let loaded = self.state.loaded_in(&key).map(|(key, _)| key.clone());
        let loaded = fits(loaded.last());
        self.activate(&loaded);
    }

    /// As if it had been started and activated, which takes long where there are thousands.
    fn activate(&mut self, key: &LoadedKey) {
        let state = &mut self.state;
        if let Some(loaded) = state.loaded.get_mut(key) {
            loaded.status = LoadedStatus::Active;
        }
        if let Some(environment) = state.environments.get_mut(&key.environment) {
            environment.active = Some(key.release.clone());
        }
        for (service, slot) in manifest()
            .services
            .into_keys()
            .flat_map(|service| (1..=EACH).map(move |slot| (service.clone(), slot)))
        {
            let id = state.next_frontend;
            state.next_frontend += 1;
            state.put_frontend(Frontend {
                id: FrontendId(id),
                loaded: key.clone(),
                service,
                slot,
                incarnation: 1,
                node: self.nodes[id as usize % self.nodes.len()],
                placed: Time(0),
                desired: Desired::Run,
                desired_since: Time(0),
                observed: Observed {
                    phase: Phase::Healthy,
                    address: Some(format!("10.0.0.1:{id}")),
                    ..Observed::assigned(Time(0))
                },
                revision: 1,
            });
        }
    }

    fn at(&self, second: u64) -> Time {
        self.state.now.plus(Millis::seconds(second))
    }

    /// Agents and an ingress tell of the frontends of the first `services`: they are saturated, so
    /// that there is something to decide.
    fn hear(&mut self, second: u64, services: u32) {
        let now = self.at(second);
        let frontends = 1..=u64::from(services * EACH);
        let mut of_nodes: BTreeMap<NodeId, Vec<FrontendUsage>> = BTreeMap::new();
        for id in frontends.clone() {
            let node = self.nodes[id as usize % self.nodes.len()];
            of_nodes.entry(node).or_default().push(FrontendUsage {
                frontend: FrontendId(id),
                sampled: now,
                cpu_usec: second * 1_000_000,
                memory_bytes: 64 << 20,
                processes: 4,
            });
        }
        for (node, usage) in of_nodes {
            self.signals.usage(&self.state, node, now, &usage);
        }
        let traffic: Vec<FrontendTraffic> = frontends
            .map(|id| FrontendTraffic {
                frontend: FrontendId(id),
                requests: 100,
                server_errors: 0,
                connection_errors: 0,
                in_flight: 2,
                latency: vec![(40, 90), (60, 10)],
            })
            .collect();
        self.signals
            .traffic(&self.state, NodeId(1), 1, now, &traffic);
    }

    fn load(&mut self, now: Time) -> Load {
        let facts = IngressFacts {
            heard: now,
            applied: self.state.generation,
            ..IngressFacts::default()
        };
        let nodes = || self.nodes.iter().copied();
        Load {
            workers: nodes().map(|node| (node, now)).collect(),
            ingresses: nodes()
                .map(|node| (node, [(1, facts.clone())].into()))
                .collect(),
            signals: self.signals.look(now),
            ..Load::default()
        }
    }
}

/// Ten services of ten frontends each that follow their CPU.
fn manifest() -> Manifest {
    let service = Service {
        targets: Targets {
            cpu_percent: Some(50),
            ..Targets::default()
        },
        ..Service::new(Run::Argv(vec!["./web".to_owned()]))
    };
    let services = (0..OF_APP).map(|number| {
        let name = ServiceName::parse(&format!("service{number}"));
        (fits(name.ok()), service.clone())
    });
    Manifest {
        services: services.collect(),
        ..Manifest::default()
    }
}

fn key(number: u32) -> EnvironmentKey {
    EnvironmentKey {
        app: fits(AppName::parse(&format!("app{number}")).ok()),
        name: fits(EnvironmentName::parse("prod").ok()),
    }
}

fn fits<T>(name: Option<T>) -> T {
    match name {
        Some(name) => name,
        None => unreachable!("names that fit"),
    }
}

fn commit(state: &mut State, command: Command) {
    let entry = Entry {
        index: state.index + 1,
        time: Time(state.now.0 + 1),
        request: None,
        actor: "bench".into(),
        command,
    };
    if let Err(refused) = state.apply(entry) {
        unreachable!("{refused}");
    }
}
