//! Manifests and their services.

use fleet_model::{
    ids::ServiceName,
    manifest::{Health, Manifest, Port, Run, Scale, Scheme, Service},
    time::Millis,
};
use fleet_proto::stored::{self, service::Command};

use super::{DecodeError, Stored, optional, plain_enum, present, required};

plain_enum!(Scheme, Scheme, "port.scheme", [Http, Https, Grpc]);

impl Stored for Manifest {
    type Wire = stored::Manifest;

    fn to_stored(&self) -> Self::Wire {
        let Self { text, services } = self;
        stored::Manifest {
            text: text.clone(),
            services: services
                .iter()
                .map(|(name, service)| service_to_stored(name, service))
                .collect(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Manifest { text, services } = wire;
        Ok(Self {
            text,
            services: services
                .into_iter()
                .map(service_from_stored)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn service_to_stored(name: &ServiceName, service: &Service) -> stored::Service {
    let Service {
        command,
        port,
        internal,
        health,
        scale,
        termination_grace,
    } = service;
    let command = match command {
        Run::Shell(line) => Command::Shell(line.clone()),
        Run::Argv(words) => Command::Argv(stored::Argv {
            words: words.clone(),
        }),
    };
    stored::Service {
        name: name.to_stored(),
        command: Some(command),
        port: port.as_ref().map(Port::to_stored),
        internal: *internal,
        health: Some(health.to_stored()),
        scale: scale.as_ref().map(Scale::to_stored),
        termination_grace_ms: termination_grace.0,
    }
}

fn service_from_stored(wire: stored::Service) -> Result<(ServiceName, Service), DecodeError> {
    let stored::Service {
        name,
        command,
        port,
        internal,
        health,
        scale,
        termination_grace_ms,
    } = wire;
    let service = Service {
        command: match present(command, "service.command")? {
            Command::Shell(line) => Run::Shell(line),
            Command::Argv(stored::Argv { words }) => Run::Argv(words),
        },
        port: optional(port)?,
        internal,
        health: required(health, "service.health")?,
        scale: optional(scale)?,
        termination_grace: Millis(termination_grace_ms),
    };
    Ok((ServiceName::from_stored(name)?, service))
}

impl Stored for Port {
    type Wire = stored::Port;

    fn to_stored(&self) -> Self::Wire {
        let Self { scheme, number } = self;
        stored::Port {
            scheme: scheme.to_stored(),
            number: u32::from(*number),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Port { scheme, number } = wire;
        Ok(Self {
            scheme: Scheme::from_stored(scheme)?,
            number: u16::try_from(number).map_err(|_| DecodeError::Invalid {
                field: "port.number",
                value: number.to_string(),
            })?,
        })
    }
}

impl Stored for Health {
    type Wire = stored::Health;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            path,
            interval,
            timeout,
            start_deadline,
        } = self;
        stored::Health {
            path: path.clone(),
            interval_ms: interval.0,
            timeout_ms: timeout.0,
            start_deadline_ms: start_deadline.0,
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Health {
            path,
            interval_ms,
            timeout_ms,
            start_deadline_ms,
        } = wire;
        Ok(Self {
            path,
            interval: Millis(interval_ms),
            timeout: Millis(timeout_ms),
            start_deadline: Millis(start_deadline_ms),
        })
    }
}

impl Stored for Scale {
    type Wire = stored::Scale;

    fn to_stored(&self) -> Self::Wire {
        let Self { count, min, max } = *self;
        stored::Scale { count, min, max }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Scale { count, min, max } = wire;
        Ok(Self { count, min, max })
    }
}
