//! The held processes and everything that can happen to them.
//!
//! A process goes Starting, Running, (Stopping,) Clearing, then Exited, or BackingOff and Starting
//! again. Each of the files of this directory holds one cause of change. Nothing here waits:
//! whoever called is answered through the outbox, now or later.

mod adopt;
mod exit;
mod launch;
mod output;
mod replace;
mod start;
mod stop;
mod tenure;

use std::{
    collections::BTreeMap,
    io,
    path::PathBuf,
    time::{Duration, Instant},
};

use fleet_proto::internal::holder_reply as answer;

use super::{
    capabilities::Capabilities,
    cgroup::{Place, Reading},
    clock::Now,
    convert,
    fifos::Fifos,
    listeners::Listeners,
    poll::Poll,
    poll::Source,
    process::{Caller, Process, Until},
    record::Records,
    spec::{EventKind, Phase, ProcessId, ProcessInfo, Usage},
    tenure::Tenure,
    tree,
};

/// What has to be told to the other side.
pub(super) enum Notice {
    Reply(Caller, answer::Result),
    Event(EventKind, Box<ProcessInfo>),
}

/// Why a call is refused.
pub(super) type Refused = answer::Refused;
pub(super) use answer::refused::Kind as Refusal;

pub(super) fn refuse(kind: Refusal, message: impl Into<String>) -> Refused {
    Refused {
        kind: kind as i32,
        message: message.into(),
        errno: 0,
    }
}

/// Where things of the holder lie.
#[derive(Clone, Debug)]
pub(super) struct Paths {
    pub(super) logs: PathBuf,
    pub(super) fifos: PathBuf,
    pub(super) processes: PathBuf,
    pub(super) listeners: PathBuf,
    pub(super) tenure: PathBuf,
}

pub(super) struct Table {
    pub(super) poll: Poll,
    pub(super) listeners: Listeners,
    pub(super) capabilities: Capabilities,
    pub(super) outbox: Vec<Notice>,
    processes: BTreeMap<ProcessId, Process>,
    records: Records,
    paths: Paths,
    place: Option<Place>,
    /// Name of this node on this machine, for cgroups and marks.
    node: String,
    boot_id: String,
    tenure: Tenure,
    /// Set once everything shall end; who asked is told when it has.
    shutting_down: Option<Vec<Caller>>,
}

impl Table {
    pub(super) fn new(
        mut poll: Poll,
        paths: Paths,
        place: Option<Place>,
        node: String,
        capabilities: Capabilities,
    ) -> io::Result<Self> {
        let boot_id = super::identity::boot_id()?;
        let tenure = Tenure::open(paths.tenure.clone(), &boot_id)?;
        poll.watch(tenure.timer(), Source::Tenure)?;
        Ok(Self {
            poll,
            listeners: Listeners::open(paths.listeners.clone()),
            capabilities,
            outbox: Vec::new(),
            processes: BTreeMap::new(),
            records: Records::open(paths.processes.clone())?,
            paths,
            place,
            node,
            boot_id,
            tenure,
            shutting_down: None,
        })
    }

    pub(super) fn list(&self) -> Vec<ProcessInfo> {
        self.processes.values().map(Process::info).collect()
    }

    pub(super) fn contains(&self, id: &ProcessId) -> bool {
        self.processes.contains_key(id)
    }

    /// Readings of those that run.
    pub(super) fn usage(&self, ids: &[ProcessId]) -> Vec<Usage> {
        let running = ids.iter().filter_map(|id| self.processes.get(id));
        let running = running.filter(|process| process.main.is_some());
        let (grouped, loose): (Vec<_>, Vec<_>) = running.partition(|p| p.cgroup.is_some());
        let marked = |process: &&Process| {
            let mark = tree::mark(&self.node, &process.spec.id);
            (mark, process.pid())
        };
        let trees: Vec<_> = loose.iter().map(marked).collect();
        let grouped = grouped.into_iter().filter_map(|process| {
            let cgroup = process.cgroup.as_ref()?;
            Some(usage(process, cgroup.reading()))
        });
        let loose = loose.into_iter().zip(tree::readings(&trees));
        let loose = loose.map(|(process, reading)| usage(process, reading));
        grouped.chain(loose).collect()
    }

    /// Drops all that is kept of a process that has ended; one that is not known has been dropped.
    pub(super) fn forget(&mut self, id: &ProcessId, keep_logs: bool) -> Result<(), Refused> {
        if self
            .processes
            .get(id)
            .is_some_and(|process| process.phase != Phase::Exited)
        {
            return Err(refuse(
                Refusal::Conflict,
                format!("process {id} still runs"),
            ));
        }
        self.drop_process(id);
        if keep_logs {
            return Ok(());
        }
        let logs = self.paths.logs.join(id.as_str());
        match std::fs::remove_dir_all(&logs) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(refuse(
                Refusal::Internal,
                format!("{} cannot be removed: {error}", logs.display()),
            )),
            _ => Ok(()),
        }
    }

    /// The last lines of its log.
    pub(super) fn tail(&self, id: &ProcessId, lines: usize) -> Result<Vec<Vec<u8>>, Refused> {
        if !self.contains(id) {
            return Err(unknown(id));
        }
        let read = super::logs::tail(&self.paths.logs.join(id.as_str()), lines);
        read.map_err(|error| {
            refuse(
                Refusal::Internal,
                format!("log of {id} cannot be read: {error}"),
            )
        })
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    pub(super) fn due(&self) -> Option<Instant> {
        self.processes.values().filter_map(Process::due).min()
    }

    /// Does what has become due.
    pub(super) fn tick(&mut self, now: Now) {
        let due = |process: &Process| process.due().is_some_and(|due| due <= now.mono);
        let ids: Vec<ProcessId> = self
            .processes
            .values()
            .filter(|process| due(process))
            .map(|process| process.spec.id.clone())
            .collect();
        for id in ids {
            self.tick_kill(&id, now);
            self.tick_replacement(&id, now);
            self.tick_clearing(&id, now);
            self.tick_restart(&id, now);
        }
    }

    /// Everything has ended after a shutdown; who asked for it has its answer in the outbox.
    pub(super) fn is_shut_down(&mut self) -> bool {
        let over = self.shutting_down.is_some()
            && self
                .processes
                .values()
                .all(|process| process.phase == Phase::Exited);
        if over {
            for caller in self.shutting_down.take().into_iter().flatten() {
                self.outbox
                    .push(Notice::Reply(caller, answer::Result::Done(answer::Done {})));
            }
            if let Some(place) = &self.place {
                place.remove();
            }
        }
        over
    }

    fn reply(&mut self, caller: Caller, result: Result<&ProcessInfo, Refused>) {
        let result = match result {
            Ok(info) => answer::Result::Process(convert::process_to_wire(info)),
            Err(refused) => answer::Result::Refused(refused),
        };
        self.outbox.push(Notice::Reply(caller, result));
    }

    /// Answers all who waited for this.
    fn reply_waiters(&mut self, id: &ProcessId, until: Until, result: Result<(), Refused>) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        let (callers, info) = (process.take_waiters(until), process.info());
        for caller in callers {
            self.reply(caller, result.clone().map(|()| &info));
        }
    }

    fn announce(&mut self, id: &ProcessId, kind: EventKind) {
        if let Some(process) = self.processes.get(id) {
            self.outbox
                .push(Notice::Event(kind, Box::new(process.info())));
        }
    }

    /// Writes the record of a process. Failing is not fatal: the process runs, and only a next
    /// holder would not know it.
    fn save(&self, id: &ProcessId) {
        if let Some(process) = self.processes.get(id)
            && let Err(error) = self.records.write(id, &process.record(&self.boot_id))
        {
            tracing::error!(%id, %error, "record of a process cannot be written");
        }
    }

    /// Removes a process that does not run, except its logs.
    fn drop_process(&mut self, id: &ProcessId) {
        if let Some(mut process) = self.processes.remove(id) {
            self.close_fifos(&mut process);
            process.fifos.remove();
        }
        if let Err(error) = self.records.remove(id) {
            tracing::error!(%id, %error, "record of a process cannot be removed");
        }
    }

    fn fifos(&self, id: &ProcessId) -> Fifos {
        Fifos::new(&self.paths.fifos, id)
    }
}

pub(super) fn unknown(id: &ProcessId) -> Refused {
    refuse(Refusal::Unknown, format!("no process is called {id}"))
}

/// The longest grace; longer ones are cut, so that arithmetic on clocks cannot overflow.
const LONGEST_GRACE: Duration = Duration::from_secs(24 * 3600);

fn after(now: Now, pause: Duration) -> Instant {
    now.mono + pause.min(LONGEST_GRACE)
}

fn usage(process: &Process, reading: Reading) -> Usage {
    let Reading {
        cpu_usec,
        memory_bytes,
        pids,
        oom_kills,
    } = reading;
    Usage {
        id: process.spec.id.clone(),
        cpu_usec,
        memory_bytes,
        pids,
        oom_kills,
    }
}
