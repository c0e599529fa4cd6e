//! Changes of nodes.

use fleet_model::{
    Command,
    command::NodeChange,
    ids::{FrontendId, NodeId},
    node::{Facts, Lease, Vote},
    time::Millis,
};
use fleet_proto::stored::{
    self, change_node::Change as Wire, command_envelope::Command as WireCommand,
};

use crate::control::convert::{DecodeError, Stored, required};

pub(super) fn change_to_stored(node: NodeId, change: &NodeChange) -> WireCommand {
    WireCommand::ChangeNode(stored::ChangeNode {
        node: node.0,
        change: Some(change.to_stored()),
    })
}

pub(super) fn change_from_stored(wire: stored::ChangeNode) -> Result<Command, DecodeError> {
    Ok(Command::ChangeNode {
        node: NodeId(wire.node),
        change: required::<_, NodeChange>(wire.change, "change_node.change")?,
    })
}

/// A verdict on a lease, planned for a node of that revision.
pub(super) fn mark_to_stored(
    node: NodeId,
    (from, to): (Lease, Lease),
    assumed: u64,
) -> WireCommand {
    WireCommand::MarkNode(stored::MarkNode {
        node: node.0,
        from: from.to_stored(),
        to: to.to_stored(),
        assumed,
    })
}

pub(super) fn mark_from_stored(wire: &stored::MarkNode) -> Result<Command, DecodeError> {
    Ok(Command::MarkNode {
        node: NodeId(wire.node),
        from: Lease::from_stored(wire.from)?,
        to: Lease::from_stored(wire.to)?,
        assumed: wire.assumed,
    })
}

pub(super) fn facts_to_stored(node: NodeId, facts: &Facts) -> WireCommand {
    WireCommand::RecordFacts(stored::RecordFacts {
        node: node.0,
        facts: Some(facts.to_stored()),
    })
}

pub(super) fn facts_from_stored(wire: stored::RecordFacts) -> Result<Command, DecodeError> {
    Ok(Command::RecordFacts {
        node: NodeId(wire.node),
        facts: required::<_, Facts>(wire.facts, "record_facts.facts")?,
    })
}

pub(super) fn moved_to_stored(frontend: FrontendId, assumed: u64) -> WireCommand {
    WireCommand::Move(stored::MoveFrontend {
        frontend: frontend.0,
        assumed,
    })
}

pub(super) fn moved_from_stored(wire: &stored::MoveFrontend) -> Command {
    Command::Move {
        frontend: FrontendId(wire.frontend),
        assumed: wire.assumed,
    }
}

pub(super) fn moves_to_stored(per_minute: u32) -> WireCommand {
    WireCommand::SetMoves(stored::SetMoves { per_minute })
}

impl Stored for NodeChange {
    type Wire = Wire;

    fn to_stored(&self) -> Wire {
        match self {
            Self::Drain { deadline } => Wire::Drain(stored::DrainNode {
                deadline_ms: deadline.map(|deadline| deadline.0),
            }),
            Self::Undrain => Wire::Undrain(stored::Unit {}),
            Self::Vote(vote) => Wire::Vote(vote.to_stored()),
            Self::SetLabels { set, unset } => Wire::Labels(stored::SetLabels {
                set: set.clone(),
                unset: unset.iter().cloned().collect(),
            }),
            Self::Leave => Wire::Leave(stored::Unit {}),
            Self::Remove { force } => Wire::Remove(*force),
            Self::Mute(silent) => Wire::Mute(*silent),
            Self::Twin { boot } => Wire::Twin(boot.clone()),
        }
    }

    fn from_stored(wire: Wire) -> Result<Self, DecodeError> {
        Ok(match wire {
            Wire::Drain(stored::DrainNode { deadline_ms }) => Self::Drain {
                deadline: deadline_ms.map(Millis),
            },
            Wire::Undrain(stored::Unit {}) => Self::Undrain,
            Wire::Vote(vote) => Self::Vote(Vote::from_stored(vote)?),
            Wire::Labels(stored::SetLabels { set, unset }) => Self::SetLabels {
                set,
                unset: unset.into_iter().collect(),
            },
            Wire::Leave(stored::Unit {}) => Self::Leave,
            Wire::Remove(force) => Self::Remove { force },
            Wire::Mute(silent) => Self::Mute(silent),
            Wire::Twin(boot) => Self::Twin { boot },
        })
    }
}
