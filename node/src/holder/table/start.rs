//! Start: an id is started once.

use super::{
    super::{
        clock::Now,
        logs,
        process::{Caller, Process, Until, Waiter},
        spawn::MOST_LISTENERS,
        spec::{EventKind, Phase, ProcessId, ProcessSpec, Restart},
    },
    Refusal, Refused, Table, refuse,
};

impl Table {
    pub(in super::super) fn start(&mut self, spec: ProcessSpec, caller: Caller, now: Now) {
        let id = spec.id.clone();
        if let Err(refused) = self.begin(spec, now) {
            return self.reply(caller, Err(refused));
        }
        self.answer_when(&id, caller, Until::Executed);
    }

    /// Starts a process unless one of that id and an equal spec is there.
    pub(super) fn begin(&mut self, spec: ProcessSpec, now: Now) -> Result<(), Refused> {
        if self.shutting_down.is_some() {
            return Err(refuse(Refusal::ShuttingDown, "the holder is shutting down"));
        }
        let id = spec.id.clone();
        let (fifos, logs_dir) = (self.fifos(&id), self.paths.logs.join(id.as_str()));
        let open = |spec| {
            let log = logs::Log::open(&logs_dir, logs::FILE_LIMIT);
            let log = log.map_err(|error| internal(&id, "its log cannot be opened", &error))?;
            Ok(Process::new(spec, fifos, log))
        };
        if let Some(present) = self.processes.get(&id) {
            let process = open(spec)?;
            let same = present.hash == process.hash;
            match (present.phase, present.spec.restart) {
                // A tenant that was stopped is started anew.
                (Phase::Exited, Restart::Always) => {
                    let starts = present.starts;
                    self.drop_process(&id);
                    return self.insert(Process { starts, ..process }, now);
                }
                _ if same => return Ok(()),
                (Phase::Exited, Restart::Never) => {
                    let text = format!("process {id} has ended and was specified differently");
                    return Err(refuse(Refusal::Conflict, text));
                }
                _ => {
                    let text = format!("process {id} already runs and is specified differently");
                    return Err(refuse(Refusal::Conflict, text));
                }
            }
        }
        self.insert(open(spec)?, now)
    }

    fn insert(&mut self, process: Process, now: Now) -> Result<(), Refused> {
        let id = process.spec.id.clone();
        self.admit(&id, process.spec.tenured, now)?;
        if process.spec.listeners.len() > MOST_LISTENERS {
            return Err(refuse(
                Refusal::Invalid,
                format!("process {id} wants more than {MOST_LISTENERS} listeners"),
            ));
        }
        if let Some(name) = process
            .spec
            .listeners
            .iter()
            .find(|name| self.listeners.get(name).is_none())
        {
            return Err(refuse(
                Refusal::Unknown,
                format!("no listener is called {name:?}"),
            ));
        }
        self.processes.insert(id.clone(), process);
        self.launch(&id, now).map_err(|error| {
            self.drop_process(&id);
            internal(&id, "it cannot be started", &error)
        })
    }

    /// Answers now if it is so already, else when it comes to be.
    pub(super) fn answer_when(&mut self, id: &ProcessId, caller: Caller, until: Until) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        let already = match until {
            Until::Executed => process.phase != Phase::Starting,
            Until::Ready => process.ready && process.replaces.is_none(),
            Until::Exited => process.phase == Phase::Exited,
        };
        if already {
            let info = process.info();
            self.reply(caller, Ok(&info));
        } else {
            process.waiters.push(Waiter { caller, until });
        }
    }

    /// The exec has succeeded.
    pub(super) fn executed(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        if process.phase == Phase::Starting {
            process.phase = Phase::Running;
        }
        self.save(id);
        self.announce(id, EventKind::Started);
        self.reply_waiters(id, Until::Executed, Ok(()));
        if self
            .processes
            .get(id)
            .is_some_and(|process| !process.spec.notify)
        {
            self.became_ready(id, now);
        }
    }

    /// The process can serve.
    pub(super) fn became_ready(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id).filter(|process| !process.ready) else {
            return;
        };
        process.ready = true;
        self.complete_replacement(id, now);
        self.save(id);
        self.announce(id, EventKind::Ready);
        self.reply_waiters(id, Until::Ready, Ok(()));
    }
}

pub(super) fn internal(id: &ProcessId, what: &str, error: &std::io::Error) -> Refused {
    Refused {
        errno: error.raw_os_error().unwrap_or(0),
        ..refuse(Refusal::Internal, format!("process {id}: {what}: {error}"))
    }
}
