//! Assignments back onto the wire types, for the ledger.

use std::time::Duration;

use fleet_proto::internal as wire;

use super::{
    Artefact, Assignment, CheckKind, Command, Desired, HealthCheck, Limits, RepeatedCheck,
};

impl From<&Assignment> for wire::Assignment {
    fn from(assignment: &Assignment) -> Self {
        let desired = match assignment.desired {
            Desired::Run => wire::assignment::Desired::Run,
            Desired::Stop => wire::assignment::Desired::Stop,
        };
        Self {
            frontend_id: assignment.id.0,
            app: assignment.app.clone(),
            environment: assignment.environment.clone(),
            release_id: assignment.release_id.clone(),
            release_name: assignment.release_name.clone(),
            service: assignment.service.clone(),
            slot: assignment.slot,
            incarnation: assignment.incarnation,
            desired: desired.into(),
            artefact: Some((&assignment.artefact).into()),
            command: Some(command(&assignment.command)),
            variables: assignment.variables.clone(),
            wants_port: assignment.wants_port,
            health: Some((&assignment.health).into()),
            termination_grace_ms: millis(assignment.termination_grace),
            limits: Some((&assignment.limits).into()),
            build_id: assignment.build_id.clone(),
            build_description: assignment.build_description.clone(),
            init_step: assignment.init_step.as_ref().map(command),
            post_start: assignment.post_start.as_ref().map(command),
            pre_stop: assignment.pre_stop.as_ref().map(command),
            liveness: assignment.liveness.as_ref().map(Into::into),
            startup: assignment.startup.as_ref().map(Into::into),
            agent: assignment.agent,
            singleton: assignment.singleton,
        }
    }
}

impl From<&Artefact> for wire::Artefact {
    fn from(artefact: &Artefact) -> Self {
        Self {
            sha256: artefact.digest.as_str().to_owned(),
            size_bytes: artefact.size_bytes,
            holders: artefact.holders.iter().map(ToString::to_string).collect(),
        }
    }
}

fn command(command: &Command) -> wire::Command {
    wire::Command {
        command: Some(command.into()),
    }
}

impl From<&Command> for wire::command::Command {
    fn from(command: &Command) -> Self {
        match command {
            Command::Line(line) => Self::Line(line.clone()),
            Command::Words(words) => Self::Words(wire::CommandWords {
                words: words.clone(),
            }),
        }
    }
}

impl From<&HealthCheck> for wire::HealthCheck {
    fn from(check: &HealthCheck) -> Self {
        let (kind, path) = kind(&check.kind);
        Self {
            kind,
            path,
            interval_ms: millis(check.interval),
            timeout_ms: millis(check.timeout),
            start_deadline_ms: millis(check.start_deadline),
        }
    }
}

impl From<&RepeatedCheck> for wire::RepeatedCheck {
    fn from(check: &RepeatedCheck) -> Self {
        let (kind, path) = kind(&check.kind);
        Self {
            kind,
            path,
            grace_ms: millis(check.grace),
            interval_ms: millis(check.interval),
            timeout_ms: millis(check.timeout),
            success: check.success,
            failure: check.failure,
        }
    }
}

fn kind(kind: &CheckKind) -> (i32, String) {
    let (kind, path) = match kind {
        CheckKind::Settle => (wire::health_check::Kind::Unspecified, ""),
        CheckKind::Tcp => (wire::health_check::Kind::Tcp, ""),
        CheckKind::Http(path) => (wire::health_check::Kind::Http, path.as_str()),
        CheckKind::Grpc => (wire::health_check::Kind::Grpc, ""),
    };
    (kind.into(), path.to_owned())
}

impl From<&Limits> for wire::Limits {
    fn from(limits: &Limits) -> Self {
        Self {
            memory_bytes: limits.memory_bytes.unwrap_or_default(),
            cpu_millicores: limits.cpu_millicores.unwrap_or_default(),
            pids: limits.pids.unwrap_or_default(),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
