//! Users, who ask for anything at any time.

use fleet_model::{
    Command, Detail,
    command::{self, NewBuild, VariableChange},
    environment::{Limits, LoadedStatus},
    frontend::Phase,
    ids::{EnvironmentKey, LoadedKey, NodeId, ServiceName},
    manifest::{Scale, Service},
    node::Lease,
    plan::{balance, warmth},
};

use super::life::World;
use crate::common::{app, digest, drain, environment, manifest, web};

/// What can be loaded; the bad one never starts.
const BUILDS: [&str; 4] = ["aaaa111", "bbbb222", "cccc333", "bad"];

impl World {
    /// An app with an environment beside `prod`, and something to release.
    pub fn settle_down(&mut self) {
        let mut commands = vec![
            Command::CreateApp {
                name: "shop".to_owned(),
            },
            Command::CreateEnvironment {
                app: app("shop"),
                name: "staging".to_owned(),
            },
        ];
        commands.extend((1..).zip(BUILDS).map(|(number, name)| build(name, number)));
        for command in commands {
            self.checked.commit(self.now, command).unwrap();
        }
        let nodes: Vec<NodeId> = self.checked.state.nodes.keys().copied().collect();
        for number in 1..=BUILDS.len() as u64 {
            let copy = Command::RecordCopy {
                digest: digest(number),
                node: nodes[1],
            };
            self.checked.commit(self.now, copy).unwrap();
        }
    }

    pub fn users(&mut self) {
        if !self.random.one_in(60) {
            return;
        }
        let prod = !self.random.one_in(3);
        let key = environment(if prod { "shop/prod" } else { "shop/staging" });
        let some_build = (*self.random.pick(&BUILDS).unwrap()).to_owned();
        let some_loaded = self.some_loaded(&key);
        let nodes: Vec<NodeId> = self.checked.state.nodes.keys().copied().collect();
        let some_node = *self.random.pick(&nodes).unwrap();
        let on = self.random.one_in(2);
        let command = match self.random.between(0, 36) {
            0..6 => Command::Load {
                environment: key,
                reference: some_build,
            },
            6..11 => Command::Activate {
                environment: key,
                reference: some_loaded,
                now: self.random.one_in(8),
            },
            11..14 => Command::Activate {
                environment: key,
                reference: "previous".to_owned(),
                now: false,
            },
            14..17 => Command::Unload {
                environment: key,
                reference: some_loaded,
            },
            17..20 => Command::SetDesired {
                environment: key,
                reference: Some(some_loaded),
                count: self.random.between(1, 6) as u32,
            },
            20 => Command::SetLimits {
                environment: key,
                limits: Limits {
                    min: self.random.between(1, 3) as u32,
                    max: self.random.between(3, 7) as u32,
                },
            },
            21 => drain(some_node, on),
            22 => Command::SetRecycling {
                environment: key,
                on,
            },
            _ if on => Command::Deactivate { environment: key },
            23 => Command::SetVariables {
                environment: key,
                change: VariableChange {
                    set: [("N".into(), self.now.0.to_string().into())].into(),
                    ..VariableChange::default()
                },
            },
            24..31 => Command::Promote {
                environment: key,
                reference: on.then_some(some_build),
                force: false,
            },
            31..33 => Command::Rollback {
                environment: key,
                reference: None,
            },
            33 => Command::CancelRollout { environment: key },
            34 => Command::Restart {
                environment: key,
                service: None,
            },
            _ => Command::Scale(command::Scale {
                environment: key,
                service: "web".to_owned(),
                count: None,
                min: Some(self.random.between(1, 2) as u32),
                max: Some(self.random.between(2, 7) as u32),
                cpu_millicores: None,
                memory_bytes: None,
            }),
        };
        self.ask(command);
    }

    fn some_loaded(&mut self, key: &EnvironmentKey) -> String {
        let names: Vec<String> = self
            .checked
            .state
            .loaded_in(key)
            .map(|(_, loaded)| loaded.name.clone())
            .collect();
        self.random.pick(&names).cloned().unwrap_or_default()
    }

    fn ask(&mut self, command: Command) {
        let warm = match &command {
            Command::Activate {
                environment,
                reference,
                ..
            } => self.warm_and_waiting(environment, reference),
            _ => None,
        };
        let before = self.checked.state.clone();
        self.requests_made += 1;
        let request = format!("user-{}", self.requests_made);
        let answer = self.checked.ask(self.now, Some(&request), command.clone());
        // The promise of rollback: what is warm is switched to by this very entry.
        if let (Some(warm), Ok(outcome)) = (warm, &answer) {
            let state = &self.checked.state;
            let active = state.environments[&warm.environment].active.as_ref();
            assert_eq!(active, Some(&warm.release), "{command:?}: {outcome:?}");
            assert!(matches!(outcome.detail, Detail::Rollout { .. }));
            assert_eq!(
                state.frontends, before.frontends,
                "a switch touched a frontend"
            );
            self.tally.warm_switches += 1;
        }
    }

    /// The loaded release that `reference` names, if it could carry the traffic now.
    fn warm_and_waiting(&self, key: &EnvironmentKey, reference: &str) -> Option<LoadedKey> {
        let state = &self.checked.state;
        let environment = state.environments.get(key)?;
        let loaded = fleet_model::reference::loaded(state, environment, reference).ok()?;
        let counts = warmth::counts(state, &loaded, environment.active.as_ref());
        let healthy = |service: &ServiceName| {
            state
                .frontends_of(&loaded)
                .filter(|f| f.service == *service && f.healthy())
                .count()
        };
        let warm = counts
            .iter()
            .all(|(service, count)| healthy(service) >= *count as usize);
        (warm && state.loaded[&loaded].status == LoadedStatus::Running).then_some(loaded)
    }

    /// Users go home; nodes are to be used again.
    pub fn last_wishes(&mut self) {
        let nodes: Vec<NodeId> = self.checked.state.nodes.keys().copied().collect();
        for node in nodes {
            self.checked.commit(self.now, drain(node, false)).unwrap();
        }
    }

    /// Why the cluster is not at rest, if it is not.
    pub fn unrest(&self) -> Option<String> {
        let state = &self.checked.state;
        // What was asked for meanwhile has not even been planned.
        if !self.leader.leads(self.now) {
            return Some("nobody leads".to_owned());
        }
        if let Some(waiting) = self.waiting.first() {
            return Some(format!("{} (since {:?})", waiting.reason, waiting.since));
        }
        if let Some(node) = state.nodes.values().find(|node| node.lease != Lease::Ready) {
            return Some(format!("{node:?}"));
        }
        if let Some(rollout) = state
            .rollouts
            .values()
            .find(|rollout| !rollout.phase.over())
        {
            return Some(format!("{rollout:?}"));
        }
        if let Some(frontend) = balance::next(state) {
            return Some(format!("{} would spread better elsewhere", frontend.name()));
        }
        for (key, loaded) in &state.loaded {
            let settled = matches!(
                loaded.status,
                LoadedStatus::Running | LoadedStatus::Active | LoadedStatus::Failed { .. }
            );
            let wanted = match loaded.status.wants_frontends() {
                true => loaded.desired.values().sum::<u32>() as usize,
                false => 0,
            };
            let here: Vec<_> = state.frontends_of(key).collect();
            let healthy = here.iter().filter(|f| f.healthy()).count();
            if !settled || here.len() != wanted || healthy != wanted {
                return Some(format!("{loaded:#?} has {wanted} of {here:#?}"));
            }
        }
        let seen = |node: &NodeId| {
            self.workers
                .get(node)
                .into_iter()
                .flat_map(|w| w.processes())
        };
        for frontend in state.frontends.values().filter(|f| f.healthy()) {
            if !seen(&frontend.node).any(|seen| seen == (frontend.id, Phase::Healthy)) {
                return Some(format!("{} is not seen", frontend.name()));
            }
        }
        let behind = self
            .ingresses
            .values()
            .find(|i| i.table.generation != state.generation);
        behind.map(|ingress| format!("the ingress of n{} is behind", ingress.node))
    }
}

fn build(name: &str, number: u64) -> Command {
    let job = Service {
        port: None,
        scale: Some(Scale {
            count: 1,
            min: 1,
            max: 1,
        }),
        ..web()
    };
    let services = [("web", web()), ("job", job)];
    // Every second has a job beside it.
    let count = 1 + (number % 2) as usize;
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
