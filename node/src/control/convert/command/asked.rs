//! What people and nodes ask for.

use std::sync::Arc;

use fleet_model::{
    command::{NewBuild, Registration},
    ids::{AppName, Digest, NodeId},
};
use fleet_proto::stored;

use crate::control::convert::{DecodeError, Stored, all, all_stored, required};

impl Stored for Registration {
    type Wire = stored::Registration;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            address,
            roles,
            labels,
            architecture,
            id,
        } = self;
        stored::Registration {
            name: name.clone(),
            address: address.clone(),
            roles: all_stored(roles),
            labels: labels.clone(),
            architecture: architecture.clone(),
            id: id.map(|id| id.0),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Registration {
            name,
            address,
            roles,
            labels,
            architecture,
            id,
        } = wire;
        Ok(Self {
            name,
            address,
            roles: all(roles)?,
            labels,
            architecture,
            id: id.map(NodeId),
        })
    }
}

impl Stored for NewBuild {
    type Wire = stored::NewBuild;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            app,
            name,
            message,
            digest,
            size,
            manifest,
            holder,
        } = self;
        stored::NewBuild {
            app: app.to_stored(),
            name: name.clone(),
            message: message.clone(),
            digest: digest.to_stored(),
            size: *size,
            manifest: Some(manifest.to_stored()),
            holder: holder.0,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::NewBuild {
            app,
            name,
            message,
            digest,
            size,
            manifest,
            holder,
        } = wire;
        Ok(Self {
            app: AppName::from_stored(app)?,
            name,
            message,
            digest: Digest::from_stored(digest)?,
            size,
            manifest: Arc::new(required(manifest, "create_build.manifest")?),
            holder: NodeId(holder),
        })
    }
}
