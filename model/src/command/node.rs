//! Nodes join and are heard or not. What is asked of them stands in [`change`](self::change()).

mod change;
mod forget;

use std::sync::Arc;

pub use self::change::NodeChange;
pub(super) use self::{change::change, forget::forget};

use super::{Code, Detail, Registration, Rejection, itself};
use crate::{
    State, Time,
    event::Kind,
    ids::NodeId,
    node::{Facts, Lease, Node, STEADY_AFTER, Vote},
    plan::storm::Storm,
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
        drain_until: None,
        leaving: false,
        vote: Vote::Automatic,
        mute: None,
        relapses: 0,
        returned: None,
        facts: None,
        revision: state.index,
    };
    state.nodes.insert(id, node);
    state.settle_balance();
    Ok(Detail::Node(id))
}

/// Nodes are named in sentences and called at their addresses.
fn refuse_if_nameless(asked: &Registration) -> Result<(), Rejection> {
    let fits = |text: &str| plain(text, 253);
    let (what, text, flag) = match (fits(&asked.name), fits(&asked.address)) {
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
    let storm = Storm::of(state, now);
    if let Some(node) = state.nodes.get_mut(&id) {
        node.lease = to;
        node.lease_since = now;
        node.revision = index;
        count_relapse(node, from, now);
    }
    if to == Lease::Ready && from != Lease::Suspect {
        state.settle_balance();
    }
    if to == Lease::Lost {
        let ids: Vec<_> = state.frontends_on(id).map(|frontend| frontend.id).collect();
        for frontend in ids {
            super::frontend::lose(state, frontend, &name);
        }
    }
    let held = state.nodes.get(&id).and_then(Node::held_back_until);
    let sentence = match (to, held.filter(|until| *until > now)) {
        (Lease::New, _) => format!("node {name} is new"),
        (Lease::Ready, Some(until)) if from == Lease::Lost => format!(
            "node {name} is ready; it was lost again and again, and gets nothing new for {}",
            until.since(now)
        ),
        (Lease::Ready, _) => format!("node {name} is ready"),
        (Lease::Suspect, _) => format!("node {name} is silent; nothing moves yet"),
        (Lease::Lost, _) => format!("node {name} is lost; its frontends are replaced elsewhere"),
    };
    state.record(Kind::Node, &itself(), None, name, sentence);
    if let (None, Some(storm)) = (storm, Storm::of(state, now)) {
        state.record(Kind::Cluster, &itself(), None, "workers", storm.to_string());
    }
    Ok(Detail::Done)
}

/// A node that is lost and comes back is counted until it has been steady for long enough.
fn count_relapse(node: &mut Node, from: Lease, now: Time) {
    match (from, node.lease) {
        (Lease::Lost, Lease::Ready) => {
            node.relapses = node.relapses.saturating_add(1);
            node.returned = Some(now);
        }
        (_, Lease::Lost) => {
            let steady = |back: Time| now.since(back) >= STEADY_AFTER;
            if node.returned.is_some_and(steady) {
                node.relapses = 0;
            }
        }
        _ => {}
    }
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

/// Something that can be printed and typed as one word.
fn plain(text: &str, longest: usize) -> bool {
    (1..=longest).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn find(state: &State, id: NodeId) -> Result<&Node, Rejection> {
    state
        .nodes
        .get(&id)
        .ok_or_else(|| Rejection::new(Code::UnknownNode, format!("there is no node {id}")))
}
