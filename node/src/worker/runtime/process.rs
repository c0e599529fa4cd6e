//! Frontends as plain processes of the node, run by the holder.
//!
//! What protects them from one another: a uid each (when fleetd is root), `no_new_privs`, no
//! capabilities, Landlock, seccomp, and cgroup limits, as far as the machine has these; the
//! capability ladder of `node describe` says which. They share the kernel, the network and `/usr`:
//! this is for apps of one organisation, not for hostile tenants.
//!
//! On disk, under the directory given to [`ProcessRuntime::new`]: `<frontend id>/data` is its
//! `HOME` and `<frontend id>/tmp` its `TMPDIR`, both its own; its code lies elsewhere, read-only.
//!
//! The holder knows a frontend as `f-17` and its steps as `f-17.init`, `f-17.post-start` and
//! `f-17.pre-stop`, each with a log of its own.

mod command;
mod directories;
mod names;
mod rights;
mod workshop;

use std::{
    collections::BTreeMap,
    ops::Range,
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::mpsc;

use self::{
    directories::Directories,
    names::{build_key, frontend_key, owner, process_id, step_id},
    rights::{Owner, Uids},
};
use super::{
    Error, Exit, ExitStatus, Exited, FrontendKey, FrontendSpec, Prepared, Running, Runtime, Step,
    Usage,
};
use crate::clock::Boot;
use crate::holder::{
    self, Capabilities, Client, EventKind, ProcessId, ProcessInfo, ProcessSpec, Refusal,
};

/// Uids of frontends when fleetd is root: outside those of users, of systemd's dynamic users
/// (61184-65519), and of `/etc/subuid` as Debian hands it out (100000-165535 for the first user,
/// and so on for eight more).
pub const UIDS: Range<u32> = 700_000..800_000;

/// Descriptors a frontend may open: enough for ten thousand connections and their upstreams.
const OPEN_FILES: u32 = 65_536;

/// Where programs are looked up unless the release says otherwise.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Exits that may wait to be read.
const UNREAD_EXITS: usize = 1024;

/// Runs frontends as processes of a holder.
pub struct ProcessRuntime {
    holder: Client,
    capabilities: Capabilities,
    directories: Directories,
    uids: Mutex<Uids>,
}

impl ProcessRuntime {
    /// `data_dir` is that of the node; frontends get their directories in `worker/frontends` of it.
    pub async fn new(holder: Client, data_dir: PathBuf, uids: Range<u32>) -> Result<Self, Error> {
        let capabilities = holder.ping().await.map_err(unavailable)?.capabilities;
        let mut uids = Uids::new(uids);
        // A repeated order must find its frontend with the rights it was started with.
        for process in holder.list().await.map_err(unavailable)? {
            let frontend = owner(&process.id).map(Owner::Frontend);
            let owner = frontend.or_else(|| build_key(&process.id).map(Owner::Build));
            if let (Some(owner), Some(user)) = (owner, process.user) {
                uids.keep(owner, user.uid);
            }
        }
        let directories = Directories::new(data_dir);
        Ok(Self {
            holder,
            capabilities,
            directories,
            uids: Mutex::new(uids),
        })
    }

    /// What this node can enforce.
    #[must_use]
    pub fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    /// Ends a step that may never have been, or have ended long ago.
    async fn end_step(&self, id: FrontendKey, step: Step) -> Result<(), Error> {
        match self.holder.kill(&step_id(id, step)).await {
            Err(error) if error.refusal() != Some(Refusal::Unknown) => Err(failed(id, error)),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn uids(&self) -> std::sync::MutexGuard<'_, Uids> {
        self.uids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A frontend of which the holder knows.
    async fn find(&self, id: FrontendKey) -> Result<Running, Error> {
        let list = self.holder.list().await.map_err(unavailable)?;
        let found = frontends(list).find(|(found, _)| *found == id);
        found
            .map(|(id, process)| running(id, process))
            .ok_or(Error::Unknown(id))
    }

    /// Whom it runs as: the user of fleetd itself where there are no others.
    fn user(&self, owner: &Owner) -> Result<Option<holder::User>, Error> {
        if !self.capabilities.own_uids {
            return Ok(None);
        }
        let uid = self.uids().take(owner).ok_or_else(|| {
            Error::Unavailable("every uid of the range for frontends is taken".into())
        })?;
        Ok(Some(holder::User { uid, gid: uid }))
    }

    /// Starts a process, unless it was started before, and waits until it has ended.
    async fn to_its_end(&self, plan: ProcessSpec) -> Result<ProcessInfo, holder::Error> {
        let over = |process: &ProcessInfo| process.id == plan.id && !process.is_alive();
        loop {
            // First, so that no end falls between the start and the look.
            let mut events = self.holder.events().await?;
            match self.holder.start(plan.clone()).await {
                // As with a frontend: whatever has the name is this one, started before.
                Err(error) if error.refusal() != Some(Refusal::Conflict) => return Err(error),
                Ok(_) | Err(_) => {}
            }
            if let Some(ended) = self.holder.list().await?.into_iter().find(over) {
                return Ok(ended);
            }
            while let Some(event) = events.recv().await {
                if event.kind == EventKind::Exited && over(&event.process) {
                    return Ok(event.process);
                }
            }
            // The holder went away, or we fell behind it.
        }
    }

    fn specification(&self, name: ProcessId, spec: FrontendSpec) -> Result<ProcessSpec, Error> {
        let id = spec.id;
        let user = self.user(&Owner::Frontend(id))?;
        let own = self.directories.make(id, user, &spec.code)?;
        let env = environment(spec.env, &own);
        let mut process = ProcessSpec::new(name, command::argv(&spec.command, &env)?);
        process.sandbox = rights::sandbox(&spec.code, &own, spec.port);
        process.user = user;
        process.limits = holder::Limits {
            memory_bytes: spec.limits.memory_bytes,
            cpu_millicores: spec.limits.cpu_millicores,
            pids: spec.limits.pids,
            open_files: Some(OPEN_FILES),
        };
        process.env = env;
        process.cwd = spec.code;
        process.tenured = spec.singleton;
        Ok(process)
    }
}

impl Runtime for ProcessRuntime {
    type Plan = ProcessSpec;

    async fn prepare(&self, spec: FrontendSpec) -> Result<Prepared<ProcessSpec>, Error> {
        let id = spec.id;
        // A few directories; the code was unpacked by others.
        let plan = self.specification(process_id(id), spec)?;
        Ok(Prepared { id, plan })
    }

    async fn start(&self, prepared: Prepared<ProcessSpec>) -> Result<Running, Error> {
        let id = prepared.id;
        match self.holder.start(prepared.plan).await {
            Ok(process) => Ok(running(id, process)),
            // An id is used once: whatever has it is this frontend, started by an earlier order.
            Err(error) if error.refusal() == Some(Refusal::Conflict) => self.find(id).await,
            Err(error) => Err(failed(id, error)),
        }
    }

    async fn run_step(&self, step: Step, spec: FrontendSpec) -> Result<Exit, Error> {
        let id = spec.id;
        let plan = self.specification(step_id(id, step), spec)?;
        let process = self.to_its_end(plan).await;
        let process = process.map_err(|error| failed(id, error))?;
        running(id, process).exit.ok_or(Error::Unknown(id))
    }

    async fn adopt(&self) -> Result<Vec<Running>, Error> {
        let list = self.holder.list().await.map_err(unavailable)?;
        let mut found = BTreeMap::new();
        let (mains, others) = list
            .into_iter()
            .partition::<Vec<_>, _>(|process| frontend_key(&process.id).is_some());
        for process in mains.into_iter().chain(others) {
            if let Some(id) = owner(&process.id) {
                found.entry(id).or_insert_with(|| running(id, process));
            }
        }
        Ok(found.into_values().collect())
    }

    async fn stop(&self, id: FrontendKey, grace: Duration) -> Result<Exit, Error> {
        let process = self.holder.stop(&process_id(id), grace).await;
        for step in Step::ALL {
            self.end_step(id, step).await?;
        }
        let process = process.map_err(|error| failed(id, error))?;
        running(id, process).exit.ok_or(Error::Unknown(id))
    }

    async fn revive(&self, id: FrontendKey) -> Result<(), Error> {
        for step in Step::ALL {
            let name = step_id(id, step);
            self.end_step(id, step).await?;
            let forgotten = self.holder.forget_exit(&name).await;
            forgotten.map_err(|error| failed(id, error))?;
        }
        let forgotten = self.holder.forget_exit(&process_id(id)).await;
        forgotten.map_err(|error| failed(id, error))
    }

    async fn remove(&self, id: FrontendKey) -> Result<(), Error> {
        for step in Step::ALL {
            let name = step_id(id, step);
            self.end_step(id, step).await?;
            let forgotten = self.holder.forget(&name).await;
            forgotten.map_err(|error| failed(id, error))?;
        }
        self.holder
            .forget(&process_id(id))
            .await
            .map_err(|error| failed(id, error))?;
        self.directories.remove(id).await?;
        self.uids().give_back(&Owner::Frontend(id));
        Ok(())
    }

    async fn renew(&self, until: Boot) -> Result<(), Error> {
        self.holder.renew(until).await.map_err(unavailable)
    }

    async fn usage(&self, ids: &[FrontendKey]) -> Result<Vec<Usage>, Error> {
        let names: Vec<ProcessId> = ids.iter().map(|id| process_id(*id)).collect();
        let usages = self.holder.usage(&names).await.map_err(unavailable)?;
        let usages = usages.into_iter().filter_map(|usage| {
            let id = frontend_key(&usage.id)?;
            Some(Usage {
                id,
                cpu_usec: usage.cpu_usec,
                memory_bytes: usage.memory_bytes,
                processes: usage.pids,
            })
        });
        Ok(usages.collect())
    }

    async fn exits(&self) -> Result<mpsc::Receiver<Exited>, Error> {
        let mut events = self.holder.events().await.map_err(unavailable)?;
        let (sender, receiver) = mpsc::channel(UNREAD_EXITS);
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let Some(id) = frontend_key(&event.process.id) else {
                    continue;
                };
                if event.kind != EventKind::Exited {
                    continue;
                }
                let Some(exit) = running(id, event.process).exit else {
                    continue;
                };
                if sender.send(Exited { id, exit }).await.is_err() {
                    return;
                }
            }
        });
        Ok(receiver)
    }

    async fn tail(&self, id: FrontendKey, lines: u32) -> Result<Vec<String>, Error> {
        self.holder
            .tail(&process_id(id), lines)
            .await
            .map_err(|error| failed(id, error))
    }
}

/// The variables of the release, and where its own directories are. The release may say otherwise.
fn environment(
    mut env: BTreeMap<String, String>,
    own: &directories::Own,
) -> BTreeMap<String, String> {
    let defaults = [
        ("PATH", PATH.to_owned()),
        ("HOME", own.data.to_string_lossy().into_owned()),
        ("TMPDIR", own.tmp.to_string_lossy().into_owned()),
    ];
    for (name, value) in defaults {
        env.entry(name.to_owned()).or_insert(value);
    }
    env
}

fn frontends(list: Vec<ProcessInfo>) -> impl Iterator<Item = (FrontendKey, ProcessInfo)> {
    list.into_iter()
        .filter_map(|process| Some((frontend_key(&process.id)?, process)))
}

fn running(id: FrontendKey, process: ProcessInfo) -> Running {
    Running {
        id,
        pid: process.pid,
        started_at: process.started_at,
        exit: ended(&process),
    }
}

/// How a process ended of which nothing runs any more.
fn ended(process: &ProcessInfo) -> Option<Exit> {
    let exit = process.exit.as_ref().filter(|_| !process.is_alive())?;
    Some(Exit {
        status: match exit.status {
            holder::ExitStatus::Code(code) => ExitStatus::Code(code),
            holder::ExitStatus::Signal(signal) => ExitStatus::Signal(signal),
            holder::ExitStatus::Unknown => ExitStatus::Unknown,
        },
        out_of_memory: exit.oom_killed,
        tenure_over: exit.tenure_over,
        at: exit.at,
        last_lines: exit.last_lines.clone(),
    })
}

fn failed(id: FrontendKey, error: holder::Error) -> Error {
    match error.refusal() {
        Some(Refusal::Unknown) => Error::Unknown(id),
        Some(Refusal::Spawn { .. }) => Error::NotExecutable {
            message: error.to_string(),
        },
        Some(Refusal::Invalid | Refusal::TenureOver) => Error::Impossible(error.to_string()),
        _ => unavailable(error),
    }
}

fn unavailable(error: holder::Error) -> Error {
    Error::Unavailable(Box::new(error))
}
