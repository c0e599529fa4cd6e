//! Services: how they are made, started and ended.

use fleet_model::{
    ids::ServiceName,
    manifest::{Build, Deployment, Lifecycle, Port, Resources, Run, Scheme, Service, Targets},
    time::Millis,
};
use fleet_proto::stored::{self, run, service::Command};

use super::{declared_from_stored, declared_to_stored};
use crate::control::convert::{
    DecodeError, Stored, all, all_stored, optional, plain_enum, present, required,
};

plain_enum!(
    Scheme,
    Scheme,
    "port.scheme",
    [Http, Https, Grpc, SecureGrpc]
);

pub(super) fn service_to_stored(name: &ServiceName, service: &Service) -> stored::Service {
    let Service {
        command,
        image,
        build,
        port,
        internal,
        health,
        liveness,
        startup,
        scale,
        requests,
        limits,
        targets,
        deployment,
        singleton,
        agent,
        sticky,
        init,
        init_step,
        lifecycle,
        termination_grace,
        drain,
        timeout,
        domains,
        whitelist,
        environment,
        resources,
        node_selector,
        node_affinity,
        later,
    } = service;
    let Lifecycle {
        pre_stop,
        post_start,
    } = lifecycle;
    stored::Service {
        name: name.to_stored(),
        command: command.as_ref().map(command_to_stored),
        port: port.as_ref().map(Port::to_stored),
        internal: *internal,
        health: Some(health.to_stored()),
        scale: scale.as_ref().map(Stored::to_stored),
        termination_grace_ms: termination_grace.0,
        image: image.clone(),
        build: build.as_ref().map(Stored::to_stored),
        liveness: liveness.as_ref().map(Stored::to_stored),
        startup: startup.as_ref().map(Stored::to_stored),
        requests: said(requests),
        limits: said(limits),
        targets: said(targets),
        deployment: said(deployment),
        singleton: *singleton,
        agent: *agent,
        sticky: *sticky,
        without_init: !*init,
        init_step: init_step.as_ref().map(Stored::to_stored),
        pre_stop: pre_stop.as_ref().map(Stored::to_stored),
        post_start: post_start.as_ref().map(Stored::to_stored),
        drain_ms: drain.map(|drain| drain.0),
        timeout_ms: timeout.map(|timeout| timeout.0),
        domains: domains.clone(),
        whitelist: whitelist.clone(),
        environment: declared_to_stored(environment),
        resources: resources.clone(),
        node_selector: node_selector.clone(),
        node_affinity: all_stored(node_affinity),
        later: later.iter().cloned().collect(),
    }
}

/// What is as it would be if nothing were said is not stored, as it was before it could be said.
fn said<T: Stored + Default + PartialEq>(value: &T) -> Option<T::Wire> {
    (*value != T::default()).then(|| value.to_stored())
}

fn command_to_stored(run: &Run) -> Command {
    match run {
        Run::Shell(line) => Command::Shell(line.clone()),
        Run::Argv(words) => Command::Argv(stored::Argv {
            words: words.clone(),
        }),
    }
}

pub(super) fn service_from_stored(
    wire: stored::Service,
) -> Result<(ServiceName, Service), DecodeError> {
    let stored::Service {
        name,
        command,
        port,
        internal,
        health,
        scale,
        termination_grace_ms,
        image,
        build,
        liveness,
        startup,
        requests,
        limits,
        targets,
        deployment,
        singleton,
        agent,
        sticky,
        without_init,
        init_step,
        pre_stop,
        post_start,
        drain_ms,
        timeout_ms,
        domains,
        whitelist,
        environment,
        resources,
        node_selector,
        node_affinity,
        later,
    } = wire;
    let service = Service {
        command: command.map(command_from_stored),
        image,
        build: optional(build)?,
        port: optional(port)?,
        internal,
        health: required(health, "service.health")?,
        liveness: optional(liveness)?,
        startup: optional(startup)?,
        scale: optional(scale)?,
        requests: optional::<_, Resources>(requests)?.unwrap_or_default(),
        limits: optional::<_, Resources>(limits)?.unwrap_or_default(),
        targets: optional::<_, Targets>(targets)?.unwrap_or_default(),
        deployment: optional::<_, Deployment>(deployment)?.unwrap_or_default(),
        singleton,
        agent,
        sticky,
        init: !without_init,
        init_step: optional(init_step)?,
        lifecycle: Lifecycle {
            pre_stop: optional(pre_stop)?,
            post_start: optional(post_start)?,
        },
        termination_grace: Millis(termination_grace_ms),
        drain: drain_ms.map(Millis),
        timeout: timeout_ms.map(Millis),
        domains,
        whitelist,
        environment: declared_from_stored(environment)?,
        resources,
        node_selector,
        node_affinity: all(node_affinity)?,
        later: later.into_iter().collect(),
    };
    Ok((ServiceName::from_stored(name)?, service))
}

fn command_from_stored(wire: Command) -> Run {
    match wire {
        Command::Shell(line) => Run::Shell(line),
        Command::Argv(stored::Argv { words }) => Run::Argv(words),
    }
}

impl Stored for Run {
    type Wire = stored::Run;

    fn to_stored(&self) -> Self::Wire {
        let run = match self {
            Self::Shell(line) => run::Run::Shell(line.clone()),
            Self::Argv(words) => run::Run::Argv(stored::Argv {
                words: words.clone(),
            }),
        };
        stored::Run { run: Some(run) }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.run, "run")? {
            run::Run::Shell(line) => Self::Shell(line),
            run::Run::Argv(stored::Argv { words }) => Self::Argv(words),
        })
    }
}

impl Stored for Build {
    type Wire = stored::SourceBuild;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            path,
            manifest,
            args,
            command,
        } = self;
        stored::SourceBuild {
            path: path.clone(),
            manifest: manifest.clone(),
            args: args.clone(),
            command: command.as_ref().map(Run::to_stored),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::SourceBuild {
            path,
            manifest,
            args,
            command,
        } = wire;
        Ok(Self {
            path,
            manifest,
            args,
            command: optional(command)?,
        })
    }
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
