//! A small cluster whose workers and ingresses do their best.

use std::sync::Arc;

use fleet_model::{
    Command, State,
    command::{NewBuild, Registration, Report},
    frontend::{Desired, Phase},
    ids::NodeId,
    manifest::{Manifest, Port, Run, Scheme, Service},
    node::Role,
    plan::{IngressFacts, Load},
};

use super::arbitrary::{app, digest, environment, service};

/// A cluster of two nodes with an app, an active release and a loaded one.
pub(super) fn beginning() -> Vec<Command> {
    let environment = environment("shop", "prod");
    let mut commands = vec![Command::InitCluster {
        id: "c1".to_owned(),
        name: "demo".to_owned(),
        domain: "localhost".to_owned(),
    }];
    commands.extend((1..=2_u64).map(|id| {
        Command::RegisterNode(Registration {
            name: format!("n{id}"),
            address: format!("10.0.0.{id}:7400"),
            // One control node: its copy of an artefact is enough.
            roles: Role::ALL.into_iter().skip(id as usize - 1).collect(),
            labels: [("zone".to_owned(), format!("z{id}"))].into(),
            architecture: "x86_64".to_owned(),
            id: (id == 1).then_some(NodeId(1)),
        })
    }));
    commands.push(Command::CreateApp {
        name: "shop".to_owned(),
    });
    commands.push(Command::CreateBuild(NewBuild {
        app: app("shop"),
        name: "037205f".to_owned(),
        message: "first".to_owned(),
        digest: digest(1),
        size: 10,
        manifest: Arc::new(Manifest {
            text: "services: {}".to_owned(),
            services: [(service("web"), web())].into(),
            ..Manifest::default()
        }),
        holder: NodeId(1),
        environment: None,
        description: None,
    }));
    commands.push(Command::Load {
        environment: environment.clone(),
        reference: "037205f".to_owned(),
    });
    commands.push(Command::SetRecycling {
        environment: environment.clone(),
        on: true,
    });
    commands.push(Command::Activate {
        environment,
        reference: "037205f".to_owned(),
        now: false,
    });
    commands
}

/// Everybody is heard, and has confirmed the newest table.
pub(super) fn load(state: &State) -> Load {
    let facts = IngressFacts {
        heard: state.now,
        applied: state.generation,
        ..IngressFacts::default()
    };
    Load {
        workers: state.nodes.keys().map(|id| (*id, state.now)).collect(),
        ingresses: state
            .nodes
            .keys()
            .map(|id| (*id, [(1, facts.clone())].into()))
            .collect(),
        ..Load::default()
    }
}

/// What workers do at their best: start what is wanted and stop what is not.
pub(super) fn progress(state: &State) -> Vec<Command> {
    let report = |frontend: &fleet_model::frontend::Frontend| {
        let phase = match (frontend.desired, frontend.observed.phase) {
            (Desired::Run, Phase::Assigned | Phase::Fetching | Phase::Starting) => Phase::Healthy,
            (Desired::Stop, phase) if !phase.over() => Phase::Stopped,
            _ => return None,
        };
        let report = Report {
            frontend: frontend.id,
            phase,
            address: Some(format!("10.0.0.{}:{}", frontend.node, frontend.id)),
            pid: Some(4),
            reason: String::new(),
            exit: None,
        };
        Some(Command::Observe {
            node: frontend.node,
            reports: vec![report],
        })
    };
    state.frontends.values().filter_map(report).collect()
}

fn web() -> Service {
    Service {
        port: Some(Port {
            scheme: Scheme::Http,
            number: 8080,
        }),
        ..Service::new(Run::Argv(vec!["./web".to_owned()]))
    }
}
