//! Rollouts.

use fleet_model::{
    Time,
    ids::{ReleaseId, RolloutId},
    rollout::{Grown, Phase, Roll, Rollout, Strategy},
};
use fleet_proto::stored::{self, rollout, rollout_phase};

use super::{
    DecodeError, Stored,
    loaded::{counts_from_stored, counts_to_stored},
    optional, present, required,
};

impl Stored for Rollout {
    type Wire = stored::Rollout;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            environment,
            incoming,
            outgoing,
            strategy,
            phase,
            started,
            since,
            deadline,
            revision,
        } = self;
        stored::Rollout {
            id: id.to_stored(),
            environment: Some(environment.to_stored()),
            incoming: incoming.as_ref().map(ReleaseId::to_stored),
            outgoing: outgoing.as_ref().map(ReleaseId::to_stored),
            phase: Some(phase.to_stored()),
            started_ms: started.to_stored(),
            since_ms: since.to_stored(),
            deadline_ms: deadline.to_stored(),
            revision: *revision,
            strategy: Some(strategy.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Rollout {
            id,
            environment,
            incoming,
            outgoing,
            phase,
            started_ms,
            since_ms,
            deadline_ms,
            revision,
            strategy,
        } = wire;
        Ok(Self {
            id: RolloutId(id),
            environment: required(environment, "rollout.environment")?,
            incoming: optional(incoming)?,
            outgoing: optional(outgoing)?,
            // Absent in what was written when there was only one.
            strategy: match strategy {
                Some(strategy) => Strategy::from_stored(strategy)?,
                None => Strategy::Switch {
                    before: imbl::OrdMap::new(),
                },
            },
            phase: required(phase, "rollout.phase")?,
            started: Time(started_ms),
            since: Time(since_ms),
            deadline: Time(deadline_ms),
            revision,
        })
    }
}

impl Stored for Strategy {
    type Wire = rollout::Strategy;

    fn to_stored(&self) -> Self::Wire {
        match self {
            Self::Switch { before } => rollout::Strategy::Switch(stored::Switch {
                before: counts_to_stored(before),
            }),
            Self::Roll(roll) => rollout::Strategy::Roll(roll.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match wire {
            rollout::Strategy::Switch(stored::Switch { before }) => Self::Switch {
                before: counts_from_stored(before)?,
            },
            rollout::Strategy::Roll(roll) => Self::Roll(Roll::from_stored(roll)?),
        })
    }
}

impl Stored for Roll {
    type Wire = stored::Roll;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            targets,
            outgoing,
            incoming,
            previous,
            tolerated,
            grown,
        } = self;
        stored::Roll {
            targets: counts_to_stored(targets),
            outgoing: counts_to_stored(outgoing),
            incoming: incoming.as_ref().map(|counts| stored::Counts {
                counts: counts_to_stored(counts),
            }),
            previous: Some(previous.to_stored()),
            tolerated: *tolerated,
            grown_targets: counts_to_stored(&grown.targets),
            grown_outgoing: counts_to_stored(&grown.outgoing),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Roll {
            targets,
            outgoing,
            incoming,
            previous,
            tolerated,
            grown_targets,
            grown_outgoing,
        } = wire;
        Ok(Self {
            targets: counts_from_stored(targets)?,
            outgoing: counts_from_stored(outgoing)?,
            incoming: incoming
                .map(|counts| counts_from_stored(counts.counts))
                .transpose()?,
            previous: required(previous, "roll.previous")?,
            tolerated,
            grown: Grown {
                targets: counts_from_stored(grown_targets)?,
                outgoing: counts_from_stored(grown_outgoing)?,
            },
        })
    }
}

impl Stored for Phase {
    type Wire = stored::RolloutPhase;

    fn to_stored(&self) -> Self::Wire {
        let phase = match self {
            Self::Warming => rollout_phase::Phase::Warming(stored::Unit {}),
            Self::Switching { generation } => rollout_phase::Phase::Switching(*generation),
            Self::Draining { generation } => rollout_phase::Phase::Draining(*generation),
            Self::Complete { generation } => rollout_phase::Phase::Complete(*generation),
            Self::Rolling => rollout_phase::Phase::Rolling(stored::Unit {}),
            Self::Guarding { generation, until } => {
                rollout_phase::Phase::Guarding(stored::Guarding {
                    generation: *generation,
                    until_ms: until.0,
                })
            }
            Self::Reverting { reason } => rollout_phase::Phase::Reverting(reason.clone()),
            Self::Failed { reason } => rollout_phase::Phase::Failed(reason.clone()),
        };
        stored::RolloutPhase { phase: Some(phase) }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.phase, "rollout.phase")? {
            rollout_phase::Phase::Warming(stored::Unit {}) => Self::Warming,
            rollout_phase::Phase::Switching(generation) => Self::Switching { generation },
            rollout_phase::Phase::Draining(generation) => Self::Draining { generation },
            rollout_phase::Phase::Complete(generation) => Self::Complete { generation },
            rollout_phase::Phase::Rolling(stored::Unit {}) => Self::Rolling,
            rollout_phase::Phase::Guarding(stored::Guarding {
                generation,
                until_ms,
            }) => Self::Guarding {
                generation,
                until: Time(until_ms),
            },
            rollout_phase::Phase::Reverting(reason) => Self::Reverting { reason },
            rollout_phase::Phase::Failed(reason) => Self::Failed { reason },
        })
    }
}
