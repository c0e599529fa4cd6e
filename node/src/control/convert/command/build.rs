//! Commands about builds and copies of artefacts.

use fleet_model::{
    Command,
    ids::{AppName, BuildId, Digest, NodeId},
};
use fleet_proto::stored::{self, command_envelope::Command as Wire};

use super::super::{DecodeError, Stored};

pub(super) fn copied_to_stored(digest: &Digest, node: NodeId) -> Wire {
    Wire::RecordCopy(stored::RecordCopy {
        digest: digest.to_stored(),
        node: node.0,
    })
}

pub(super) fn copied_from_stored(wire: stored::RecordCopy) -> Result<Command, DecodeError> {
    let stored::RecordCopy { digest, node } = wire;
    Ok(Command::RecordCopy {
        digest: Digest::from_stored(digest)?,
        node: NodeId(node),
    })
}

pub(super) fn destroyed_to_stored(app: &AppName, reference: &str) -> Wire {
    Wire::DestroyBuild(stored::DestroyBuild {
        app: app.to_stored(),
        reference: reference.to_owned(),
    })
}

pub(super) fn destroyed_from_stored(wire: stored::DestroyBuild) -> Result<Command, DecodeError> {
    let stored::DestroyBuild { app, reference } = wire;
    Ok(Command::DestroyBuild {
        app: AppName::from_stored(app)?,
        reference,
    })
}

pub(super) fn assigned_to_stored(build: &BuildId, assumed: u64, node: NodeId) -> Wire {
    Wire::AssignBuild(stored::AssignBuild {
        build: build.to_stored(),
        assumed,
        node: node.0,
    })
}

pub(super) fn assigned_from_stored(wire: stored::AssignBuild) -> Result<Command, DecodeError> {
    let stored::AssignBuild {
        build,
        assumed,
        node,
    } = wire;
    Ok(Command::AssignBuild {
        build: BuildId::from_stored(build)?,
        assumed,
        node: NodeId(node),
    })
}

pub(super) fn failed_to_stored(build: &BuildId, assumed: u64, reason: &str) -> Wire {
    Wire::FailBuild(stored::FailBuild {
        build: build.to_stored(),
        assumed,
        reason: reason.to_owned(),
    })
}

pub(super) fn failed_from_stored(wire: stored::FailBuild) -> Result<Command, DecodeError> {
    let stored::FailBuild {
        build,
        assumed,
        reason,
    } = wire;
    Ok(Command::FailBuild {
        build: BuildId::from_stored(build)?,
        assumed,
        reason,
    })
}
