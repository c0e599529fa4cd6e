//! Whose disk is this? A node id lives on exactly one disk, for ever.
//!
//! When a store is made, the cluster and node id are written into it, durably, before anything
//! else. From then on the node starts only on that store: an empty directory, somebody else's, or
//! one that lost what was durable is refused with exit code 3. Starting empty under an old id would
//! let the node vote twice in one term, or elect a leader from a membership of the past; the way
//! back is to join as a new node.

use std::io;
use std::path::Path;

use fleet_proto::stored::RaftIdentity;

use super::codec;
use super::log_store::{Found, LogIo, MetaKey, Op};
use super::{OpenError, Options};

/// Reads the identity of a store; none if it was never completed.
///
/// # Errors
/// If it cannot be read or decoded.
pub(super) fn read(io: &dyn LogIo) -> io::Result<Option<RaftIdentity>> {
    match io.meta(MetaKey::Identity)? {
        None => Ok(None),
        Some(value) => Ok(Some(codec::from_value(value)?)),
    }
}

/// Writes the identity of a new store, durably.
///
/// # Errors
/// Those of the disk.
pub fn write(io: &dyn LogIo, cluster_id: &str, node_id: u64) -> io::Result<()> {
    let identity = RaftIdentity {
        cluster_id: cluster_id.to_owned(),
        node_id,
    };
    io.write(vec![Op::PutMeta(
        MetaKey::Identity,
        codec::to_value(&identity),
    )])?;
    io.sync()
}

/// Refuses a store that is not this node's.
pub(super) fn check(found: Option<RaftIdentity>, options: &Options) -> Result<(), OpenError> {
    let Some(found) = found else {
        return Err(wiped(options));
    };
    if found.cluster_id == options.cluster_id && found.node_id == options.node_id {
        return Ok(());
    }
    Err(OpenError::Foreign {
        dir: options.dir.clone(),
        found_cluster: found.cluster_id,
        found_node: found.node_id,
        cluster_id: options.cluster_id.clone(),
        node_id: options.node_id,
    })
}

/// Refuses a store that lost what was once durable.
pub(super) fn check_tail(found: &Found, dir: &Path) -> Result<(), OpenError> {
    if !found.lost_data() {
        return Ok(());
    }
    Err(OpenError::LostTail {
        dir: dir.to_owned(),
        last_index: found.last_index,
        term: found.term,
        durable_index: found.mark.index,
        durable_term: found.mark.term,
    })
}

pub(super) fn wiped(options: &Options) -> OpenError {
    OpenError::Wiped {
        dir: options.dir.clone(),
        node_id: options.node_id,
    }
}
