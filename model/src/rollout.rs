//! Rollouts: one activation (later also a promotion) under way.

use crate::{
    Time,
    ids::{EnvironmentKey, ReleaseId, RolloutId},
    time::Millis,
};

/// An activation or deactivation, under way or ended. An environment has one at most; the last one
/// is kept so that whoever waits for it learns how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub id: RolloutId,
    pub environment: EnvironmentKey,
    /// `None`: a deactivation.
    pub incoming: Option<ReleaseId>,
    pub outgoing: Option<ReleaseId>,
    pub phase: Phase,
    pub started: Time,
    /// When `phase` began.
    pub since: Time,
    /// Still Warming at this moment: it fails and the outgoing release stays active.
    pub deadline: Time,
    /// Log index of the last change.
    pub revision: u64,
}

/// docs/rollout.md. Everything up to the switch can fail without harm; nothing after it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The incoming release is brought to the count of the outgoing one.
    Warming,
    /// The pointer moved with route table `generation`; not every live ingress has confirmed it.
    Switching {
        generation: u64,
    },
    /// Every live ingress confirmed; requests sent to the outgoing release before are ending.
    Draining {
        generation: u64,
    },
    Complete {
        generation: u64,
    },
    Failed {
        reason: String,
    },
}

impl Phase {
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Warming => "Warming",
            Self::Switching { .. } => "Switching",
            Self::Draining { .. } => "Draining",
            Self::Complete { .. } => "Complete",
            Self::Failed { .. } => "Failed",
        }
    }

    /// The transition table.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Warming, Self::Switching { .. } | Self::Failed { .. }) => true,
            (Self::Switching { generation: a }, Self::Draining { generation: b })
            // Nothing was in flight when the last confirmation came.
            | (Self::Switching { generation: a }, Self::Complete { generation: b })
            | (Self::Draining { generation: a }, Self::Complete { generation: b }) => a == b,
            _ => false,
        }
    }

    #[must_use]
    pub fn over(&self) -> bool {
        matches!(self, Self::Complete { .. } | Self::Failed { .. })
    }

    /// The generation of the switch, once it happened.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        match self {
            Self::Switching { generation }
            | Self::Draining { generation }
            | Self::Complete { generation } => Some(*generation),
            Self::Warming | Self::Failed { .. } => None,
        }
    }
}

/// How long an activation may warm (the loading deadline, docs/rollout.md).
pub const DEADLINE: Millis = Millis::seconds(600);

/// How long a silent ingress may hold back the stop of frontends it might still send to: the
/// rollback window, after which its machine is taken for gone.
pub const SILENT_INGRESS_HOLD: Millis = Millis::seconds(15 * 60);
