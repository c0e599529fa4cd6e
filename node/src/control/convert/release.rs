//! Releases and variables.

use std::sync::Arc;

use fleet_model::{
    Time,
    ids::ReleaseId,
    release::{Release, Variables},
};
use fleet_proto::stored;

use super::{DecodeError, Stored, optional, required};

impl Stored for Release {
    type Wire = stored::Release;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            id,
            environment,
            build,
            variables,
            description,
            created,
            served,
        } = self;
        stored::Release {
            id: id.to_stored(),
            environment: Some(environment.to_stored()),
            build: build.as_ref().map(Stored::to_stored),
            variables: variables_to_stored(variables),
            description: description.clone(),
            created_ms: created.to_stored(),
            served_ms: served.map(|at| at.0),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Release {
            id,
            environment,
            build,
            variables,
            description,
            created_ms,
            served_ms,
        } = wire;
        Ok(Self {
            id: ReleaseId::from_stored(id)?,
            environment: required(environment, "release.environment")?,
            build: optional(build)?,
            variables: variables_from_stored(variables),
            description,
            created: Time(created_ms),
            served: served_ms.map(Time),
        })
    }
}

type Map = std::collections::BTreeMap<String, String>;

pub(super) fn variables_to_stored(variables: &Variables) -> Map {
    variables
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()))
        .collect()
}

pub(super) fn variables_from_stored(wire: Map) -> Variables {
    wire.into_iter()
        .map(|(name, value)| (Arc::<str>::from(name), Arc::<str>::from(value)))
        .collect()
}
