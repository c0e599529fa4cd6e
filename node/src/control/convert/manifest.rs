//! Manifests and their services.

mod checks;
mod scale;
mod service;

use fleet_model::manifest::{Declared, Manifest, Variable};
use fleet_proto::stored;

use self::service::{service_from_stored, service_to_stored};
use super::{DecodeError, Stored, all, all_stored};

impl Stored for Manifest {
    type Wire = stored::Manifest;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            text,
            environment,
            services,
            timers,
            resources,
            balancers,
        } = self;
        stored::Manifest {
            text: text.clone(),
            services: services
                .iter()
                .map(|(name, service)| service_to_stored(name, service))
                .collect(),
            environment: declared_to_stored(environment),
            timers: timers.iter().cloned().collect(),
            resources: resources.iter().cloned().collect(),
            balancers: balancers.iter().cloned().collect(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Manifest {
            text,
            services,
            environment,
            timers,
            resources,
            balancers,
        } = wire;
        Ok(Self {
            text,
            environment: declared_from_stored(environment)?,
            services: services
                .into_iter()
                .map(service_from_stored)
                .collect::<Result<_, _>>()?,
            timers: timers.into_iter().collect(),
            resources: resources.into_iter().collect(),
            balancers: balancers.into_iter().collect(),
        })
    }
}

/// Nothing declared is nothing stored, as it was before there were declarations.
fn declared_to_stored(declared: &Declared) -> Option<stored::Declared> {
    let Declared {
        everything,
        variables,
    } = declared;
    let stored = stored::Declared {
        everything: *everything,
        variables: all_stored(variables),
    };
    (!declared.is_empty()).then_some(stored)
}

fn declared_from_stored(wire: Option<stored::Declared>) -> Result<Declared, DecodeError> {
    let stored::Declared {
        everything,
        variables,
    } = wire.unwrap_or_default();
    Ok(Declared {
        everything,
        variables: all(variables)?,
    })
}

impl Stored for Variable {
    type Wire = stored::Variable;

    fn to_stored(&self) -> Self::Wire {
        let Self { name, default } = self;
        stored::Variable {
            name: name.clone(),
            default: default.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Variable { name, default } = wire;
        Ok(Self { name, default })
    }
}
