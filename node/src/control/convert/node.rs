//! Nodes and what workers say of them.

use fleet_model::{
    Time,
    ids::NodeId,
    node::{Capability, Facts, Lease, Node, Role},
};
use fleet_proto::stored;

use super::{DecodeError, Stored, all, all_stored, optional, plain_enum};

plain_enum!(Role, Role, "node.roles", [Control, Worker, Ingress]);
plain_enum!(Lease, Lease, "node.lease", [New, Ready, Suspect, Lost]);

/// A verdict on a lease, planned for a node of that revision.
pub(super) fn mark_to_stored(
    node: NodeId,
    (from, to): (Lease, Lease),
    assumed: u64,
) -> stored::MarkNode {
    stored::MarkNode {
        node: node.0,
        from: from.to_stored(),
        to: to.to_stored(),
        assumed,
    }
}

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
