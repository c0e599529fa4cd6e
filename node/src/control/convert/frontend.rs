//! Frontends: what is wanted and what was seen of them.

use fleet_model::{
    Time,
    frontend::{Desired, Exit, Frontend, Observed, Phase},
    ids::{FrontendId, NodeId, ServiceName},
};
use fleet_proto::stored::{self, desired};

use super::{DecodeError, Stored, optional, plain_enum, present, required};

plain_enum!(
    Phase,
    FrontendPhase,
    "frontend.phase",
    [
        Assigned, Fetching, Starting, Healthy, Unhealthy, Stopping, Stopped, Failed, Lost,
    ]
);

impl Stored for Frontend {
    type Wire = stored::Frontend;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            loaded,
            service,
            slot,
            incarnation,
            node,
            placed,
            desired,
            desired_since,
            observed,
            revision,
        } = self;
        stored::Frontend {
            id: id.to_stored(),
            loaded: Some(loaded.to_stored()),
            service: service.to_stored(),
            slot: *slot,
            incarnation: *incarnation,
            node: node.to_stored(),
            placed_ms: placed.to_stored(),
            desired: Some(desired.to_stored()),
            desired_since_ms: desired_since.to_stored(),
            observed: Some(observed.to_stored()),
            revision: *revision,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Frontend {
            id,
            loaded,
            service,
            slot,
            incarnation,
            node,
            placed_ms,
            desired,
            desired_since_ms,
            observed,
            revision,
        } = wire;
        Ok(Self {
            id: FrontendId(id),
            loaded: required(loaded, "frontend.loaded")?,
            service: ServiceName::from_stored(service)?,
            slot,
            incarnation,
            node: NodeId(node),
            placed: Time(placed_ms),
            desired: required(desired, "frontend.desired")?,
            desired_since: Time(desired_since_ms),
            observed: required(observed, "frontend.observed")?,
            revision,
        })
    }
}

impl Stored for Desired {
    type Wire = stored::Desired;

    fn to_stored(&self) -> Self::Wire {
        let desired = match self {
            Self::Run => desired::Desired::Run(stored::Unit {}),
            Self::Withdrawn { generation } => desired::Desired::Withdrawn(*generation),
            Self::Stop => desired::Desired::Stop(stored::Unit {}),
        };
        stored::Desired {
            desired: Some(desired),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.desired, "frontend.desired")? {
            desired::Desired::Run(stored::Unit {}) => Self::Run,
            desired::Desired::Withdrawn(generation) => Self::Withdrawn { generation },
            desired::Desired::Stop(stored::Unit {}) => Self::Stop,
        })
    }
}

impl Stored for Observed {
    type Wire = stored::Observed;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            phase,
            since,
            address,
            pid,
            reason,
            exit,
            served,
        } = self;
        stored::Observed {
            phase: phase.to_stored(),
            since_ms: since.to_stored(),
            address: address.clone(),
            pid: *pid,
            reason: reason.clone(),
            exit: exit.as_ref().map(Exit::to_stored),
            served: *served,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Observed {
            phase,
            since_ms,
            address,
            pid,
            reason,
            exit,
            served,
        } = wire;
        Ok(Self {
            phase: Phase::from_stored(phase)?,
            since: Time(since_ms),
            address,
            pid,
            reason,
            exit: optional(exit)?,
            served,
        })
    }
}

impl Stored for Exit {
    type Wire = stored::Exit;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            code,
            signal,
            out_of_memory,
            output,
        } = self;
        stored::Exit {
            code: *code,
            signal: *signal,
            out_of_memory: *out_of_memory,
            output: output.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Exit {
            code,
            signal,
            out_of_memory,
            output,
        } = wire;
        Ok(Self {
            code,
            signal,
            out_of_memory,
            output,
        })
    }
}
