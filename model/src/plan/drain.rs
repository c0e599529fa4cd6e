//! What is left on a node that is drained, and what each frontend waits for.
//!
//! Said of the committed state alone, so that `node drain --wait`, `node describe` and a leave that
//! cannot go on say the same sentences. What *happens* to the frontends is decided where all slots
//! are looked after, in [`super::slots`].

use std::fmt;

use super::placement;
use crate::{
    State,
    frontend::{Desired, Frontend, Phase},
    ids::{EnvironmentKey, FrontendId, NodeId},
    manifest::Service,
    report::{Refusal, refused},
};

/// A frontend that is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    pub frontend: FrontendId,
    /// As `ps` names it.
    pub name: String,
    pub environment: EnvironmentKey,
    pub reason: Stay,
}

/// Why it is still there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stay {
    /// Out of routing, or never in it; its requests and then its process end.
    Ending,
    /// Its worker is not heard: nobody knows whether it runs, and nobody waits for it.
    Lost,
    /// Another is on its way into its slot.
    Replacing { by: String, on: String },
    /// Its slot will be filled elsewhere: after a rest, or when a rollout leaves room for it.
    Waiting,
    /// It stops when nothing else is left on the node: an agent belongs to its node.
    Agent,
    /// No other node can take it.
    Stuck {
        singleton: bool,
        refusals: Vec<Refusal>,
        unblock: String,
    },
}

/// Frontends on a node, oldest first, each with what it waits for.
#[must_use]
pub fn left(state: &State, node: NodeId) -> Vec<Left> {
    let there = state
        .frontends_on(node)
        .filter(|f| !f.observed.phase.over());
    there.map(|frontend| of(state, frontend)).collect()
}

/// What one frontend of a node that is drained waits for.
pub(super) fn of(state: &State, frontend: &Frontend) -> Left {
    Left {
        frontend: frontend.id,
        name: frontend.name(),
        environment: frontend.loaded.environment.clone(),
        reason: stay(state, frontend),
    }
}

fn stay(state: &State, frontend: &Frontend) -> Stay {
    if frontend.observed.phase == Phase::Lost {
        return Stay::Lost;
    }
    if frontend.desired != Desired::Run {
        return Stay::Ending;
    }
    let service = service(state, frontend);
    if service.is_some_and(|service| service.agent) {
        return Stay::Agent;
    }
    let going = |node: NodeId| state.nodes.get(&node).is_none_or(|node| node.draining);
    let group = state.group(&frontend.loaded, &frontend.service);
    let successor = group
        .into_iter()
        .flat_map(|group| state.frontends_in(group, frontend.slot))
        .find(|other| other.id != frontend.id && other.holds_slot() && !going(other.node));
    if let Some(successor) = successor {
        let on = state.nodes.get(&successor.node);
        return Stay::Replacing {
            by: successor.name(),
            on: on.map(|node| node.name.clone()).unwrap_or_default(),
        };
    }
    let refusals = placement::refusals(state, &frontend.loaded, &frontend.service);
    if refusals.is_empty() {
        return Stay::Waiting;
    }
    Stay::Stuck {
        singleton: service.is_some_and(|service| service.singleton),
        refusals,
        unblock: unblock(state, frontend, service),
    }
}

fn service<'a>(state: &'a State, frontend: &Frontend) -> Option<&'a Service> {
    let loaded = state.loaded.get(&frontend.loaded)?;
    loaded.manifest.services.get(&frontend.service)
}

/// What an operator could do so that the frontend can move.
fn unblock(state: &State, frontend: &Frontend, service: Option<&Service>) -> String {
    let pinned = service.map(|service| &service.node_selector);
    let elsewhere = |selector: &std::collections::BTreeMap<String, String>| {
        let mut others = state.nodes.values().filter(|n| n.id != frontend.node);
        others.any(|node| selector.iter().all(|(k, v)| node.labels.get(k) == Some(v)))
    };
    match pinned.filter(|selector| !selector.is_empty()) {
        Some(selector) if !elsewhere(selector) => {
            let words: Vec<String> = selector.iter().map(|(k, v)| format!("{k}={v}")).collect();
            let words = words.join(" ");
            format!("label another node: fleet node labels set NODE {words}")
        }
        _ => "join another node, or undrain one: fleet node undrain NODE".to_owned(),
    }
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} {}", self.name, self.environment, self.reason)
    }
}

impl fmt::Display for Stay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ending => f.write_str("is ending"),
            Self::Lost => f.write_str("is lost with its node"),
            Self::Replacing { by, on } => write!(f, "waits for {by} on {on} to be healthy"),
            Self::Waiting => f.write_str("waits for its turn to be placed elsewhere"),
            Self::Agent => f.write_str("is an agent and stops when all else is gone"),
            Self::Stuck {
                singleton,
                refusals,
                unblock,
            } => {
                f.write_str(match singleton {
                    true => "is a singleton that no other node can take",
                    false => "cannot be replaced on any other node",
                })?;
                refused(f, refusals)?;
                write!(f, "; {unblock}")
            }
        }
    }
}
