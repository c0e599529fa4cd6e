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
    /// Nothing new comes to it, and what is there moves elsewhere.
    pub draining: bool,
    /// From then on what is still there is sent away, replaced or not. Only of a node that is
    /// drained.
    pub drain_until: Option<Time>,
    /// It is about to be removed: it takes no part in consensus any more.
    pub leaving: bool,
    pub vote: Vote,
    /// Since when its control process was known to be silent for longer than [`MUTE_AFTER`].
    pub mute: Option<Time>,
    /// How often it was lost and came back without being steady between
    /// ([`Node::held_back_until`]), and when it did last.
    pub relapses: u32,
    pub returned: Option<Time>,
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

/// Whether a control node may vote; what was asked for, not what is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Vote {
    /// As the cluster finds best.
    #[default]
    Automatic,
    /// `node promote`: before all others.
    Always,
    /// `node demote`: it learns, and never votes.
    Never,
}

impl Vote {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Automatic => "automatic",
            Self::Always => "promoted",
            Self::Never => "demoted",
        }
    }
}

/// A voter whose control process is silent for that long is replaced by a control node that waits
/// (docs/nodes.md).
pub const MUTE_AFTER: Millis = Millis::seconds(600);

/// A node that comes back from being lost is held back from new frontends for this long, doubled
/// with each time in a row, up to [`LONGEST_HOLD`]. The first return costs nothing.
pub const FIRST_HOLD: Millis = Millis::seconds(30);
pub const LONGEST_HOLD: Millis = Millis::seconds(1_800);

/// Readiness for this long in a row makes up for every relapse before.
pub const STEADY_AFTER: Millis = Millis::seconds(1_800);

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

    /// The failure domain it is in: its label `zone`.
    #[must_use]
    pub fn zone(&self) -> Option<&str> {
        self.labels.get("zone").map(String::as_str)
    }

    /// Whether draining it has lasted longer than it may.
    #[must_use]
    pub fn drain_is_forced(&self, now: Time) -> bool {
        self.draining && self.drain_until.is_some_and(|until| until <= now)
    }

    /// Until when it gets no new frontends, because it was lost and came back again and again.
    #[must_use]
    pub fn held_back_until(&self) -> Option<Time> {
        let doublings = self.relapses.checked_sub(2)?;
        let hold = FIRST_HOLD.0.saturating_mul(1 << doublings.min(16));
        Some(self.returned?.plus(Millis(hold).min(LONGEST_HOLD)))
    }
}
