//! Builds.

use std::sync::Arc;

use fleet_model::{
    Time,
    build::{Build, BuildLog, BuildStatus, BuildStep},
    ids::{AppName, BuildId, Digest, NodeId},
};
use fleet_proto::stored::{self, build_status::Status};

use super::{DecodeError, Stored, all, all_stored, optional, present, required};

impl Stored for Build {
    type Wire = stored::Build;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            app,
            name,
            message,
            digest,
            size,
            manifest,
            status,
            step,
            log,
            holders,
            created,
            updated,
            revision,
        } = self;
        stored::Build {
            id: id.to_stored(),
            app: app.to_stored(),
            name: name.clone(),
            message: message.clone(),
            digest: digest.to_stored(),
            size: *size,
            manifest: Some(manifest.to_stored()),
            status: Some(status.to_stored()),
            holders: all_stored(holders),
            created_ms: created.to_stored(),
            updated_ms: updated.to_stored(),
            revision: *revision,
            step: step.as_ref().map(BuildStep::to_stored),
            log: log.as_ref().map(BuildLog::to_stored),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Build {
            id,
            app,
            name,
            message,
            digest,
            size,
            manifest,
            status,
            holders,
            created_ms,
            updated_ms,
            revision,
            step,
            log,
        } = wire;
        Ok(Self {
            id: BuildId::from_stored(id)?,
            app: AppName::from_stored(app)?,
            name,
            message,
            digest: Digest::from_stored(digest)?,
            size,
            manifest: Arc::new(required(manifest, "build.manifest")?),
            status: required(status, "build.status")?,
            holders: all(holders)?,
            created: Time(created_ms),
            updated: Time(updated_ms),
            revision,
            step: optional(step)?,
            log: optional(log)?,
        })
    }
}

impl Stored for BuildStatus {
    type Wire = stored::BuildStatus;

    fn to_stored(&self) -> Self::Wire {
        let status = match self {
            Self::Running => Status::Running(stored::Unit {}),
            Self::Complete => Status::Complete(stored::Unit {}),
            Self::Failed { reason } => Status::Failed(reason.clone()),
        };
        stored::BuildStatus {
            status: Some(status),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.status, "build.status")? {
            Status::Running(stored::Unit {}) => Self::Running,
            Status::Complete(stored::Unit {}) => Self::Complete,
            Status::Failed(reason) => Self::Failed { reason },
        })
    }
}

impl Stored for BuildStep {
    type Wire = stored::BuildStep;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            node,
            attempt,
            since,
        } = self;
        stored::BuildStep {
            node: node.map(|node| node.0),
            attempt: *attempt,
            since_ms: since.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::BuildStep {
            node,
            attempt,
            since_ms,
        } = wire;
        Ok(Self {
            node: node.map(NodeId),
            attempt,
            since: Time(since_ms),
        })
    }
}

impl Stored for BuildLog {
    type Wire = stored::BuildLog;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            digest,
            size,
            holders,
        } = self;
        stored::BuildLog {
            digest: digest.to_stored(),
            size: *size,
            holders: all_stored(holders),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::BuildLog {
            digest,
            size,
            holders,
        } = wire;
        Ok(Self {
            digest: Digest::from_stored(digest)?,
            size,
            holders: all(holders)?,
        })
    }
}
