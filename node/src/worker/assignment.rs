//! What control wants of this worker, in the worker's own words. The wire types stop here.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use fleet_model::ids::{Digest, FrontendId};
use fleet_proto::internal as wire;

use crate::config::Endpoint;

mod wire_form;

#[cfg(test)]
pub(crate) mod testing;

/// What shall become of one frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Assignment {
    pub(crate) id: FrontendId,
    pub(crate) app: String,
    pub(crate) environment: String,
    pub(crate) release_id: String,
    pub(crate) release_name: String,
    pub(crate) build_id: String,
    pub(crate) build_description: String,
    pub(crate) service: String,
    pub(crate) slot: u32,
    pub(crate) incarnation: u32,
    pub(crate) desired: Desired,
    pub(crate) artefact: Artefact,
    pub(crate) command: Command,
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) wants_port: bool,
    pub(crate) health: HealthCheck,
    /// Between SIGTERM and SIGKILL.
    pub(crate) termination_grace: Duration,
    pub(crate) limits: Limits,
    /// Runs to its end before the command.
    pub(crate) init_step: Option<Command>,
    /// Runs beside the command as soon as that does.
    pub(crate) post_start: Option<Command>,
    /// Runs before SIGTERM, within the grace.
    pub(crate) pre_stop: Option<Command>,
    /// Ends a frontend that fails it.
    pub(crate) liveness: Option<RepeatedCheck>,
    /// Comes before every other check.
    pub(crate) startup: Option<RepeatedCheck>,
    /// Is told the address of its node.
    pub(crate) agent: bool,
    /// There may never be two of it: it runs only while control confirms this node.
    pub(crate) singleton: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Desired {
    Run,
    Stop,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Artefact {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    /// Control nodes that have it.
    pub(crate) holders: Vec<Endpoint>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Line(String),
    Words(Vec<String>),
}

impl fmt::Display for Command {
    /// For people: as written, words parted by blanks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line) => f.write_str(line),
            Self::Words(words) => f.write_str(&words.join(" ")),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HealthCheck {
    pub(crate) kind: CheckKind,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// From start to the first success.
    pub(crate) start_deadline: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CheckKind {
    /// No check: healthy once the process has settled.
    Settle,
    Tcp,
    /// Path with optional query.
    Http(String),
    /// The health service of gRPC.
    Grpc,
}

impl CheckKind {
    /// What is asked, as a sentence about it begins.
    pub(crate) fn asked(&self) -> String {
        match self {
            Self::Http(path) => format!("GET {path}"),
            Self::Grpc => "gRPC's health service".to_owned(),
            Self::Tcp => "a connection to its port".to_owned(),
            Self::Settle => "nothing".to_owned(),
        }
    }
}

/// A check whose answers count in rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RepeatedCheck {
    pub(crate) kind: CheckKind,
    /// From start to the first question.
    pub(crate) grace: Duration,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// In a row, at least 1.
    pub(crate) success: u32,
    pub(crate) failure: u32,
}

/// `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    pub(crate) memory_bytes: Option<u64>,
    pub(crate) cpu_millicores: Option<u32>,
    pub(crate) pids: Option<u32>,
}

/// Why an assignment cannot be carried out as it stands; a sentence for the release's report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    #[error("assignment has no {0}")]
    Missing(&'static str),
    #[error("artefact digest {0:?} is not a sha256")]
    Digest(String),
    #[error("health path {0:?} is not a path on the frontend itself")]
    HealthPath(String),
    #[error("variable name {0:?} cannot be passed to a process")]
    VariableName(String),
    #[error("value of variable {0} holds a NUL byte")]
    VariableValue(String),
}

impl TryFrom<wire::Assignment> for Assignment {
    type Error = Unusable;

    fn try_from(wire: wire::Assignment) -> Result<Self, Unusable> {
        let desired = match wire.desired() {
            wire::assignment::Desired::Run => Desired::Run,
            wire::assignment::Desired::Stop => Desired::Stop,
            wire::assignment::Desired::Unspecified => {
                return Err(Unusable::Missing("desired state"));
            }
        };
        let artefact = wire.artefact.ok_or(Unusable::Missing("artefact"))?;
        check_variables(&wire.variables)?;
        Ok(Self {
            id: FrontendId(wire.frontend_id),
            app: wire.app,
            environment: wire.environment,
            release_id: wire.release_id,
            release_name: wire.release_name,
            build_id: wire.build_id,
            build_description: wire.build_description,
            service: wire.service,
            slot: wire.slot,
            incarnation: wire.incarnation,
            desired,
            artefact: artefact.try_into()?,
            command: command_of(wire.command).ok_or(Unusable::Missing("command"))?,
            variables: wire.variables,
            wants_port: wire.wants_port,
            health: health(wire.health.unwrap_or_default(), wire.wants_port)?,
            termination_grace: Duration::from_millis(wire.termination_grace_ms),
            limits: wire.limits.unwrap_or_default().into(),
            init_step: command_of(wire.init_step),
            post_start: command_of(wire.post_start),
            pre_stop: command_of(wire.pre_stop),
            liveness: repeated(wire.liveness, wire.wants_port)?,
            startup: repeated(wire.startup, wire.wants_port)?,
            agent: wire.agent,
            singleton: wire.singleton,
        })
    }
}

pub(crate) fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), Unusable> {
    for (name, value) in variables {
        if name.is_empty() || name.contains(['=', '\0', '\n']) {
            return Err(Unusable::VariableName(name.clone()));
        }
        if value.contains('\0') {
            return Err(Unusable::VariableValue(name.clone()));
        }
    }
    Ok(())
}

impl TryFrom<wire::Artefact> for Artefact {
    type Error = Unusable;

    fn try_from(wire: wire::Artefact) -> Result<Self, Unusable> {
        Ok(Self {
            digest: Digest::parse(&wire.sha256).ok_or(Unusable::Digest(wire.sha256))?,
            size_bytes: wire.size_bytes,
            holders: wire
                .holders
                .iter()
                .filter_map(|holder| holder.parse().ok())
                .collect(),
        })
    }
}

fn command_of(wire: Option<wire::Command>) -> Option<Command> {
    wire?.command.map(Command::from)
}

impl From<wire::command::Command> for Command {
    fn from(wire: wire::command::Command) -> Self {
        match wire {
            wire::command::Command::Line(line) => Command::Line(line),
            wire::command::Command::Words(words) => Command::Words(words.words),
        }
    }
}

impl TryFrom<wire::HealthCheck> for HealthCheck {
    type Error = Unusable;

    fn try_from(wire: wire::HealthCheck) -> Result<Self, Unusable> {
        let kind = match wire.kind() {
            wire::health_check::Kind::Unspecified => CheckKind::Settle,
            wire::health_check::Kind::Tcp => CheckKind::Tcp,
            wire::health_check::Kind::Http => CheckKind::Http(health_path(wire.path)?),
            wire::health_check::Kind::Grpc => CheckKind::Grpc,
        };
        let or = |ms: u64, default: Duration| match ms {
            0 => default,
            ms => Duration::from_millis(ms),
        };
        Ok(Self {
            kind,
            interval: or(wire.interval_ms, Self::INTERVAL),
            timeout: or(wire.timeout_ms, Self::TIMEOUT),
            start_deadline: or(wire.start_deadline_ms, Self::START_DEADLINE),
        })
    }
}

impl HealthCheck {
    /// Between checks of a frontend that has been healthy (design, section 6).
    pub(crate) const INTERVAL: Duration = Duration::from_secs(5);
    /// One second less than the interval, as the manifest's own default.
    pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);
    /// Until the first success.
    pub(crate) const START_DEADLINE: Duration = Duration::from_secs(60);
}

/// A frontend without a port has nothing that could be asked.
fn health(wire: wire::HealthCheck, has_port: bool) -> Result<HealthCheck, Unusable> {
    let check = HealthCheck::try_from(wire)?;
    match has_port {
        true => Ok(check),
        false => Ok(HealthCheck {
            kind: CheckKind::Settle,
            ..check
        }),
    }
}

/// Nor has it anything that could be asked again and again.
fn repeated(
    wire: Option<wire::RepeatedCheck>,
    has_port: bool,
) -> Result<Option<RepeatedCheck>, Unusable> {
    let Some(wire) = wire.filter(|_| has_port) else {
        return Ok(None);
    };
    let kind = match wire.kind() {
        wire::health_check::Kind::Unspecified => return Ok(None),
        wire::health_check::Kind::Tcp => CheckKind::Tcp,
        wire::health_check::Kind::Http => CheckKind::Http(health_path(wire.path)?),
        wire::health_check::Kind::Grpc => CheckKind::Grpc,
    };
    // A check without pause or patience would ask without end or never be answered.
    let at_least = |ms: u64| Duration::from_millis(ms.max(RepeatedCheck::SHORTEST_MS));
    Ok(Some(RepeatedCheck {
        kind,
        grace: Duration::from_millis(wire.grace_ms),
        interval: at_least(wire.interval_ms),
        timeout: at_least(wire.timeout_ms),
        success: wire.success.max(1),
        failure: wire.failure.max(1),
    }))
}

impl RepeatedCheck {
    /// Shortest interval and timeout; manifests count in seconds, so this bounds only mistakes.
    const SHORTEST_MS: u64 = 10;
}

/// The request goes to the frontend's own address whatever the path says, so all that is left to
/// refuse is what would break out of the request line or name another authority.
fn health_path(path: String) -> Result<String, Unusable> {
    let path = if path.is_empty() {
        "/".to_owned()
    } else {
        path
    };
    let visible = path.bytes().all(|byte| byte.is_ascii_graphic());
    if visible && path.starts_with('/') && !path.starts_with("//") && path.len() <= 1024 {
        Ok(path)
    } else {
        Err(Unusable::HealthPath(path))
    }
}

impl From<wire::Limits> for Limits {
    fn from(wire: wire::Limits) -> Self {
        Self {
            memory_bytes: Some(wire.memory_bytes).filter(|bytes| *bytes != 0),
            cpu_millicores: Some(wire.cpu_millicores).filter(|cpu| *cpu != 0),
            pids: Some(wire.pids).filter(|pids| *pids != 0),
        }
    }
}
