//! The consensus library's types, bound to ours. Nothing here reaches disk or wire: see
//! [`super::codec`].

use std::fmt;

use bytes::Bytes;
use openraft::impls::BasicNode;

use super::applier::Applier;

// The macro names a re-export that this pre-release deprecates in favour of one more crate to pin.
#[allow(deprecated)]
mod declared {
    use super::{Bytes, Proposal};

    openraft::declare_raft_types!(
        /// Binds the library to opaque proposals, opaque answers and `u64` node ids.
        pub(crate) TypeConfig:
            D = Proposal,
            R = Bytes,
    );
}
pub(crate) use declared::TypeConfig;

pub(crate) type Entry = openraft::type_config::alias::EntryOf<TypeConfig>;
pub(crate) type LeaderId = openraft::type_config::alias::LeaderIdOf<TypeConfig>;
pub(crate) type LogId = openraft::type_config::alias::LogIdOf<TypeConfig>;
pub(crate) type Membership = openraft::Membership<u64, BasicNode>;
pub(crate) type Payload = openraft::EntryPayload<Proposal, u64, BasicNode>;
pub(crate) type Raft = openraft::Raft<TypeConfig, Applier>;
pub(crate) type SnapshotMeta = openraft::type_config::alias::SnapshotMetaOf<TypeConfig>;
pub(crate) type StoredMembership = openraft::type_config::alias::StoredMembershipOf<TypeConfig>;
pub(crate) type Vote = openraft::type_config::alias::VoteOf<TypeConfig>;

/// What a client proposed, with the leader's stamp.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// Milliseconds since 1970, at the leader that accepted it.
    pub time_ms: u64,
    /// Opaque.
    pub payload: Bytes,
}

impl fmt::Display for Proposal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes at {} ms", self.payload.len(), self.time_ms)
    }
}
