//! Rollouts: one activation, deactivation or promotion under way.

use imbl::OrdMap;

use crate::{
    Time,
    environment::Previous,
    ids::{EnvironmentKey, LoadedKey, ReleaseId, RolloutId, ServiceName},
    time::Millis,
};

/// A change of the active release, under way or ended. An environment has one at most; the last one
/// is kept so that whoever waits for it learns how it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    pub id: RolloutId,
    pub environment: EnvironmentKey,
    /// `None`: a deactivation.
    pub incoming: Option<ReleaseId>,
    pub outgoing: Option<ReleaseId>,
    pub strategy: Strategy,
    pub phase: Phase,
    pub started: Time,
    /// When `phase` began.
    pub since: Time,
    /// Still Warming, Rolling or Reverting at this moment: it fails.
    pub deadline: Time,
    /// Log index of the last change.
    pub revision: u64,
}

/// How traffic gets from the outgoing release to the incoming one (docs/rollout.md).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// One committed pointer moves between two releases that both stand (`activate`).
    Switch {
        /// Frontends the incoming release had before it was warmed up, of each service.
        before: OrdMap<ServiceName, u32>,
    },
    /// Frontends are replaced a few at a time, and both releases serve meanwhile (`promote`).
    Roll(Roll),
}

/// What a promotion aims at, and what it returns to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roll {
    /// Frontends of each service of the incoming release when it is through.
    pub targets: OrdMap<ServiceName, u32>,
    /// Frontends the outgoing release had when it began.
    pub outgoing: OrdMap<ServiceName, u32>,
    /// How many of them autoscaling added since.
    pub grown: Grown,
    /// Frontends the incoming release had: it was loaded before, and is RUNNING again after a
    /// reversal. `None`: the promotion loaded it.
    pub incoming: Option<OrdMap<ServiceName, u32>>,
    /// What was active before the outgoing release.
    pub previous: Previous,
    /// Failures of frontends of the outgoing release in the time a guard lasts before it began: so
    /// much does not speak against the incoming one.
    pub tolerated: u32,
}

/// What autoscaling added to the counts of a promotion under way. They are wanted like the others,
/// but the promotion neither waits for them nor keeps old frontends for them: a cluster that has no
/// room for more must not hold it up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grown {
    /// Of [`Roll::targets`].
    pub targets: OrdMap<ServiceName, u32>,
    /// Of [`Roll::outgoing`].
    pub outgoing: OrdMap<ServiceName, u32>,
}

/// docs/rollout.md has a picture of each strategy.
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
    /// Frontends are being replaced, both releases serve.
    Rolling,
    /// The incoming release has taken over, and is watched.
    Guarding {
        generation: u64,
        until: Time,
    },
    /// The outgoing release is being brought back.
    Reverting {
        reason: String,
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
            Self::Rolling => "Rolling",
            Self::Guarding { .. } => "Guarding",
            Self::Reverting { .. } => "Reverting",
            Self::Complete { .. } => "Complete",
            Self::Failed { .. } => "Failed",
        }
    }

    /// The transition table. An activation can fail without harm up to the switch and not after it;
    /// a promotion can be reversed until it is complete.
    #[must_use]
    pub fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Warming, Self::Switching { .. } | Self::Failed { .. }) => true,
            (Self::Switching { generation: a }, Self::Draining { generation: b })
            // Nothing was in flight when the last confirmation came.
            | (Self::Switching { generation: a }, Self::Complete { generation: b })
            | (Self::Draining { generation: a }, Self::Complete { generation: b })
            | (Self::Guarding { generation: a, .. }, Self::Complete { generation: b }) => a == b,
            (Self::Rolling, Self::Guarding { .. } | Self::Reverting { .. })
            | (Self::Guarding { .. }, Self::Reverting { .. })
            | (Self::Reverting { .. }, Self::Failed { .. }) => true,
            _ => false,
        }
    }

    #[must_use]
    pub fn over(&self) -> bool {
        matches!(self, Self::Complete { .. } | Self::Failed { .. })
    }

    /// Whether both releases of a promotion serve the environment's own hosts.
    #[must_use]
    pub fn shared(&self) -> bool {
        matches!(
            self,
            Self::Rolling | Self::Guarding { .. } | Self::Reverting { .. }
        )
    }

    /// The generation of the switch, once it happened.
    #[must_use]
    pub fn generation(&self) -> Option<u64> {
        match self {
            Self::Switching { generation }
            | Self::Draining { generation }
            | Self::Guarding { generation, .. }
            | Self::Complete { generation } => Some(*generation),
            Self::Warming | Self::Rolling | Self::Reverting { .. } | Self::Failed { .. } => None,
        }
    }
}

impl Rollout {
    #[must_use]
    pub fn incoming_key(&self) -> Option<LoadedKey> {
        self.incoming.as_ref().map(|release| self.key(release))
    }

    #[must_use]
    pub fn outgoing_key(&self) -> Option<LoadedKey> {
        self.outgoing.as_ref().map(|release| self.key(release))
    }

    #[must_use]
    pub fn roll(&self) -> Option<&Roll> {
        match &self.strategy {
            Strategy::Roll(roll) => Some(roll),
            Strategy::Switch { .. } => None,
        }
    }

    /// Whether a release takes part in a promotion that is under way.
    #[must_use]
    pub fn concerns(&self, release: &ReleaseId) -> bool {
        self.phase.shared()
            && (self.incoming.as_ref() == Some(release) || self.outgoing.as_ref() == Some(release))
    }

    /// Whether this is the promotion that somebody means who asks for `release` again, having lost
    /// sight of it: under way, going back, or over with the release still `active`.
    #[must_use]
    pub fn answers(&self, release: &ReleaseId, active: Option<&ReleaseId>) -> bool {
        let stands = match self.phase {
            Phase::Complete { .. } => active == Some(release),
            Phase::Failed { .. } => false,
            _ => true,
        };
        self.roll().is_some() && self.incoming.as_ref() == Some(release) && stands
    }

    /// The release whose frontends a promotion is taking away just now.
    #[must_use]
    pub fn giving_way(&self) -> Option<&ReleaseId> {
        match self.phase {
            Phase::Rolling | Phase::Guarding { .. } => self.outgoing.as_ref(),
            Phase::Reverting { .. } => self.incoming.as_ref(),
            _ => None,
        }
    }

    fn key(&self, release: &ReleaseId) -> LoadedKey {
        LoadedKey {
            environment: self.environment.clone(),
            release: release.clone(),
        }
    }
}

/// How long an activation may warm, a promotion roll, and its reversal last.
pub const DEADLINE: Millis = Millis::seconds(600);

/// How long a silent ingress may hold back the stop of frontends it might still send to: the
/// rollback window, after which its machine is taken for gone.
pub const SILENT_INGRESS_HOLD: Millis = Millis::seconds(15 * 60);
