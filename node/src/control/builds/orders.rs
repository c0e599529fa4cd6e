//! Which build steps a worker shall run, derived from the state.

use std::collections::BTreeSet;

use fleet_model::{
    State,
    build::{Build, BuildStep},
    ids::{BuildId, NodeId},
    manifest::SourceStep,
    node::{Node, Role},
};
use fleet_proto::internal::{Artefact, BuildCommand, BuildOrder, BuildOrders};

use crate::control::assignments::command;

/// What a worker was last told. All else of an order is fixed with build and attempt, but for the
/// order of those it fetches from.
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::control) struct Told(Option<BTreeSet<(BuildId, u32)>>);

impl Told {
    /// Everything `node` shall run; `None` if it was told so.
    pub(in crate::control) fn news(&mut self, state: &State, node: NodeId) -> Option<BuildOrders> {
        let steps: Vec<(&Build, &BuildStep)> = state
            .builds
            .values()
            .filter_map(|build| Some((build, build.due()?)))
            .filter(|(_, step)| step.node == Some(node))
            .collect();
        let now = Self(Some(
            steps
                .iter()
                .map(|(build, step)| (build.id.clone(), step.attempt))
                .collect(),
        ));
        if *self == now {
            return None;
        }
        *self = now;
        let builds = steps
            .into_iter()
            .map(|(build, step)| order(state, build, step));
        Some(BuildOrders {
            builds: builds.collect(),
        })
    }
}

fn order(state: &State, build: &Build, step: &BuildStep) -> BuildOrder {
    let holds = |node: &&Node| build.holders.contains(&node.id);
    // The others may have copied it by the time they are asked.
    let (holders, rest): (Vec<_>, Vec<_>) = state.nodes_with(Role::Control).partition(holds);
    let addresses = holders.iter().chain(&rest).map(|node| node.address.clone());
    let commands = build.manifest.source_steps().into_iter().map(one);
    BuildOrder {
        build_id: build.id.to_string(),
        attempt: step.attempt,
        app: build.app.to_string(),
        source: Some(Artefact {
            sha256: build.digest.to_string(),
            size_bytes: build.size,
            holders: addresses.collect(),
        }),
        commands: commands.collect(),
        created_unix_ms: build.created.0,
    }
}

fn one(step: SourceStep<'_>) -> BuildCommand {
    BuildCommand {
        service: step.service.to_string(),
        path: step.build.path.clone(),
        command: Some(command(step.command)),
        arguments: step.build.args.clone(),
    }
}
