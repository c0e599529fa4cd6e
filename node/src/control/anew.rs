//! Beginning a log anew: from a backup on a fresh machine, or from what is left of a cluster in this
//! node's store.
//!
//! Both make a store of a new generation while no control process runs, read it back, and compare the
//! hash of the state in it. The agent does this, and then writes the identity that names the new
//! generation: until then, nothing has happened. What the log says first is in [`super::start`].

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use anyhow::Context as _;
use fleet_model::command::SKIPPED;

use super::backup::{Backup, hex};
use super::codec;
use super::start;
use super::state_machine::Machine;
use crate::blobs;
use crate::config::{Identity, Node, Paths, Settings};
use crate::consensus::{self, OpenError, Options, Position, StateMachine as _};

/// A store of a new generation.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Index of the last command in the state.
    pub index: u64,
    /// Hash of the state, before the first new entry.
    pub state_hash: String,
}

/// A store that was made of a backup.
#[derive(Debug)]
pub struct Restored {
    pub begun: Begun,
    /// Artefacts that came along.
    pub artefacts: u64,
    /// Builds of whose artefact there is no copy, as `app/build`.
    pub lost: Vec<String>,
}

/// What this node's store held when the cluster lost its quorum.
#[derive(Debug)]
pub struct Found {
    /// Who voted, with addresses.
    pub voters: BTreeMap<u64, String>,
    /// Last entry of the log, whatever it says.
    pub last_index: u64,
    machine: Machine,
    state: fleet_model::State,
    at: Position,
    seen: u64,
}

/// Makes the store that `identity` names, whose generation is new, from a backup, and takes the
/// artefacts that came along. Blocks.
///
/// # Errors
/// When the backup is damaged or the disk refuses; nothing is then to be cleaned up by hand.
pub fn restore(
    settings: &Settings,
    identity: &Identity,
    backup: &mut Backup,
) -> anyhow::Result<Restored> {
    let paths = settings.paths();
    let (machine, _) = Machine::of(backup.state.clone());
    let at = Position {
        index: backup.state.index,
        term: backup.header.term,
        leader: backup.header.node_id,
    };
    let options = begin_at(settings, identity)?;
    let begun = begin(&options, &machine, at, backup.header.term, &backup.hash())?;
    let store = blobs::Store::open(&paths.blobs(), blobs::LARGEST)
        .context("failed opening the artefacts of this node")?;
    let artefacts = backup.artefacts_into(&store)?;
    let builds = backup.state.builds.values();
    let lost = builds.filter(|build| !store.has(&build.digest));
    Ok(Restored {
        begun,
        artefacts,
        lost: lost
            .map(|build| format!("{}/{}", build.app, build.name))
            .collect(),
    })
}

/// Reads what is left in the store of `node`, to its very end. Blocks; control must not run.
///
/// # Errors
/// See [`OpenError`].
pub fn look(node: &Node) -> Result<Found, OpenError> {
    let (mut machine, state) = Machine::new();
    let remains = consensus::read_remains(&unserved(&node.settings, &node.identity), &mut machine)?;
    let state = state.borrow().clone();
    Ok(Found {
        voters: remains.voters,
        last_index: remains.last.index,
        machine,
        state,
        at: remains.last,
        seen: remains.term,
    })
}

impl Found {
    /// Makes the store that `identity` names, whose generation is new, from what was found. The old
    /// store is kept as it is. Blocks.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn go_on(&self, settings: &Settings, identity: &Identity) -> anyhow::Result<Begun> {
        let hash = hex(&codec::hash(&self.state));
        // Ids are made of indices, and the lost may have given some that were not heard of here.
        let at = Position {
            index: self.at.index + SKIPPED,
            ..self.at
        };
        let options = begin_at(settings, identity)?;
        begin(&options, &self.machine, at, self.seen, &hash)
    }
}

/// Where the new store is to lie, cleared of what an earlier attempt left: it never became this
/// node's, for no identity names it.
fn begin_at(settings: &Settings, identity: &Identity) -> anyhow::Result<Options> {
    let cleared = clear(&settings.paths(), identity.generation);
    cleared.context("failed clearing an earlier attempt")?;
    Ok(unserved(settings, identity))
}

/// Without what only a store that is served needs.
fn unserved(settings: &Settings, identity: &Identity) -> Options {
    start::store(settings, identity)
}

fn begin(
    options: &Options,
    machine: &Machine,
    at: Position,
    seen: u64,
    hash: &str,
) -> anyhow::Result<Begun> {
    consensus::begin_with(options, at, seen, machine.view().as_ref())
        .context("failed making the new log")?;
    let (mut again, state) = Machine::new();
    consensus::read_remains(options, &mut again).context("failed reading the new log back")?;
    let state = state.borrow().clone();
    let found = hex(&codec::hash(&state));
    anyhow::ensure!(
        found == hash,
        "the new log holds a state with the hash {found}, and it should be {hash}"
    );
    Ok(Begun {
        index: state.index,
        state_hash: found,
    })
}

fn clear(paths: &Paths, generation: u64) -> io::Result<()> {
    for directory in [paths.raft_of(generation), paths.snapshots_of(generation)] {
        match std::fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// The identity of the first node of a cluster made of a backup. Its id is the index of an entry that
/// the new leader keeps for itself, so the log never gives it to anybody.
pub fn founder(backup: &Backup, cluster_id: String, name: String, roles: Vec<String>) -> Identity {
    Identity {
        version: Identity::VERSION,
        cluster_id,
        cluster_name: backup.state.cluster.name.clone(),
        node_id: backup.state.index + 1,
        name,
        domain: backup.state.cluster.domain.clone(),
        roles,
        generation: backup.state.cluster.generation + 1,
    }
}

/// Where the log of the generation before lies, which nothing reads any more.
pub fn set_aside(node: &Node) -> Vec<PathBuf> {
    let (paths, before) = (node.paths(), node.identity.generation);
    vec![paths.raft_of(before), paths.snapshots_of(before)]
}
