//! What workers report.

use fleet_model::{
    command::Report,
    frontend::{Exit, Phase},
    ids::FrontendId,
};
use fleet_proto::stored;

use crate::control::convert::{DecodeError, Stored, optional};

impl Stored for Report {
    type Wire = stored::Report;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            frontend,
            phase,
            address,
            pid,
            reason,
            exit,
        } = self;
        stored::Report {
            frontend: frontend.0,
            phase: phase.to_stored(),
            address: address.clone(),
            pid: *pid,
            reason: reason.clone(),
            exit: exit.as_ref().map(Exit::to_stored),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Report {
            frontend,
            phase,
            address,
            pid,
            reason,
            exit,
        } = wire;
        Ok(Self {
            frontend: FrontendId(frontend),
            phase: Phase::from_stored(phase)?,
            address,
            pid,
            reason,
            exit: optional(exit)?,
        })
    }
}
