//! Nodes and what workers say of them.

use fleet_model::{
    Time,
    ids::NodeId,
    node::{Capability, Facts, Lease, Node, Role, Vote},
};
use fleet_proto::stored;

use super::{DecodeError, Stored, all, all_stored, optional, plain_enum};

plain_enum!(Role, Role, "node.roles", [Control, Worker, Ingress]);
plain_enum!(Lease, Lease, "node.lease", [New, Ready, Suspect, Lost]);
plain_enum!(Vote, Vote, "node.vote", [Automatic, Always, Never]);

impl Stored for Node {
    type Wire = stored::Node;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            name,
            address,
            roles,
            labels,
            architecture,
            joined,
            lease,
            lease_since,
            draining,
            drain_until,
            leaving,
            vote,
            mute,
            relapses,
            returned,
            facts,
            revision,
        } = self;
        stored::Node {
            id: id.to_stored(),
            name: name.clone(),
            address: address.clone(),
            roles: all_stored(roles),
            labels: labels.clone(),
            architecture: architecture.clone(),
            joined_ms: joined.to_stored(),
            lease: lease.to_stored(),
            lease_since_ms: lease_since.to_stored(),
            draining: *draining,
            facts: facts.as_ref().map(Facts::to_stored),
            revision: *revision,
            drain_until_ms: drain_until.map(|at| at.to_stored()),
            leaving: *leaving,
            vote: vote.to_stored(),
            mute_ms: mute.map(|at| at.to_stored()),
            relapses: *relapses,
            returned_ms: returned.map(|at| at.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Node {
            id,
            name,
            address,
            roles,
            labels,
            architecture,
            joined_ms,
            lease,
            lease_since_ms,
            draining,
            facts,
            revision,
            drain_until_ms,
            leaving,
            vote,
            mute_ms,
            relapses,
            returned_ms,
        } = wire;
        Ok(Self {
            id: NodeId(id),
            name,
            address,
            roles: all(roles)?,
            labels,
            architecture,
            joined: Time(joined_ms),
            lease: Lease::from_stored(lease)?,
            lease_since: Time(lease_since_ms),
            draining,
            drain_until: drain_until_ms.map(Time),
            leaving,
            vote: Vote::from_stored(vote)?,
            mute: mute_ms.map(Time),
            relapses,
            returned: returned_ms.map(Time),
            facts: optional(facts)?,
            revision,
        })
    }
}

impl Stored for Facts {
    type Wire = stored::Facts;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            version,
            boot,
            cpu_millicores,
            memory_bytes,
            capabilities,
        } = self;
        stored::Facts {
            version: version.clone(),
            boot: boot.clone(),
            cpu_millicores: *cpu_millicores,
            memory_bytes: *memory_bytes,
            capabilities: all_stored(capabilities),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Facts {
            version,
            boot,
            cpu_millicores,
            memory_bytes,
            capabilities,
        } = wire;
        Ok(Self {
            version,
            boot,
            cpu_millicores,
            memory_bytes,
            capabilities: all(capabilities)?,
        })
    }
}

impl Stored for Capability {
    type Wire = stored::Capability;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            enforced,
            detail,
        } = self;
        stored::Capability {
            name: name.clone(),
            enforced: *enforced,
            detail: detail.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Capability {
            name,
            enforced,
            detail,
        } = wire;
        Ok(Self {
            name,
            enforced,
            detail,
        })
    }
}
