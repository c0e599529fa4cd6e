//! Between the messages of the wire and the nouns of [`spec`](super::spec). What comes in is
//! checked here, once; nothing behind this file sees a message type of a spec.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet_proto::internal as pb;

use super::{
    capabilities::{Capabilities, Cgroups},
    spec::{
        EventKind, Exit, ExitStatus, Landlock, Limits, Phase, ProcessEvent, ProcessId, ProcessInfo,
        ProcessSpec, Restart, Sandbox, Usage, User,
    },
};

/// A message that means nothing.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0}")]
pub(super) struct Malformed(pub(super) String);

impl From<super::spec::InvalidProcessId> for Malformed {
    fn from(error: super::spec::InvalidProcessId) -> Self {
        Self(error.to_string())
    }
}

pub(super) fn spec_to_wire(spec: &ProcessSpec) -> pb::HeldSpec {
    let paths = |paths: &[std::path::PathBuf]| -> Vec<String> {
        paths
            .iter()
            .map(|path| path.to_string_lossy().into_owned())
            .collect()
    };
    pb::HeldSpec {
        id: spec.id.as_str().to_owned(),
        argv: spec.argv.clone(),
        env: spec.env.clone(),
        cwd: spec.cwd.to_string_lossy().into_owned(),
        user: spec.user.map(user_to_wire),
        limits: Some(pb::HeldLimits {
            memory_bytes: spec.limits.memory_bytes.unwrap_or(0),
            cpu_millicores: spec.limits.cpu_millicores.unwrap_or(0),
            pids: spec.limits.pids.unwrap_or(0),
            open_files: spec.limits.open_files.unwrap_or(0),
        }),
        restart: match spec.restart {
            Restart::Never => pb::held_spec::Restart::Never,
            Restart::Always => pb::held_spec::Restart::Always,
        } as i32,
        listeners: spec.listeners.clone(),
        sandbox: Some(pb::HeldSandbox {
            no_new_privs: spec.sandbox.no_new_privs,
            seccomp: spec.sandbox.seccomp,
            landlock: spec
                .sandbox
                .landlock
                .as_ref()
                .map(|rules| pb::held_sandbox::Paths {
                    read: paths(&rules.read),
                    execute: paths(&rules.execute),
                    write: paths(&rules.write),
                    bind_tcp: rules.bind_tcp.iter().map(|port| u32::from(*port)).collect(),
                }),
        }),
        notify: spec.notify,
        stop_grace_ms: millis(spec.stop_grace),
        ready_within_ms: millis(spec.ready_within),
        tenured: spec.tenured,
    }
}

/// Takes a spec apart and checks all that can be checked without touching the machine.
pub(super) fn spec_from_wire(wire: pb::HeldSpec) -> Result<ProcessSpec, Malformed> {
    let id = ProcessId::parse(&wire.id)?;
    if wire.argv.first().is_none_or(String::is_empty) {
        return Err(Malformed(format!("process {id} has no program to run")));
    }
    let has_nul = |text: &String| text.contains('\0');
    if wire.argv.iter().any(has_nul) || wire.env.values().any(has_nul) || has_nul(&wire.cwd) {
        return Err(Malformed(format!(
            "an argument or variable of process {id} holds a NUL byte"
        )));
    }
    if let Some(name) = wire
        .env
        .keys()
        .find(|name| name.is_empty() || name.contains(['=', '\0']))
    {
        return Err(Malformed(format!(
            "process {id} has a variable named {name:?}"
        )));
    }
    if !wire.cwd.starts_with('/') {
        return Err(Malformed(format!(
            "working directory {:?} of process {id} is not absolute",
            wire.cwd
        )));
    }
    let restart = match wire.restart() {
        pb::held_spec::Restart::Never => Restart::Never,
        pb::held_spec::Restart::Always => Restart::Always,
    };
    let limits = wire.limits.unwrap_or_default();
    let sandbox = wire.sandbox.unwrap_or_default();
    Ok(ProcessSpec {
        id,
        argv: wire.argv,
        env: wire.env,
        cwd: wire.cwd.into(),
        user: wire.user.map(user_from_wire),
        limits: Limits {
            memory_bytes: (limits.memory_bytes > 0).then_some(limits.memory_bytes),
            cpu_millicores: (limits.cpu_millicores > 0).then_some(limits.cpu_millicores),
            pids: (limits.pids > 0).then_some(limits.pids),
            open_files: (limits.open_files > 0).then_some(limits.open_files),
        },
        restart,
        listeners: wire.listeners,
        sandbox: Sandbox {
            no_new_privs: sandbox.no_new_privs,
            seccomp: sandbox.seccomp,
            landlock: sandbox.landlock.map(landlock_from_wire).transpose()?,
        },
        notify: wire.notify,
        stop_grace: Duration::from_millis(wire.stop_grace_ms),
        ready_within: Duration::from_millis(wire.ready_within_ms),
        tenured: wire.tenured,
    })
}

fn landlock_from_wire(wire: pb::held_sandbox::Paths) -> Result<Landlock, Malformed> {
    let paths = |paths: Vec<String>| paths.into_iter().map(Into::into).collect();
    let port =
        |port: u32| u16::try_from(port).map_err(|_| Malformed(format!("there is no port {port}")));
    Ok(Landlock {
        read: paths(wire.read),
        execute: paths(wire.execute),
        write: paths(wire.write),
        bind_tcp: wire
            .bind_tcp
            .into_iter()
            .map(port)
            .collect::<Result<_, _>>()?,
    })
}

fn user_to_wire(user: User) -> pb::HeldUser {
    pb::HeldUser {
        uid: user.uid,
        gid: user.gid,
    }
}

fn user_from_wire(wire: pb::HeldUser) -> User {
    User {
        uid: wire.uid,
        gid: wire.gid,
    }
}

pub(super) fn phase_to_wire(phase: Phase) -> pb::held_process::Phase {
    match phase {
        Phase::Starting => pb::held_process::Phase::Starting,
        Phase::Running => pb::held_process::Phase::Running,
        Phase::Stopping => pb::held_process::Phase::Stopping,
        Phase::Clearing => pb::held_process::Phase::Clearing,
        Phase::BackingOff => pb::held_process::Phase::BackingOff,
        Phase::Exited => pb::held_process::Phase::Exited,
    }
}

pub(super) fn phase_from_wire(wire: pb::held_process::Phase) -> Result<Phase, Malformed> {
    Ok(match wire {
        pb::held_process::Phase::Unspecified => {
            return Err(Malformed("a process has no phase".into()));
        }
        pb::held_process::Phase::Starting => Phase::Starting,
        pb::held_process::Phase::Running => Phase::Running,
        pb::held_process::Phase::Stopping => Phase::Stopping,
        pb::held_process::Phase::Clearing => Phase::Clearing,
        pb::held_process::Phase::BackingOff => Phase::BackingOff,
        pb::held_process::Phase::Exited => Phase::Exited,
    })
}

pub(super) fn process_to_wire(info: &ProcessInfo) -> pb::HeldProcess {
    pb::HeldProcess {
        id: info.id.as_str().to_owned(),
        phase: phase_to_wire(info.phase) as i32,
        ready: info.ready,
        pid: info.pid.unwrap_or(0),
        starts: info.starts,
        started_unix_ms: info.started_at.map_or(0, unix_ms),
        exit: info.exit.as_ref().map(exit_to_wire),
        spec_hash: info.spec_hash.clone().into(),
        user: info.user.map(user_to_wire),
        adopted: info.adopted,
    }
}

pub(super) fn process_from_wire(wire: pb::HeldProcess) -> Result<ProcessInfo, Malformed> {
    Ok(ProcessInfo {
        id: ProcessId::parse(&wire.id)?,
        phase: phase_from_wire(wire.phase())?,
        ready: wire.ready,
        pid: (wire.pid > 0).then_some(wire.pid),
        starts: wire.starts,
        started_at: (wire.started_unix_ms > 0).then(|| from_unix_ms(wire.started_unix_ms)),
        exit: wire.exit.map(exit_from_wire),
        spec_hash: wire.spec_hash.to_vec(),
        user: wire.user.map(user_from_wire),
        adopted: wire.adopted,
    })
}

pub(super) fn exit_to_wire(exit: &Exit) -> pb::HeldExit {
    let (code, signal) = match exit.status {
        ExitStatus::Code(code) => (Some(code), None),
        ExitStatus::Signal(signal) => (None, Some(signal)),
        ExitStatus::Unknown => (None, None),
    };
    pb::HeldExit {
        code,
        signal,
        oom_killed: exit.oom_killed,
        at_unix_ms: unix_ms(exit.at),
        last_lines: exit
            .last_lines
            .iter()
            .map(|line| line.clone().into_bytes().into())
            .collect(),
        tenure_over: exit.tenure_over,
    }
}

pub(super) fn exit_from_wire(wire: pb::HeldExit) -> Exit {
    let status = match (wire.code, wire.signal) {
        (Some(code), _) => ExitStatus::Code(code),
        (None, Some(signal)) => ExitStatus::Signal(signal),
        (None, None) => ExitStatus::Unknown,
    };
    Exit {
        status,
        oom_killed: wire.oom_killed,
        tenure_over: wire.tenure_over,
        at: from_unix_ms(wire.at_unix_ms),
        last_lines: wire.last_lines.iter().map(|line| text(line)).collect(),
    }
}

pub(super) fn event_to_wire(kind: EventKind, process: &ProcessInfo) -> pb::HeldEvent {
    let (kind, restart_in_ms) = match kind {
        EventKind::Started => (pb::held_event::Kind::Started, 0),
        EventKind::Ready => (pb::held_event::Kind::Ready, 0),
        EventKind::Exited => (pb::held_event::Kind::Exited, 0),
        EventKind::Restarting { pause } => (pb::held_event::Kind::Restarting, millis(pause)),
    };
    pb::HeldEvent {
        kind: kind as i32,
        process: Some(process_to_wire(process)),
        restart_in_ms,
    }
}

pub(super) fn event_from_wire(wire: pb::HeldEvent) -> Result<ProcessEvent, Malformed> {
    let kind = match wire.kind() {
        pb::held_event::Kind::Unspecified => return Err(Malformed("an event has no kind".into())),
        pb::held_event::Kind::Started => EventKind::Started,
        pb::held_event::Kind::Ready => EventKind::Ready,
        pb::held_event::Kind::Exited => EventKind::Exited,
        pb::held_event::Kind::Restarting => EventKind::Restarting {
            pause: Duration::from_millis(wire.restart_in_ms),
        },
    };
    let process = wire
        .process
        .ok_or_else(|| Malformed("an event has no process".into()))?;
    Ok(ProcessEvent {
        kind,
        process: process_from_wire(process)?,
    })
}

pub(super) fn usage_to_wire(usage: &Usage) -> pb::HeldUsage {
    pb::HeldUsage {
        id: usage.id.as_str().to_owned(),
        cpu_usec: usage.cpu_usec,
        memory_bytes: usage.memory_bytes,
        pids: usage.pids,
        oom_kills: usage.oom_kills,
    }
}

pub(super) fn usage_from_wire(wire: pb::HeldUsage) -> Result<Usage, Malformed> {
    Ok(Usage {
        id: ProcessId::parse(&wire.id)?,
        cpu_usec: wire.cpu_usec,
        memory_bytes: wire.memory_bytes,
        pids: wire.pids,
        oom_kills: wire.oom_kills,
    })
}

pub(super) fn capabilities_to_wire(found: &Capabilities) -> pb::HolderCapabilities {
    pb::HolderCapabilities {
        root: found.root,
        cgroups: match found.cgroups {
            Cgroups::None => pb::holder_capabilities::Cgroups::None,
            Cgroups::Hybrid => pb::holder_capabilities::Cgroups::Hybrid,
            Cgroups::Unified => pb::holder_capabilities::Cgroups::Unified,
        } as i32,
        memory_limit: found.memory_limit,
        cpu_limit: found.cpu_limit,
        pids_limit: found.pids_limit,
        tree_kill: found.tree_kill,
        landlock_abi: found.landlock_abi,
        seccomp: found.seccomp,
        own_uids: found.own_uids,
        user_namespaces: found.user_namespaces,
        exit_status_after_adoption: found.exit_status_after_adoption,
        cgroup_problem: found.cgroup_problem.clone(),
    }
}

pub(super) fn capabilities_from_wire(wire: pb::HolderCapabilities) -> Capabilities {
    Capabilities {
        root: wire.root,
        cgroups: match wire.cgroups() {
            pb::holder_capabilities::Cgroups::None => Cgroups::None,
            pb::holder_capabilities::Cgroups::Hybrid => Cgroups::Hybrid,
            pb::holder_capabilities::Cgroups::Unified => Cgroups::Unified,
        },
        memory_limit: wire.memory_limit,
        cpu_limit: wire.cpu_limit,
        pids_limit: wire.pids_limit,
        tree_kill: wire.tree_kill,
        landlock_abi: wire.landlock_abi,
        seccomp: wire.seccomp,
        own_uids: wire.own_uids,
        user_namespaces: wire.user_namespaces,
        exit_status_after_adoption: wire.exit_status_after_adoption,
        cgroup_problem: wire.cgroup_problem,
    }
}

/// A line of a process as text: what is not UTF-8 is replaced, nothing is dropped.
pub(super) fn text(line: &[u8]) -> String {
    String::from_utf8_lossy(line).into_owned()
}

pub(super) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

pub(super) fn unix_ms(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, millis)
}

pub(super) fn from_unix_ms(ms: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(ms)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn full_spec() -> ProcessSpec {
        let mut spec = ProcessSpec::new(
            ProcessId::parse("f-1").unwrap(),
            vec!["sleep".into(), "1".into()],
        );
        spec.env.insert("PORT".into(), "8000".into());
        spec.user = Some(User {
            uid: 700_001,
            gid: 700_001,
        });
        spec.limits = Limits {
            memory_bytes: Some(1 << 20),
            cpu_millicores: Some(500),
            pids: None,
            open_files: Some(64),
        };
        spec.restart = Restart::Always;
        spec.listeners = vec!["http".into()];
        spec.sandbox = Sandbox {
            no_new_privs: true,
            seccomp: true,
            landlock: Some(Landlock {
                read: vec!["/etc".into()],
                execute: vec!["/usr".into()],
                write: vec!["/tmp/x".into()],
                bind_tcp: vec![8000],
            }),
        };
        spec.notify = true;
        spec.tenured = true;
        spec
    }

    #[test]
    fn a_spec_survives_the_wire() {
        let spec = full_spec();
        assert_eq!(spec_from_wire(spec_to_wire(&spec)).unwrap(), spec);
    }

    #[test]
    fn a_spec_that_could_not_be_executed_is_refused() {
        type Spoil = fn(&mut pb::HeldSpec);
        let spoil: [(&str, Spoil); 8] = [
            ("id", |s| s.id = "../x".into()),
            ("no program", |s| s.argv.clear()),
            ("empty program", |s| s.argv[0].clear()),
            ("NUL in argument", |s| s.argv[1] = "a\0b".into()),
            ("empty name", |s| {
                drop(s.env.insert(String::new(), "x".into()))
            }),
            ("name with =", |s| {
                drop(s.env.insert("A=B".into(), "x".into()))
            }),
            ("relative cwd", |s| s.cwd = "x".into()),
            ("port", |s| {
                s.sandbox
                    .as_mut()
                    .unwrap()
                    .landlock
                    .as_mut()
                    .unwrap()
                    .bind_tcp
                    .push(70_000)
            }),
        ];
        for (what, spoil) in spoil {
            let mut wire = spec_to_wire(&full_spec());
            spoil(&mut wire);
            assert!(spec_from_wire(wire).is_err(), "{what}");
        }
    }
}
