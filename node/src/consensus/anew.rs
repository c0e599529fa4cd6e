//! A log that begins with a state: after a restore, and after a quorum was lost for good.
//!
//! Such a store looks like that of a node that has purged its whole log: a snapshot, a purge point at
//! its end, a vote, and not one entry. The only voter is this node, so it elects itself and writes
//! the next entry. Nothing of the library is bent for it, and nothing of an older store is touched:
//! the new one is another directory, under another name of the cluster ([`Options::cluster_id`]), by
//! which every call from a node of before is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::ops::ControlFlow;

use openraft::impls::BasicNode;
use openraft::vote::RaftLeaderId;

use super::codec;
use super::identity;
use super::log_store::{self, LogIo, Mark, MetaKey, Op, Rocks};
use super::machine::{Committed, SnapshotView, StateMachine};
use super::snapshot::{SnapshotDir, SnapshotError};
use super::types::{LeaderId, LogId, Membership, Payload, SnapshotMeta, StoredMembership, Vote};
use super::{OpenError, Options};

/// Terms that are skipped when a log begins anew. Nodes of before that were wrongly given up may
/// elect one another on and on; whoever has obeyed the new log must not take theirs for the newer
/// one, and a thousand elections are more than anybody fails to notice.
const TERMS_SKIPPED: u64 = 1_000;

/// Entries applied at once while a log is read.
const BATCH: usize = 512;

/// A place in a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// Of the entry.
    pub index: u64,
    /// Of the leader that wrote it.
    pub term: u64,
    /// That leader.
    pub leader: u64,
}

/// What is left of a cluster in one node's store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remains {
    /// The last entry, committed or not.
    pub last: Position,
    /// The highest term this node has voted in.
    pub term: u64,
    /// Who voted, with addresses, by the last membership in the log.
    pub voters: BTreeMap<u64, String>,
}

/// Makes the store that `options` name: a log that goes on behind `at`, where the state was `view`,
/// with this node as its only voter. Durable when it returns. `seen` is the highest term that any
/// node of before may have been in.
///
/// # Errors
/// [`OpenError::NotEmpty`] if there is a complete store already; those of the disk.
pub fn begin_with(
    options: &Options,
    at: Position,
    seen: u64,
    view: &dyn SnapshotView,
) -> Result<(), OpenError> {
    let failed = |source| OpenError::Io {
        dir: options.dir.clone(),
        source,
    };
    let snapshots = SnapshotDir::open(&options.snapshot_dir, &options.cluster_id, None)
        .map_err(|error| damaged(options, &error))?;
    let rocks = Rocks::open(&options.dir, true).map_err(failed)?;
    if let Some(existing) = identity::read(&rocks).map_err(failed)? {
        return Err(OpenError::NotEmpty {
            dir: options.dir.clone(),
            cluster_id: existing.cluster_id,
            node_id: existing.node_id,
        });
    }
    let last = LogId::new(LeaderId::new(at.term, at.leader), at.index);
    let voters = vec![BTreeSet::from([options.node_id])];
    let nodes = BTreeMap::from([(options.node_id, BasicNode::new(&options.advertise))]);
    let membership =
        Membership::new(voters, nodes).map_err(|error| OpenError::Options(error.to_string()))?;
    let meta = SnapshotMeta {
        last_log_id: Some(last),
        last_membership: StoredMembership::new(Some(last), membership),
    };
    // The purge point must never be durable without the snapshot that stands for what it purged.
    snapshots.write(&meta, view).map_err(failed)?;
    let term = seen.max(at.term) + TERMS_SKIPPED;
    let vote = Vote::new(term, options.node_id);
    let id = codec::to_value(&codec::log_id_to_proto(&last));
    let ops = vec![
        Op::PutMeta(MetaKey::Vote, codec::to_value(&codec::vote_to_proto(&vote))),
        Op::PutMeta(MetaKey::Committed, id.clone()),
        Op::PutMeta(MetaKey::Purged, id),
    ];
    rocks.write(ops).map_err(failed)?;
    // Last: a store without an identity was never completed.
    identity::write(&rocks, &options.cluster_id, options.node_id).map_err(failed)?;
    let index = at.index;
    rocks.write_mark(Mark { index, term }).map_err(failed)
}

/// Reads what a node's store holds into `machine`: its snapshot and every entry behind it, also those
/// that are not known to be committed, for some of them may have been acknowledged. Changes nothing
/// on disk; no process may have the store open.
///
/// # Errors
/// See [`OpenError`]: a store that is another's, damaged, or shorter than it was.
pub fn read_remains(
    options: &Options,
    machine: &mut dyn StateMachine,
) -> Result<Remains, OpenError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::InvalidData => OpenError::Corrupt {
            dir: options.dir.clone(),
            what: source.to_string(),
        },
        _ => OpenError::Io {
            dir: options.dir.clone(),
            source,
        },
    };
    if !Rocks::exists(&options.dir) {
        return Err(identity::wiped(options));
    }
    let rocks = Rocks::open_to_read(&options.dir).map_err(failed)?;
    identity::check(identity::read(&rocks).map_err(failed)?, options)?;
    let (found, first) = log_store::survey(&rocks).map_err(failed)?;
    identity::check_tail(&found, &options.dir)?;
    let snapshot = SnapshotDir::newest_in(&options.snapshot_dir, &options.cluster_id)
        .map_err(|error| damaged(options, &error))?;
    let mut replay = Replay::new(machine);
    if let Some((meta, file)) = snapshot {
        let mut body = file.body().map_err(|error| damaged(options, &error))?;
        let restored = replay.machine.restore(&mut body);
        restored.map_err(|error| OpenError::Corrupt {
            dir: options.snapshot_dir.clone(),
            what: error.to_string(),
        })?;
        replay.last = meta.last_log_id;
        replay.membership = meta.last_membership.membership().clone();
    }
    let next = replay.last.map_or(0, |id| id.index + 1);
    if first > next {
        return Err(OpenError::NoSnapshot {
            dir: options.snapshot_dir.clone(),
            purged: first - 1,
            what: "no intact one reaches that far".to_owned(),
        });
    }
    replay.run(&rocks, next).map_err(failed)?;
    let last = replay.last.ok_or_else(|| OpenError::Corrupt {
        dir: options.dir.clone(),
        what: "there is neither a snapshot nor an entry in it".to_owned(),
    })?;
    let leader = last.committed_leader_id();
    let voters: BTreeSet<u64> = replay.membership.voter_ids().collect();
    let nodes = replay.membership.nodes();
    Ok(Remains {
        last: Position {
            index: last.index,
            term: leader.term(),
            leader: *leader.node_id(),
        },
        term: found.term,
        voters: nodes
            .filter(|(id, _)| voters.contains(id))
            .map(|(id, node)| (*id, node.addr.clone()))
            .collect(),
    })
}

/// Applies a log to its end.
struct Replay<'a> {
    machine: &'a mut dyn StateMachine,
    last: Option<LogId>,
    membership: Membership,
}

impl<'a> Replay<'a> {
    fn new(machine: &'a mut dyn StateMachine) -> Self {
        Self {
            machine,
            last: None,
            membership: Membership::default(),
        }
    }

    fn run(&mut self, io: &dyn LogIo, next: u64) -> io::Result<()> {
        let mut batch = Vec::new();
        io.scan(next..u64::MAX, &mut |_, value| {
            let entry = codec::entry_from_proto(codec::from_value(value)?)?;
            match entry.payload {
                Payload::Normal(proposal) => batch.push((entry.log_id, proposal)),
                Payload::Membership(membership) => self.membership = membership,
                Payload::Blank => {}
            }
            self.last = Some(entry.log_id);
            if batch.len() == BATCH {
                apply(self.machine, &mut batch);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        apply(self.machine, &mut batch);
        Ok(())
    }
}

fn apply(machine: &mut dyn StateMachine, batch: &mut Vec<(LogId, super::types::Proposal)>) {
    let entries: Vec<Committed<'_>> = batch
        .iter()
        .map(|(id, proposal)| Committed {
            index: id.index,
            term: id.committed_leader_id().term(),
            time_ms: proposal.time_ms,
            payload: &proposal.payload,
        })
        .collect();
    if !entries.is_empty() {
        // Whoever waited for these answers is gone.
        machine.apply(&entries);
    }
    batch.clear();
}

fn damaged(options: &Options, error: &SnapshotError) -> OpenError {
    OpenError::Corrupt {
        dir: options.snapshot_dir.clone(),
        what: error.to_string(),
    }
}
