//! The cluster itself, and apps.

use fleet_model::{
    Time,
    app::App,
    ids::{AppName, EnvironmentName},
    state::Cluster,
};
use fleet_proto::stored;

use super::{DecodeError, Stored};

impl Stored for Cluster {
    type Wire = stored::Cluster;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            name,
            domain,
            created,
        } = self;
        stored::Cluster {
            id: id.clone(),
            name: name.clone(),
            domain: domain.clone(),
            created_ms: created.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Cluster {
            id,
            name,
            domain,
            created_ms,
        } = wire;
        Ok(Self {
            id,
            name,
            domain,
            created: Time(created_ms),
        })
    }
}

impl Stored for App {
    type Wire = stored::App;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            name,
            created,
            default_environment,
            locked,
            revision,
        } = self;
        stored::App {
            name: name.to_stored(),
            created_ms: created.to_stored(),
            default_environment: default_environment.to_stored(),
            locked: *locked,
            revision: *revision,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::App {
            name,
            created_ms,
            default_environment,
            locked,
            revision,
        } = wire;
        Ok(Self {
            name: AppName::from_stored(name)?,
            created: Time(created_ms),
            default_environment: EnvironmentName::from_stored(default_environment)?,
            locked,
            revision,
        })
    }
}
