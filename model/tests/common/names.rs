//! Short ways to say names and to make small things.

use std::sync::Arc;

use fleet_model::{
    Command,
    command::{NewBuild, NodeChange, Registration},
    ids::{AppName, Digest, EnvironmentKey, EnvironmentName, NodeId, ServiceName},
    manifest::{Manifest, Port, Run, Scheme, Service},
    node::Role,
};

pub fn app(name: &str) -> AppName {
    AppName::parse(name).unwrap()
}

pub fn service(name: &str) -> ServiceName {
    ServiceName::parse(name).unwrap()
}

/// `shop/prod`
pub fn environment(key: &str) -> EnvironmentKey {
    let (app_name, name) = key.split_once('/').unwrap();
    EnvironmentKey {
        app: app(app_name),
        name: EnvironmentName::parse(name).unwrap(),
    }
}

pub fn digest(number: u64) -> Digest {
    Digest::parse(&format!("{number:064x}")).unwrap()
}

/// A service with a port, scaled by its environment.
pub fn web() -> Service {
    Service {
        port: Some(Port {
            scheme: Scheme::Http,
            number: 8080,
        }),
        ..Service::new(Run::Argv(vec!["./web".to_owned()]))
    }
}

pub fn manifest(services: &[(&str, Service)]) -> Arc<Manifest> {
    let services = services
        .iter()
        .map(|(name, entry)| (service(name), entry.clone()))
        .collect();
    Arc::new(Manifest {
        text: "services: {}".to_owned(),
        services,
        ..Manifest::default()
    })
}

/// A node `n<number>` with all roles; `id` only for the first.
pub fn registration(number: u64, id: Option<u64>) -> Registration {
    Registration {
        name: format!("n{number}"),
        address: format!("10.0.0.{number}:7400"),
        roles: Role::ALL.into(),
        labels: [("zone".to_owned(), format!("z{}", number % 2))].into(),
        architecture: "x86_64".to_owned(),
        id: id.map(NodeId),
    }
}

pub fn change(node: NodeId, change: NodeChange) -> Command {
    Command::ChangeNode { node, change }
}

/// Drains a node without a deadline, or takes that back.
pub fn drain(node: NodeId, on: bool) -> Command {
    let drain = NodeChange::Drain { deadline: None };
    change(node, if on { drain } else { NodeChange::Undrain })
}

pub fn removal(node: NodeId) -> Command {
    change(node, NodeChange::Remove { force: false })
}

/// A build of `shop` with one service, taken by the first node.
pub fn build_of(name: &str, number: u64) -> Command {
    Command::CreateBuild(NewBuild {
        app: app("shop"),
        name: name.to_owned(),
        message: "a change".to_owned(),
        digest: digest(number),
        size: 10,
        manifest: manifest(&[("web", web())]),
        holder: NodeId(1),
        environment: None,
        description: None,
    })
}
