//! Plays the lines of a story on a cluster whose workers do as they are told.

use fleet_model::{
    Command, Outcome, Rejection, Time,
    command::{
        AccessChange, CertificateChange, NewBuild, NodeChange, Report, Scale, VariableChange,
    },
    environment::Limits,
    frontend::{Desired, Exit, Frontend, Phase},
    ids::{EnvironmentKey, NodeId},
    manifest::Service,
    network::Network,
    plan::{IngressFacts, Load},
    report::Waiting,
    time::Millis,
};

use super::{orders, show};
use crate::common::{
    Checked, app, change, digest, drain, environment, manifest, registration, web,
};

pub struct Stage {
    pub checked: Checked,
    now: Time,
    load: Load,
    builds: u64,
    told: u64,
}

impl Stage {
    pub fn new() -> Self {
        Self {
            checked: Checked::new(),
            now: Time(0),
            load: Load::default(),
            builds: 0,
            told: 1,
        }
    }

    /// Makes one thing happen and answers what is said about it.
    pub fn play(&mut self, line: &str) -> Vec<String> {
        self.now = self.now.plus(Millis::seconds(1));
        let words: Vec<&str> = line.split_whitespace().collect();
        let mut said = match words.as_slice() {
            ["describe", env] => show::describe(&self.checked.state, &key(env)),
            ["routes", env] => show::routes(&self.checked.state, &key(env)),
            ["orders"] => orders::show(&self.checked.state),
            ["wait", span] => {
                self.now = self.now.plus(Millis::seconds(span.parse().unwrap()));
                show::waiting(&self.plan())
            }
            ["plan"] => show::waiting(&self.plan()),
            ["confirm"] => {
                self.confirm();
                show::waiting(&self.plan())
            }
            ["work"] => {
                self.work(None);
                show::waiting(&self.plan())
            }
            // One frontend does as it is told, and the others take their time.
            ["one"] => {
                self.plan();
                let first = self.reports(None).into_iter().next();
                self.checked.commit(self.now, first.unwrap()).unwrap();
                show::waiting(&self.plan())
            }
            ["fail", name, last @ ..] => {
                self.work(Some((name, &last.join(" "))));
                show::waiting(&self.plan())
            }
            words => show::answer(&self.ask(words)),
        };
        let state = &self.checked.state;
        let news = state.events.range(self.told..);
        said.extend(news.map(|(_, event)| format!("* {}", event.message)));
        self.told = state.next_event;
        said
    }

    fn ask(&mut self, words: &[&str]) -> Result<Outcome, Rejection> {
        let command = match words {
            ["nodes", count] => return self.nodes(count.parse().unwrap()),
            ["build", name, message @ ..] => self.build(web(), name, &message.join(" ")),
            // Of an app that answers at domains of its own.
            ["at", domains, "build", name, message @ ..] => {
                let domains = domains.split(',').map(str::to_owned).collect();
                let service = Service { domains, ..web() };
                self.build(service, name, &message.join(" "))
            }
            // Of an app that lets in the clients of some networks.
            ["for", networks, "build", name, message @ ..] => {
                let whitelist = networks.split(',').map(str::to_owned).collect();
                let service = Service { whitelist, ..web() };
                self.build(service, name, &message.join(" "))
            }
            ["whitelist", ..] | ["env", "whitelist", ..] => access(words)?,
            _ => match orders::command(&self.checked.state, words) {
                Some(command) => command,
                None => command(words),
            },
        };
        self.builds += 1;
        let request = format!("line-{}", self.builds);
        self.checked.ask(self.now, Some(&request), command)
    }

    fn nodes(&mut self, count: u64) -> Result<Outcome, Rejection> {
        let init = Command::InitCluster {
            id: "c1".to_owned(),
            name: "demo".to_owned(),
            domain: "localhost".to_owned(),
        };
        let answer = self.checked.commit(self.now, init);
        for number in 1..=count {
            let asked = registration(number, (number == 1).then_some(1));
            self.checked
                .commit(self.now, Command::RegisterNode(asked))?;
        }
        self.confirm();
        self.plan();
        answer
    }

    /// Built, and copied to all that should have it.
    fn build(&mut self, service: Service, name: &str, message: &str) -> Command {
        self.builds += 1;
        Command::CreateBuild(NewBuild {
            app: app("shop"),
            name: name.to_owned(),
            message: message.to_owned(),
            digest: digest(self.builds),
            size: 1_024,
            manifest: manifest(&[("web", service)]),
            holder: NodeId(1),
            environment: None,
            description: None,
        })
    }

    fn plan(&mut self) -> Vec<Waiting> {
        for node in self.checked.state.nodes.keys() {
            self.load.workers.insert(*node, self.now);
            for processes in self.load.ingresses.get_mut(node).into_iter() {
                processes
                    .values_mut()
                    .for_each(|facts| facts.heard = self.now);
            }
        }
        self.checked.settle(&self.load, self.now).waiting
    }

    /// All ingresses swap to the newest table.
    fn confirm(&mut self) {
        let facts = IngressFacts {
            heard: self.now,
            applied: self.checked.state.generation,
            ..IngressFacts::default()
        };
        for node in self.checked.state.nodes.keys() {
            self.load
                .ingresses
                .insert(*node, [(1, facts.clone())].into());
        }
    }

    /// Workers start and stop what they are told, control nodes copy artefacts and ingresses
    /// confirm, until nothing is left to do. With `failing`, frontends of that release end at once.
    fn work(&mut self, failing: Option<(&str, &str)>) {
        for _ in 0..40 {
            self.plan();
            self.confirm();
            self.plan();
            let mut work = self.copies();
            work.extend(self.reports(failing));
            if work.is_empty() {
                return;
            }
            for command in work {
                self.checked.commit(self.now, command).unwrap();
            }
            self.now = self
                .now
                .plus(Millis(if failing.is_some() { 5_000 } else { 100 }));
        }
        panic!("there is no end of work");
    }

    fn copies(&self) -> Vec<Command> {
        let state = &self.checked.state;
        let copy = |node: NodeId| {
            let wanted = fleet_model::plan::copies::to_fetch(state, node);
            wanted
                .into_iter()
                .map(move |digest| Command::RecordCopy { digest, node })
        };
        state.nodes.keys().copied().flat_map(copy).collect()
    }

    fn reports(&self, failing: Option<(&str, &str)>) -> Vec<Command> {
        let state = &self.checked.state;
        let fails = |frontend: &Frontend| {
            let name = state
                .loaded
                .get(&frontend.loaded)
                .map(|loaded| loaded.name.as_str());
            failing
                .filter(|(failing, _)| name == Some(*failing))
                .map(|(_, last)| last)
        };
        let report = |frontend: &Frontend| {
            let phase = match (frontend.desired, frontend.observed.phase) {
                (Desired::Stop, phase) if !phase.over() => Phase::Stopped,
                (_, phase) if phase.over() => return None,
                (Desired::Run, _) if fails(frontend).is_some() => Phase::Failed,
                (Desired::Run, phase) if phase < Phase::Healthy => Phase::Healthy,
                _ => return None,
            };
            let exit = fails(frontend)
                .filter(|_| phase == Phase::Failed)
                .map(|last| Exit {
                    code: Some(1),
                    signal: None,
                    out_of_memory: false,
                    output: last.split(" / ").map(str::to_owned).collect(),
                });
            let report = Report {
                frontend: frontend.id,
                phase,
                address: Some(format!(
                    "10.0.0.{}:{}",
                    frontend.node,
                    20_000 + frontend.id.0
                )),
                pid: None,
                reason: exit.as_ref().map(ToString::to_string).unwrap_or_default(),
                exit,
            };
            Some(Command::Observe {
                node: frontend.node,
                reports: vec![report],
            })
        };
        state.frontends.values().filter_map(report).collect()
    }
}

fn key(env: &str) -> EnvironmentKey {
    environment(&format!("shop/{env}"))
}

fn command(words: &[&str]) -> Command {
    let reference = |text: &str| text.to_owned();
    let on = |word: &str| word == "ON";
    match words {
        ["cert", env, name] => Command::Certificate(Box::new(CertificateChange::Choose {
            environment: key(env),
            name: (*name).into(),
        })),
        ["app", name] => Command::CreateApp {
            name: reference(name),
        },
        ["env", "create", name] => Command::CreateEnvironment {
            app: app("shop"),
            name: reference(name),
        },
        ["env", "destroy", name] => Command::DestroyEnvironment {
            environment: key(name),
        },
        ["default-env", name] => Command::SetDefaultEnvironment {
            app: app("shop"),
            environment: key(name).name,
        },
        ["release", "destroy", name] => Command::DestroyBuild {
            app: app("shop"),
            reference: reference(name),
        },
        ["load", env, asked] => Command::Load {
            environment: key(env),
            reference: reference(asked),
        },
        ["activate", env, asked, rest @ ..] => Command::Activate {
            environment: key(env),
            reference: reference(asked),
            now: rest == ["--now"],
        },
        ["deactivate", env] => Command::Deactivate {
            environment: key(env),
        },
        ["unload", env, asked] => Command::Unload {
            environment: key(env),
            reference: reference(asked),
        },
        ["limits", env, min, max] => Command::SetLimits {
            environment: key(env),
            limits: Limits {
                min: min.parse().unwrap(),
                max: max.parse().unwrap(),
            },
        },
        ["desired", env, count] => Command::SetDesired {
            environment: key(env),
            reference: None,
            count: count.parse().unwrap(),
        },
        ["protected", env, word] => Command::SetProtected {
            environment: key(env),
            on: on(word),
        },
        ["maintenance", env, word] => Command::SetMaintenance {
            environment: key(env),
            on: on(word),
        },
        ["drain", node, word] => drain(NodeId(node.parse().unwrap()), on(word)),
        ["drain", node, "ON", seconds] => change(
            NodeId(node.parse().unwrap()),
            NodeChange::Drain {
                deadline: Some(Millis::seconds(seconds.parse().unwrap())),
            },
        ),
        ["leave", node] => change(NodeId(node.parse().unwrap()), NodeChange::Leave),
        ["remove", node, rest @ ..] => change(
            NodeId(node.parse().unwrap()),
            NodeChange::Remove {
                force: rest == ["--force"],
            },
        ),
        ["set", env, name, value] => Command::SetVariables {
            environment: key(env),
            change: VariableChange {
                set: [((*name).into(), (*value).into())].into(),
                ..VariableChange::default()
            },
        },
        ["unset", env, name] => Command::SetVariables {
            environment: key(env),
            change: VariableChange {
                unset: [(*name).into()].into(),
                ..VariableChange::default()
            },
        },
        ["promote", env, rest @ ..] => Command::Promote {
            environment: key(env),
            reference: rest.first().copied().map(reference),
            force: rest.contains(&"--force"),
        },
        ["rollback", env, rest @ ..] => Command::Rollback {
            environment: key(env),
            reference: rest.first().copied().map(reference),
        },
        ["cancel", env] => Command::CancelRollout {
            environment: key(env),
        },
        ["guard", env, seconds] => Command::SetGuard {
            environment: key(env),
            guard: Millis::seconds(seconds.parse().unwrap()),
        },
        ["restart", env] => Command::Restart {
            environment: key(env),
            service: None,
        },
        ["scale", env, service, count] => Command::Scale(Scale {
            count: Some(count.parse().unwrap()),
            ..scaled(env, service)
        }),
        ["scale", env, service, "within", min, max] => Command::Scale(Scale {
            min: Some(min.parse().unwrap()),
            max: Some(max.parse().unwrap()),
            ..scaled(env, service)
        }),
        _ => panic!("{words:?} is no line of a story"),
    }
}

/// What is typed about whitelists.
fn access(words: &[&str]) -> Result<Command, Rejection> {
    let change = match words {
        ["whitelist", "create", name] => AccessChange::Create {
            name: (*name).into(),
        },
        ["whitelist", "destroy", name] => AccessChange::Destroy {
            name: (*name).into(),
        },
        ["whitelist", "allow", name, network] => AccessChange::Allow {
            name: (*name).into(),
            network: Network::typed(network)?,
        },
        ["whitelist", "revoke", name, network] => AccessChange::Revoke {
            name: (*name).into(),
            network: Network::typed(network)?,
        },
        ["env", "whitelist", env, name] => AccessChange::Choose {
            environment: key(env),
            name: (*name).into(),
        },
        _ => panic!("{words:?} is no line of a story"),
    };
    Ok(Command::Access(Box::new(change)))
}

/// `scale` that is asked for nothing.
fn scaled(env: &str, service: &str) -> Scale {
    Scale {
        environment: key(env),
        service: service.to_owned(),
        count: None,
        min: None,
        max: None,
        cpu_millicores: None,
        memory_bytes: None,
    }
}
