//! From a spec to a cloned child, and from there to a program that runs or a reason why not.

use std::{collections::BTreeMap, io};

use super::{
    super::{
        cgroup::{Cgroup, Kind, Place},
        clock::Now,
        fifos,
        identity::Identity,
        logs::Stream,
        poll::Source,
        process::{ExecFailure, Main, Process},
        sandbox,
        spawn::{self, Failed, Gifts, Step},
        spec::{Phase, ProcessId, ProcessSpec},
        tree,
    },
    Table,
};

impl Table {
    /// Clones the main process. The outcome of its exec comes later.
    pub(super) fn launch(&mut self, id: &ProcessId, now: Now) -> io::Result<()> {
        let Some(mut process) = self.processes.remove(id) else {
            return Ok(());
        };
        let launched = self.launch_process(&mut process, now);
        if launched.is_err() {
            self.close_fifos(&mut process);
            if let Some(cgroup) = process.cgroup.take() {
                // Empty, since nothing was cloned.
                let _ = cgroup.remove();
            }
        }
        self.processes.insert(id.clone(), process);
        if launched.is_ok() {
            self.save(id);
        }
        launched
    }

    fn launch_process(&mut self, process: &mut Process, now: Now) -> io::Result<()> {
        let id = process.spec.id.clone();
        process.phase = Phase::Starting;
        process.ready = false;
        process.adopted = false;
        process.exec_failure = None;
        process.ended = None;
        process.said.clear();
        process.starts += 1;
        process.started = Some(now);
        process.cgroup = match &self.place {
            Some(place) => Some(Cgroup::create(place, id.as_str(), &process.spec.limits)?),
            None => None,
        };
        process.fifos.make(process.spec.user, process.spec.notify)?;
        self.open_fifos(process)?;
        // Before the clone: should this holder die between the two, the next one finds the cgroup.
        self.records.write(&id, &process.record(&self.boot_id))?;

        let out = fifos::process_end(process.fifos.output(Stream::Out))?;
        let err = fifos::process_end(process.fifos.output(Stream::Err))?;
        let notify = process
            .spec
            .notify
            .then(|| fifos::process_end(process.fifos.notify()))
            .transpose()?;
        let listeners = process
            .spec
            .listeners
            .iter()
            .filter_map(|name| self.listeners.get(name));
        let has = |kind| {
            self.place
                .as_ref()
                .is_some_and(|place: &Place| place.has(kind))
        };
        let limits = &process.spec.limits;
        let gifts = Gifts {
            output: [
                std::os::fd::AsFd::as_fd(&out),
                std::os::fd::AsFd::as_fd(&err),
            ],
            listeners: listeners.map(std::os::fd::AsFd::as_fd).collect(),
            notify: notify.as_ref().map(std::os::fd::AsFd::as_fd),
            sandbox: sandbox::build(&process.spec.sandbox, &process.fifos.outputs())
                .map_err(io::Error::other)?,
            cgroup: process.cgroup.as_ref(),
            env: self.environment(&process.spec),
            limit_data: limits.memory_bytes.filter(|_| !has(Kind::Memory)),
            // Counted for the whole user, so it means something only for a user of its own.
            limit_processes: limits
                .pids
                .map(u64::from)
                .filter(|_| !has(Kind::Pids) && process.spec.user.is_some()),
        };
        let spawned = spawn::spawn(&process.spec, &gifts)?;
        let token = self.poll.watch(&spawned.outcome, Source::Exec(id))?;
        process.main = Some(Main {
            // It cannot have been reaped, so its pid is still its own.
            identity: Identity::of(spawned.pid, &self.boot_id)?,
            pidfd: spawned.pidfd,
            outcome: Some((spawned.outcome, token)),
            end: None,
        });
        Ok(())
    }

    /// The variables of the spec and those that tell of the gifts.
    fn environment(&self, spec: &ProcessSpec) -> BTreeMap<String, String> {
        let mut env = spec.env.clone();
        if !spec.listeners.is_empty() {
            env.insert("LISTEN_FDS".into(), spec.listeners.len().to_string());
            env.insert("LISTEN_FDNAMES".into(), spec.listeners.join(":"));
        }
        if spec.notify {
            env.insert("NOTIFY_FD".into(), (3 + spec.listeners.len()).to_string());
        }
        if self.place.is_none() {
            env.insert(tree::MARK.into(), tree::mark(&self.node, &spec.id));
        }
        env
    }

    /// The pipe of an exec has something to say.
    pub(in super::super) fn exec_outcome(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        let Some(main) = process.main.as_mut() else {
            return;
        };
        let Some((pipe, token)) = &main.outcome else {
            return;
        };
        let Some(outcome) = spawn::outcome(pipe) else {
            return;
        };
        self.poll.forget(pipe, *token);
        main.outcome = None;
        match outcome {
            Ok(()) => self.executed(id, now),
            // The child ends by itself; what follows happens when it has been reaped.
            Err(failed) => {
                let sentence = sentence(&process.spec, &failed);
                process.exec_failure = Some(ExecFailure {
                    sentence,
                    errno: failed.errno,
                });
            }
        }
    }
}

/// What went wrong, for whoever wrote the command.
fn sentence(spec: &ProcessSpec, failed: &Failed) -> String {
    let error = rustix::io::Errno::from_raw_os_error(failed.errno);
    let program = &spec.argv[0];
    let cwd = spec.cwd.display();
    let user = spec
        .user
        .map_or_else(String::new, |user| format!(" for uid {}", user.uid));
    match (failed.step, failed.errno) {
        (Step::Exec, libc::ENOENT) if program.contains('/') => {
            format!("command {program:?} not found, or its interpreter is missing")
        }
        (Step::Exec, libc::ENOENT) => format!("command {program:?} not found in PATH"),
        (Step::Exec, libc::EACCES) => format!("command {program:?} may not be executed{user}"),
        (Step::Exec, libc::ENOEXEC) => format!(
            "command {program:?} is neither a program for this machine nor a script that names its interpreter"
        ),
        (Step::Exec, libc::E2BIG) => format!("arguments and variables of {program:?} are too long"),
        (Step::Exec, _) => format!("command {program:?} cannot be executed: {error}"),
        (Step::Directory, libc::EACCES) => {
            format!("working directory {cwd} may not be entered{user}")
        }
        (Step::Directory, _) => format!("working directory {cwd} cannot be entered: {error}"),
        (step, _) => {
            format!("{program:?} was not executed: {step:?} failed: {error}").to_lowercase()
        }
    }
}
