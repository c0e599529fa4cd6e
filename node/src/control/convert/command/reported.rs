//! What workers report.

use fleet_model::{
    command::{BuildReport, Built, Report},
    frontend::{Exit, Phase},
    ids::{BuildId, Digest, FrontendId, NodeId},
};
use fleet_proto::stored::{self, build_report};

use crate::control::convert::{DecodeError, Stored, optional, present};

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

impl Stored for BuildReport {
    type Wire = stored::BuildReport;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            build,
            node,
            attempt,
            holder,
            log,
            end,
        } = self;
        let kept = |digest: &Digest, size: u64| stored::Kept {
            digest: digest.to_stored(),
            size,
        };
        let end = match end {
            Built::Artefact { digest, size } => build_report::End::Artefact(kept(digest, *size)),
            Built::Failed { reason, output } => build_report::End::Failed(stored::BuildFailure {
                reason: reason.clone(),
                output: output.clone(),
            }),
        };
        stored::BuildReport {
            build: build.to_stored(),
            node: node.0,
            attempt: *attempt,
            holder: holder.0,
            log: log.as_ref().map(|(digest, size)| kept(digest, *size)),
            end: Some(end),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::BuildReport {
            build,
            node,
            attempt,
            holder,
            log,
            end,
        } = wire;
        let end = match present(end, "report_build.end")? {
            build_report::End::Artefact(wire) => {
                let (digest, size) = kept(wire)?;
                Built::Artefact { digest, size }
            }
            build_report::End::Failed(stored::BuildFailure { reason, output }) => {
                Built::Failed { reason, output }
            }
        };
        Ok(Self {
            build: BuildId::from_stored(build)?,
            node: NodeId(node),
            attempt,
            holder: NodeId(holder),
            log: log.map(kept).transpose()?,
            end,
        })
    }
}

fn kept(wire: stored::Kept) -> Result<(Digest, u64), DecodeError> {
    Ok((Digest::from_stored(wire.digest)?, wire.size))
}
