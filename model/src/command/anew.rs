//! The log begins anew: from a backup, or from the one control node that is left.
//!
//! Both are the first command of their log and say so by a generation that grows. The nodes of
//! before are no members any more: a log of another generation may have gone on elsewhere, and what
//! it says must never be heard here.

use std::{collections::BTreeSet, sync::Arc};

use super::{Code, Detail, Registration, Rejection, build, certificate, itself, node};
use crate::{
    State,
    build::{BuildStatus, LOST_ARTEFACT},
    environment::Slot,
    event::Kind,
    ids::{Digest, NodeId},
    node::Role,
    state::Origin,
    trust::Trust,
};

/// A cluster made of a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Id of the new cluster.
    pub id: String,
    pub generation: u64,
    /// Time of the last command in the backup.
    pub taken: crate::Time,
    /// The one node there is.
    pub founder: Registration,
    /// Artefacts that came with the backup.
    pub held: BTreeSet<Digest>,
}

/// A cluster that goes on with one of its control nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    pub generation: u64,
    /// Whose log is the cluster's from now on.
    pub survivor: NodeId,
}

/// What the nodes that were lost may have given out unheard, of each kind of number: log entries (of
/// which ids of nodes, builds and releases are made), frontends, incarnations, generations of the route
/// table, events. A worker that is still there must never meet one of them with another meaning, so a
/// recovered cluster goes on far above: a hundred commands a second for nearly three hours.
pub const SKIPPED: u64 = 1_000_000;

pub(super) fn restore(state: &mut State, restored: Restored) -> Result<Detail, Rejection> {
    let Restored {
        id,
        generation,
        taken,
        founder,
        held,
    } = restored;
    refuse_if_begun(state, generation)?;
    let origin = Origin {
        cluster: std::mem::replace(&mut state.cluster.id, id),
        index: state.index,
        taken,
    };
    state.cluster.generation = generation;
    state.record(
        Kind::Cluster,
        &itself(),
        None,
        state.cluster.id.clone(),
        format!(
            "cluster {} restored from a backup of cluster {}",
            state.cluster.name, origin.cluster
        ),
    );
    state.cluster.origin = Some(origin);
    // The new cluster's authority comes with its first node; nobody of before is believed.
    state.trust = Trust::default();
    certificate::begin_anew(state);
    // Whoever kept them wrote to disks of another cluster.
    state.backups.last = None;
    state.backups.taken.clear();
    let everybody: BTreeSet<NodeId> = state.nodes.keys().copied().collect();
    node::forget(state, &everybody);
    let Detail::Node(founder) = node::register(state, founder, &itself())? else {
        return Err(Rejection::stale("the cluster"));
    };
    for digest in &held {
        build::record_copy(state, digest, founder)?;
    }
    lose_artefacts(state);
    build::complete_all(state);
    Ok(Detail::Node(founder))
}

pub(super) fn recover(
    state: &mut State,
    recovered: &Recovered,
    actor: &Arc<str>,
) -> Result<Detail, Rejection> {
    let Recovered {
        generation,
        survivor,
    } = *recovered;
    refuse_if_begun(state, generation)?;
    let Some(node) = state.nodes.get(&survivor) else {
        return Err(build::unknown_node(survivor));
    };
    let name = node.name.clone();
    let others: BTreeSet<NodeId> = state
        .nodes_with(Role::Control)
        .map(|node| node.id)
        .filter(|id| *id != survivor)
        .collect();
    let names: Vec<String> = others
        .iter()
        .filter_map(|id| state.nodes.get(id))
        .map(|node| node.name.clone())
        .collect();
    state.cluster.generation = generation;
    skip_numbers(state);
    state.record(
        Kind::Cluster,
        actor,
        None,
        state.cluster.id.clone(),
        format!(
            "quorum lost for good: the cluster goes on with node {name} alone; removed: {}",
            if names.is_empty() {
                "nobody".to_owned()
            } else {
                names.join(", ")
            }
        ),
    );
    node::forget(state, &others);
    lose_artefacts(state);
    build::complete_all(state);
    Ok(Detail::Node(survivor))
}

/// Log entries are skipped where the log begins.
fn skip_numbers(state: &mut State) {
    state.generation += SKIPPED;
    state.next_frontend += SKIPPED;
    state.next_event += SKIPPED;
    let loaded: Vec<_> = state.loaded.keys().cloned().collect();
    for key in &loaded {
        if let Some(loaded) = state.loaded.get_mut(key) {
            let slots = loaded.slots.iter().map(|(place, slot)| {
                let incarnation = slot.incarnation + SKIPPED;
                let slot = slot.clone();
                (
                    place.clone(),
                    Slot {
                        incarnation,
                        ..slot
                    },
                )
            });
            loaded.slots = slots.collect();
        }
    }
}

/// A generation begins once: repeated after a crash, the command is refused.
fn refuse_if_begun(state: &State, generation: u64) -> Result<(), Rejection> {
    if state.cluster.id.is_empty() {
        return Err(Rejection::new(
            Code::NotInitialised,
            "there is no cluster in this log".to_owned(),
        ));
    }
    if generation <= state.cluster.generation {
        return Err(Rejection::stale("the generation of the log"));
    }
    Ok(())
}

/// Builds of whose artefact no copy is left are not AVAILABLE any more. An upload of the same
/// content brings them back.
fn lose_artefacts(state: &mut State) {
    let (now, index) = (state.now, state.index);
    let lost: Vec<_> = state
        .builds
        .values()
        .filter(|build| build.holders.is_empty())
        .filter(|build| !matches!(build.status, BuildStatus::Failed { .. }))
        .map(|build| build.id.clone())
        .collect();
    for id in &lost {
        if let Some(build) = state.builds.get_mut(id) {
            build.status = BuildStatus::Failed {
                reason: LOST_ARTEFACT.to_owned(),
            };
            build.step = None;
            build.updated = now;
            build.revision = index;
        }
    }
    if !lost.is_empty() {
        let sentence = format!("no copy is left of the artefacts of {} builds", lost.len());
        state.record(Kind::Build, &itself(), None, "artefacts", sentence);
    }
}
