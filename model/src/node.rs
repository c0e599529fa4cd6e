//! Nodes: the machines of the cluster.

use std::collections::{BTreeMap, BTreeSet};

use crate::{Time, ids::NodeId, time::Millis};

/// A machine that runs `fleetd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    pub id: NodeId,
    pub name: String,
    /// Where its control process is reached, `host:port`.
    pub address: String,
    pub roles: BTreeSet<Role>,
    pub labels: BTreeMap<String, String>,
    pub architecture: String,
    pub joined: Time,
    /// The worker's lease, as last committed.
    pub lease: Lease,
    pub lease_since: Time,
    pub draining: bool,
    /// The worker's version, capacity and ladder; `None` until it was heard once.
    pub facts: Option<Facts>,
    /// Log index of the last change.
    pub revision: u64,
}

/// What a node is for; all three by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Control,
    Worker,
    Ingress,
}

impl Role {
    pub const ALL: [Self; 3] = [Self::Control, Self::Worker, Self::Ingress];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Worker => "worker",
            Self::Ingress => "ingress",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// How long a worker has been silent, as a committed state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lease {
    /// Never heard since it joined.
    New,
    Ready,
    /// Silent for [`SUSPECT_AFTER`]: nothing moves, nothing new is placed there.
    Suspect,
    /// Silent for [`LOST_AFTER`]: its frontends are replaced elsewhere.
    Lost,
}

impl Lease {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "NEW",
            Self::Ready => "READY",
            Self::Suspect => "SUSPECT",
            Self::Lost => "LOST",
        }
    }
}

/// docs/rollout.md: session heartbeat 1 s, suspect after 3 s, lost after 15 s.
pub const SUSPECT_AFTER: Millis = Millis::seconds(3);
pub const LOST_AFTER: Millis = Millis::seconds(15);

/// When a worker that hears no control node tells its singletons to end, counted from the heartbeat
/// that was last confirmed (docs/survival.md).
pub const SINGLETONS_STOP_AFTER: Millis = Millis::seconds(10);

/// When it kills those that have not ended, whatever their termination grace. What is left until
/// [`LOST_AFTER`] is for a kill that takes long, and for clocks that do not agree on a second.
pub const SINGLETONS_KILLED_AFTER: Millis = Millis::seconds(13);

const _: () = assert!(
    SINGLETONS_STOP_AFTER.0 < SINGLETONS_KILLED_AFTER.0
        && SINGLETONS_KILLED_AFTER.0 + 2_000 <= LOST_AFTER.0,
    "a singleton must be dead well before its replacement may start"
);

/// What a worker says of its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    pub version: String,
    pub boot: String,
    pub cpu_millicores: u64,
    pub memory_bytes: u64,
    /// The rungs of the capability ladder it stands on.
    pub capabilities: Vec<Capability>,
}

/// One thing a node can or cannot enforce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Capability {
    pub name: String,
    /// `false`: promised as *advisory* only.
    pub enforced: bool,
    pub detail: String,
}

impl Node {
    #[must_use]
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}
