//! Our protobuf against the library's types: the only place that knows both.
//!
//! Everything decoded here is required to be complete. A vote that cannot be read is an error and
//! never "no vote": a node that forgets its vote can vote twice in one term.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{BufMut, Bytes, BytesMut};
use fleet_proto::stored;
use openraft::impls::BasicNode;
use openraft::vote::{RaftLeaderId, RaftVote};
use prost::Message;
use stored::raft_entry::Content;

use super::types::{
    Entry, LeaderId, LogId, Membership, Payload, Proposal, SnapshotMeta, StoredMembership, Vote,
};

/// First byte of every value in the database. A store with another one was written by another
/// version.
const VERSION: u8 = 1;

/// Bytes are not what they should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    /// Not even a version byte.
    #[error("empty value")]
    Empty,
    /// A version this program does not know.
    #[error("value of version {0}, only {VERSION} is known")]
    Version(u8),
    /// Not the protobuf message it should be.
    #[error("malformed message: {0}")]
    Malformed(String),
    /// A field that must be there is not.
    #[error("{message} without {field}")]
    Missing {
        /// The message.
        message: &'static str,
        /// The field.
        field: &'static str,
    },
    /// A membership whose voters are not among its nodes, or with an empty set of voters.
    #[error("inconsistent membership: {0}")]
    Membership(String),
}

impl From<DecodeError> for std::io::Error {
    fn from(error: DecodeError) -> Self {
        std::io::Error::new(std::io::ErrorKind::InvalidData, error)
    }
}

/// Encodes a value for the database: version byte, then the message.
pub(super) fn to_value(message: &impl Message) -> Bytes {
    let mut out = BytesMut::with_capacity(1 + message.encoded_len());
    out.put_u8(VERSION);
    // Cannot fail: the buffer grows.
    let _ = message.encode(&mut out);
    out.freeze()
}

/// Decodes a value of the database.
pub(super) fn from_value<M: Message + Default>(mut value: Bytes) -> Result<M, DecodeError> {
    if value.is_empty() {
        return Err(DecodeError::Empty);
    }
    let version = value[0];
    if version != VERSION {
        return Err(DecodeError::Version(version));
    }
    let body = value.split_off(1);
    M::decode(body).map_err(|error| DecodeError::Malformed(error.to_string()))
}

// === vote ===

pub(super) fn vote_to_proto(vote: &Vote) -> stored::RaftVote {
    stored::RaftVote {
        term: vote.leader_id().term(),
        node_id: *vote.leader_id().node_id(),
        committed: vote.is_committed(),
    }
}

pub(super) fn vote_from_proto(vote: &stored::RaftVote) -> Vote {
    Vote::from_leader_id(LeaderId::new(vote.term, vote.node_id), vote.committed)
}

/// A vote that a message must carry.
pub(super) fn vote_required(
    vote: Option<&stored::RaftVote>,
    message: &'static str,
) -> Result<Vote, DecodeError> {
    vote.map(vote_from_proto).ok_or(DecodeError::Missing {
        message,
        field: "vote",
    })
}

// === log id ===

pub(super) fn log_id_to_proto(id: &LogId) -> stored::RaftLogId {
    let leader = id.committed_leader_id();
    stored::RaftLogId {
        term: leader.term(),
        node_id: *leader.node_id(),
        index: id.index(),
    }
}

pub(super) fn log_id_from_proto(id: &stored::RaftLogId) -> LogId {
    LogId::new(LeaderId::new(id.term, id.node_id), id.index)
}

// === membership ===

pub(super) fn membership_to_proto(membership: &Membership) -> stored::RaftMembership {
    stored::RaftMembership {
        configs: membership
            .get_joint_config()
            .iter()
            .map(|voters| stored::RaftVoters {
                node_ids: voters.iter().copied().collect(),
            })
            .collect(),
        nodes: membership
            .nodes()
            .map(|(id, node)| {
                (
                    *id,
                    stored::RaftMember {
                        address: node.addr.clone(),
                    },
                )
            })
            .collect(),
    }
}

pub(super) fn membership_from_proto(
    membership: stored::RaftMembership,
) -> Result<Membership, DecodeError> {
    let configs: Vec<BTreeSet<u64>> = membership
        .configs
        .into_iter()
        .map(|voters| voters.node_ids.into_iter().collect())
        .collect();
    let nodes: BTreeMap<u64, BasicNode> = membership
        .nodes
        .into_iter()
        .map(|(id, member)| (id, BasicNode::new(member.address)))
        .collect();
    Membership::new(configs, nodes).map_err(|error| DecodeError::Membership(error.to_string()))
}

pub(super) fn stored_membership_to_proto(
    membership: &StoredMembership,
) -> stored::RaftStoredMembership {
    stored::RaftStoredMembership {
        log_id: membership.log_id().as_ref().map(log_id_to_proto),
        membership: Some(membership_to_proto(membership.membership())),
    }
}

pub(super) fn stored_membership_from_proto(
    membership: stored::RaftStoredMembership,
) -> Result<StoredMembership, DecodeError> {
    let log_id = membership.log_id.as_ref().map(log_id_from_proto);
    let membership = membership.membership.ok_or(DecodeError::Missing {
        message: "RaftStoredMembership",
        field: "membership",
    })?;
    Ok(StoredMembership::new(
        log_id,
        membership_from_proto(membership)?,
    ))
}

// === entry ===

pub(super) fn entry_to_proto(entry: &Entry) -> stored::RaftEntry {
    let content = match &entry.payload {
        Payload::Blank => Content::Blank(stored::RaftBlank {}),
        Payload::Normal(proposal) => Content::Proposal(stored::RaftProposal {
            time_ms: proposal.time_ms,
            payload: proposal.payload.clone(),
        }),
        Payload::Membership(membership) => Content::Membership(membership_to_proto(membership)),
    };
    stored::RaftEntry {
        log_id: Some(log_id_to_proto(&entry.log_id)),
        content: Some(content),
    }
}

pub(super) fn entry_from_proto(entry: stored::RaftEntry) -> Result<Entry, DecodeError> {
    let missing = |field| DecodeError::Missing {
        message: "RaftEntry",
        field,
    };
    let log_id = entry
        .log_id
        .as_ref()
        .map(log_id_from_proto)
        .ok_or(missing("log_id"))?;
    let payload = match entry.content.ok_or(missing("content"))? {
        Content::Blank(_) => Payload::Blank,
        Content::Proposal(proposal) => Payload::Normal(Proposal {
            time_ms: proposal.time_ms,
            payload: proposal.payload,
        }),
        Content::Membership(membership) => Payload::Membership(membership_from_proto(membership)?),
    };
    Ok(Entry { log_id, payload })
}

// === snapshot ===

pub(super) fn header_to_proto(cluster_id: &str, meta: &SnapshotMeta) -> stored::RaftSnapshotHeader {
    stored::RaftSnapshotHeader {
        cluster_id: cluster_id.to_owned(),
        last_log_id: meta.last_log_id.as_ref().map(log_id_to_proto),
        membership: Some(stored_membership_to_proto(&meta.last_membership)),
    }
}

pub(super) fn header_from_proto(
    header: stored::RaftSnapshotHeader,
) -> Result<SnapshotMeta, DecodeError> {
    let missing = |field| DecodeError::Missing {
        message: "RaftSnapshotHeader",
        field,
    };
    let last_log_id = header.last_log_id.as_ref().ok_or(missing("last_log_id"))?;
    let membership = header.membership.ok_or(missing("membership"))?;
    Ok(SnapshotMeta {
        last_log_id: Some(log_id_from_proto(last_log_id)),
        last_membership: stored_membership_from_proto(membership)?,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn log_id(term: u64, node: u64, index: u64) -> LogId {
        LogId::new(LeaderId::new(term, node), index)
    }

    #[test]
    fn entries_survive_the_way_to_disk_and_back() {
        let nodes = BTreeMap::from([(1, BasicNode::new("a:1")), (2, BasicNode::new("b:2"))]);
        let joint = vec![BTreeSet::from([1]), BTreeSet::from([1, 2])];
        let contents = [
            Payload::Blank,
            Payload::Normal(Proposal {
                time_ms: 7,
                payload: Bytes::from_static(b"x"),
            }),
            Payload::Normal(Proposal {
                time_ms: 0,
                payload: Bytes::new(),
            }),
            Payload::Membership(Membership::new(joint, nodes).unwrap()),
        ];
        for payload in contents {
            let entry = Entry {
                log_id: log_id(3, 2, 9),
                payload,
            };
            let value = to_value(&entry_to_proto(&entry));
            assert_eq!(entry_from_proto(from_value(value).unwrap()).unwrap(), entry);
        }
    }

    #[test]
    fn votes_keep_the_leader_and_whether_it_won() {
        for committed in [false, true] {
            let vote = Vote::from_leader_id(LeaderId::new(4, 3), committed);
            let value = to_value(&vote_to_proto(&vote));
            let read: stored::RaftVote = from_value(value).unwrap();
            assert_eq!(vote_from_proto(&read), vote);
        }
    }

    #[test]
    fn what_is_not_understood_is_an_error_and_never_a_default() {
        let decode = |bytes: &'static [u8]| from_value::<stored::RaftVote>(bytes.into());
        assert_eq!(decode(b""), Err(DecodeError::Empty));
        assert_eq!(decode(b"\x02"), Err(DecodeError::Version(2)));
        assert!(matches!(
            decode(b"\x01\xff\xff"),
            Err(DecodeError::Malformed(_))
        ));
        assert_eq!(
            entry_from_proto(stored::RaftEntry::default()),
            Err(DecodeError::Missing {
                message: "RaftEntry",
                field: "log_id"
            })
        );
        let bare = stored::RaftEntry {
            log_id: Some(Default::default()),
            content: None,
        };
        assert_eq!(
            entry_from_proto(bare),
            Err(DecodeError::Missing {
                message: "RaftEntry",
                field: "content"
            })
        );
    }

    #[test]
    fn a_voter_without_an_address_is_refused() {
        let membership = stored::RaftMembership {
            configs: vec![stored::RaftVoters { node_ids: vec![1] }],
            nodes: BTreeMap::new(),
        };
        assert!(matches!(
            membership_from_proto(membership),
            Err(DecodeError::Membership(_))
        ));
    }
}
