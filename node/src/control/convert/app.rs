//! The cluster itself, and apps.

use fleet_model::{
    Time,
    app::App,
    ids::{AppName, EnvironmentName},
    state::{Cluster, Origin},
};
use fleet_proto::stored;

use super::{DecodeError, Stored, optional};

impl Stored for Cluster {
    type Wire = stored::Cluster;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            name,
            domain,
            created,
            generation,
            origin,
        } = self;
        stored::Cluster {
            id: id.clone(),
            name: name.clone(),
            domain: domain.clone(),
            created_ms: created.to_stored(),
            generation: *generation,
            origin: origin.as_ref().map(Origin::to_stored),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Cluster {
            id,
            name,
            domain,
            created_ms,
            generation,
            origin,
        } = wire;
        Ok(Self {
            id,
            name,
            domain,
            created: Time(created_ms),
            generation,
            origin: optional(origin)?,
        })
    }
}

impl Stored for Origin {
    type Wire = stored::Origin;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            cluster,
            index,
            taken,
        } = self;
        stored::Origin {
            cluster: cluster.clone(),
            index: *index,
            taken_ms: taken.to_stored(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Origin {
            cluster,
            index,
            taken_ms,
        } = wire;
        Ok(Self {
            cluster,
            index,
            taken: Time(taken_ms),
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
