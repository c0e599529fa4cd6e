//! Nodes join, leave, and are heard or not.

use std::sync::Arc;

use super::{Code, Detail, Registration, Rejection, itself};
use crate::{
    State,
    event::Kind,
    frontend::Phase,
    ids::{EnvironmentKey, NodeId},
    node::{Facts, Lease, Node},
};

pub(super) fn register(
    state: &mut State,
    asked: Registration,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    refuse_if_nameless(&asked)?;
    if let Some(twin) = state.nodes.values().find(|node| node.name == asked.name) {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!(
                "a node named {:?} is already here, with id {}",
                twin.name, twin.id
            ),
        )
        .hint("give this one another name: fleetd --name NAME"));
    }
    if let Some(twin) = state
        .nodes
        .values()
        .find(|node| node.address == asked.address)
    {
        return Err(Rejection::new(
            Code::AlreadyExists,
            format!("node {} already answers at {}", twin.name, twin.address),
        )
        .hint("remove it first if its disk is gone: fleet node remove NAME"));
    }
    // Only the node that makes the cluster chooses: its raft identity is older than the log.
    let id = match asked.id {
        // And only an id that the log will not give again.
        Some(id) if state.nodes.is_empty() && id.0 <= state.index => id,
        Some(_) => return Err(Rejection::stale("the cluster")),
        None => NodeId(state.index),
    };
    state.record(
        Kind::Node,
        actor,
        None,
        asked.name.clone(),
        format!("node {} joined as {id} at {}", asked.name, asked.address),
    );
    let node = Node {
        id,
        name: asked.name,
        address: asked.address,
        roles: asked.roles,
        labels: asked.labels,
        architecture: asked.architecture,
        joined: state.now,
        lease: Lease::New,
        lease_since: state.now,
        draining: false,
        facts: None,
        revision: state.index,
    };
    state.nodes.insert(id, node);
    Ok(Detail::Node(id))
}

/// Nodes are named in sentences and called at their addresses.
fn refuse_if_nameless(asked: &Registration) -> Result<(), Rejection> {
    let plain = |text: &str| {
        (1..=253).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let (what, text, flag) = match (plain(&asked.name), plain(&asked.address)) {
        (false, _) => ("name", &asked.name, "--name NAME"),
        (_, false) => ("address", &asked.address, "--advertise HOST:PORT"),
        (true, true) => return Ok(()),
    };
    Err(Rejection::new(
        Code::InvalidName,
        format!("{text:?} is no {what} of a node"),
    )
    .hint(format!("start it with one: fleetd {flag}")))
}

pub(super) fn remove(state: &mut State, id: NodeId, actor: &Arc<str>) -> Result<Detail, Rejection> {
    let node = find(state, id)?.clone();
    let running = state
        .frontends_on(id)
        .filter(|frontend| {
            !frontend.observed.phase.over() && frontend.observed.phase != Phase::Lost
        })
        .count();
    // A suspect node may be back in a second; only a lost one has nothing left to lose.
    if running > 0 && node.lease != Lease::Lost {
        return Err(Rejection::new(
            Code::InUse,
            format!("{running} frontends run on node {}", node.name),
        )
        .hint(format!("move them first: fleet node drain {}", node.name)));
    }
    let gone: Vec<_> = state.frontends_on(id).map(|frontend| frontend.id).collect();
    let touched: std::collections::BTreeSet<EnvironmentKey> = state
        .frontends_on(id)
        .map(|frontend| frontend.loaded.environment.clone())
        .collect();
    for frontend in gone {
        state.remove_frontend(frontend);
    }
    for environment in &touched {
        state.reroute(environment);
    }
    // A copy on a removed node is no copy.
    let holding: Vec<_> = state
        .builds
        .values()
        .filter(|b| b.kept().any(|(_, _, holders)| holders.contains(&id)))
        .map(|b| b.id.clone())
        .collect();
    for build in holding {
        if let Some(build) = state.builds.get_mut(&build) {
            build.holders.remove(&id);
            if let Some(log) = &mut build.log {
                log.holders.remove(&id);
            }
            build.revision = state.index;
        }
    }
    state.nodes.remove(&id);
    super::build::complete_all(state);
    state.record(
        Kind::Node,
        actor,
        None,
        node.name.clone(),
        format!("node {} left", node.name),
    );
    Ok(Detail::Done)
}

pub(super) fn drain(
    state: &mut State,
    id: NodeId,
    draining: bool,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let index = state.index;
    let name = find(state, id)?.name.clone();
    if let Some(node) = state.nodes.get_mut(&id) {
        node.draining = draining;
        node.revision = index;
    }
    let what = if draining {
        "is being drained"
    } else {
        "takes frontends again"
    };
    state.record(
        Kind::Node,
        actor,
        None,
        name.clone(),
        format!("node {name} {what}"),
    );
    Ok(Detail::Done)
}

/// A worker's lease changed. When it is lost, so are its frontends, as far as anybody can see.
///
/// The revision is what keeps a late verdict out: a worker that was found ready since may have been
/// told that its singletons can go on.
pub(super) fn mark(
    state: &mut State,
    id: NodeId,
    (from, to): (Lease, Lease),
    assumed: u64,
) -> Result<Detail, Rejection> {
    let (now, index) = (state.now, state.index);
    let node = find(state, id)?;
    if node.lease != from || node.revision != assumed {
        return Err(Rejection::stale(format_args!(
            "the lease of node {}",
            node.name
        )));
    }
    let name = node.name.clone();
    if let Some(node) = state.nodes.get_mut(&id) {
        node.lease = to;
        node.lease_since = now;
        node.revision = index;
    }
    if to == Lease::Lost {
        let ids: Vec<_> = state.frontends_on(id).map(|frontend| frontend.id).collect();
        for frontend in ids {
            super::frontend::lose(state, frontend, &name);
        }
    }
    let sentence = match to {
        Lease::New => format!("node {name} is new"),
        Lease::Ready => format!("node {name} is ready"),
        Lease::Suspect => format!("node {name} is silent; nothing moves yet"),
        Lease::Lost => format!("node {name} is lost; its frontends are replaced elsewhere"),
    };
    state.record(Kind::Node, &itself(), None, name, sentence);
    Ok(Detail::Done)
}

pub(super) fn record_facts(
    state: &mut State,
    id: NodeId,
    facts: Facts,
) -> Result<Detail, Rejection> {
    find(state, id)?;
    let index = state.index;
    if let Some(node) = state.nodes.get_mut(&id) {
        node.facts = Some(facts);
        node.revision = index;
    }
    Ok(Detail::Done)
}

fn find(state: &State, id: NodeId) -> Result<&Node, Rejection> {
    state
        .nodes
        .get(&id)
        .ok_or_else(|| Rejection::new(Code::UnknownNode, format!("there is no node {id}")))
}
