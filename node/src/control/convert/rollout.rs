//! Rollouts.

use fleet_model::{
    Time,
    ids::{ReleaseId, RolloutId},
    rollout::{Phase, Rollout},
};
use fleet_proto::stored::{self, rollout_phase};

use super::{DecodeError, Stored, optional, present, required};

impl Stored for Rollout {
    type Wire = stored::Rollout;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            environment,
            incoming,
            outgoing,
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
        } = wire;
        Ok(Self {
            id: RolloutId(id),
            environment: required(environment, "rollout.environment")?,
            incoming: optional(incoming)?,
            outgoing: optional(outgoing)?,
            phase: required(phase, "rollout.phase")?,
            started: Time(started_ms),
            since: Time(since_ms),
            deadline: Time(deadline_ms),
            revision,
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
            rollout_phase::Phase::Failed(reason) => Self::Failed { reason },
        })
    }
}
