//! Build steps: which worker runs which, and which will not end any more.

use std::collections::BTreeMap;

use super::Draft;
use crate::{
    State,
    build::{Build, BuildStep, STEP_ATTEMPTS, STEP_DEADLINE, STEPS_PER_NODE},
    command::Command,
    ids::NodeId,
    node::{Lease, Node, Role},
    report::{NodeName, Reason, Refusal, Waiting},
};

pub(super) fn plan(state: &State, draft: &mut Draft) {
    let mut due: Vec<(&Build, &BuildStep)> = state
        .builds
        .values()
        .filter_map(|build| Some((build, build.due()?)))
        .collect();
    // Whoever came first is first.
    due.sort_by_key(|(build, _)| (build.created, &build.id));
    let mut running: BTreeMap<NodeId, usize> = BTreeMap::new();
    for node in due.iter().filter_map(|(_, step)| step.node) {
        *running.entry(node).or_default() += 1;
    }
    for (build, step) in due {
        let deadline = build.created.plus(STEP_DEADLINE);
        if deadline <= draft.now {
            let why = overdue(state, step);
            fail(build, why, draft);
            continue;
        }
        draft.wake(deadline);
        match step.node.map(|node| (node, alive(state, node))) {
            Some((_, Some(node))) => wait(build, step, building(node), draft),
            Some((lost, None)) if step.attempt >= STEP_ATTEMPTS => {
                let lost = name(state, lost);
                let why =
                    format!("{STEP_ATTEMPTS} workers were lost during its step, {lost} the last");
                fail(build, why, draft);
            }
            Some((_, None)) | None => match choose(state, &running) {
                Ok(node) => {
                    *running.entry(node).or_default() += 1;
                    draft.commands.push(Command::AssignBuild {
                        build: build.id.clone(),
                        assumed: build.revision,
                        node,
                    });
                }
                Err(refusals) => wait(build, step, Reason::NoBuilder { refusals }, draft),
            },
        }
    }
}

/// The worker a step runs on, unless it is lost. One that is silent may be back in a second.
fn alive(state: &State, node: NodeId) -> Option<&Node> {
    state
        .nodes
        .get(&node)
        .filter(|node| node.lease != Lease::Lost)
}

/// Policy, read downwards: the fewest frontends, then the oldest node.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Score {
    frontends: usize,
    node: NodeId,
}

/// The best worker that can take one more, or why none can.
fn choose(state: &State, running: &BTreeMap<NodeId, usize>) -> Result<NodeId, Vec<Refusal>> {
    let mut refused: BTreeMap<&'static str, u32> = BTreeMap::new();
    let mut best: Option<Score> = None;
    for node in state.nodes_with(Role::Worker) {
        if let Some(why) = unfit(node, running) {
            *refused.entry(why).or_default() += 1;
            continue;
        }
        let score = Score {
            frontends: state.frontends_on(node.id).count(),
            node: node.id,
        };
        if best.as_ref().is_none_or(|best| score < *best) {
            best = Some(score);
        }
    }
    let refusals = || {
        refused
            .into_iter()
            .map(|(why, nodes)| Refusal { nodes, why })
    };
    best.map(|best| best.node)
        .ok_or_else(|| refusals().collect())
}

fn unfit(node: &Node, running: &BTreeMap<NodeId, usize>) -> Option<&'static str> {
    if node.lease != Lease::Ready {
        Some("not ready")
    } else if node.draining {
        Some("being drained")
    } else if running.get(&node.id).is_some_and(|n| *n >= STEPS_PER_NODE) {
        Some("running another build step")
    } else {
        None
    }
}

fn building(node: &Node) -> Reason {
    Reason::Building {
        node: NodeName {
            id: node.id,
            name: node.name.clone(),
        },
    }
}

fn overdue(state: &State, step: &BuildStep) -> String {
    match step.node {
        Some(node) => format!(
            "its step had not ended on {} after {STEP_DEADLINE}",
            name(state, node)
        ),
        None => format!("no worker could take its step for {STEP_DEADLINE}"),
    }
}

fn name(state: &State, node: NodeId) -> String {
    let known = state.nodes.get(&node);
    known.map_or_else(|| node.to_string(), |node| node.name.clone())
}

fn fail(build: &Build, reason: String, draft: &mut Draft) {
    draft.commands.push(Command::FailBuild {
        build: build.id.clone(),
        assumed: build.revision,
        reason,
    });
}

fn wait(build: &Build, step: &BuildStep, reason: Reason, draft: &mut Draft) {
    draft.waiting.push(Waiting {
        environment: None,
        release: None,
        since: step.since.max(build.created),
        reason,
    });
}
