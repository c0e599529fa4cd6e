//! What comes down the session, in the worker's own words.

use fleet_model::ids::FrontendId;
use fleet_proto::internal as wire;

use super::assignment::Assignment;

/// Which leader spoke, and from which state. Ordered: a later term wins, then a later index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Fence {
    pub(crate) term: u64,
    pub(crate) index: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Order {
    pub(crate) fence: Fence,
    /// Addresses of control nodes, as told; empty if nothing was said about them.
    pub(crate) control: Vec<String>,
    pub(crate) change: Change,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    None,
    /// What is not listed is forgotten.
    Full(Vec<Item>),
    Delta {
        upserts: Vec<Item>,
        removals: Vec<FrontendId>,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Usable(Box<Assignment>),
    /// To be reported as failed, not to be dropped: control waits for an answer.
    Unusable {
        id: FrontendId,
        incarnation: u32,
        reason: String,
    },
}

impl Item {
    pub(crate) fn id(&self) -> FrontendId {
        match self {
            Item::Usable(assignment) => assignment.id,
            Item::Unusable { id, .. } => *id,
        }
    }
}

impl From<wire::WorkerOrder> for Order {
    fn from(wire: wire::WorkerOrder) -> Self {
        let items =
            |assignments: Vec<wire::Assignment>| assignments.into_iter().map(item).collect();
        let change = match wire.order {
            None => Change::None,
            Some(wire::worker_order::Order::Full(full)) => Change::Full(items(full.assignments)),
            Some(wire::worker_order::Order::Delta(delta)) => Change::Delta {
                upserts: items(delta.upserts),
                removals: delta.removals.into_iter().map(FrontendId).collect(),
            },
        };
        let fence = wire.fence.map(Fence::from).unwrap_or_default();
        Self {
            fence,
            control: wire.control_addresses,
            change,
        }
    }
}

fn item(wire: wire::Assignment) -> Item {
    let (id, incarnation) = (FrontendId(wire.frontend_id), wire.incarnation);
    match Assignment::try_from(wire) {
        Ok(assignment) => Item::Usable(Box::new(assignment)),
        Err(error) => Item::Unusable {
            id,
            incarnation,
            reason: error.to_string(),
        },
    }
}

impl From<wire::Fence> for Fence {
    fn from(wire: wire::Fence) -> Self {
        Self {
            term: wire.term,
            index: wire.index,
        }
    }
}

impl From<Fence> for wire::Fence {
    fn from(fence: Fence) -> Self {
        Self {
            term: fence.term,
            index: fence.index,
        }
    }
}
