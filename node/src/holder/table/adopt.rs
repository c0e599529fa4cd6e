//! Takes over what an earlier holder of this data directory left.

use fleet_proto::internal::HeldRecord;

use super::{
    super::{
        cgroup::Cgroup,
        clock::Now,
        convert,
        identity::Identity,
        logs::{FILE_LIMIT, Log},
        poll::Source,
        process::{Main, Process},
        spec::{Exit, ExitStatus, Phase, ProcessId, Restart},
    },
    Table, after,
};

impl Table {
    /// Reads every record; kills what has none, since whoever started it was told nothing.
    pub(in super::super) fn adopt(&mut self, now: Now) -> std::io::Result<()> {
        let found = self.records.read_all()?;
        for path in &found.unreadable {
            tracing::error!(path = %path.display(), "record of a process cannot be read; the process is left alone");
        }
        for (id, record) in found.records {
            if let Err(error) = self.adopt_process(&id, record, now) {
                tracing::error!(%id, %error, "process of an earlier holder cannot be adopted");
            }
        }
        self.listeners.rebind_lost();
        // It may have ended while no holder was there.
        self.tenure_moved(now);
        if found.unreadable.is_empty() {
            self.kill_strangers();
        }
        Ok(())
    }

    fn adopt_process(
        &mut self,
        id: &ProcessId,
        record: HeldRecord,
        now: Now,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let mut process = self.remembered(id, &record, now)?;
        let same_boot = record.boot_id == self.boot_id;
        if record.phase == convert::phase_to_wire(Phase::Exited) as i32 {
            process.phase = Phase::Exited;
            self.processes.insert(id.clone(), process);
            return Ok(());
        }
        if !same_boot {
            return self.ended_with_the_machine(process, now);
        }
        process.cgroup = Cgroup::from_record(&record.cgroups);
        let identity = Identity {
            pid: record.pid,
            start_ticks: record.start_ticks,
            boot_id: record.boot_id,
        };
        let pidfd = identity.open(&self.boot_id);
        // Output may lie unread in the FIFOs of a process that has ended.
        if process
            .fifos
            .output(super::super::logs::Stream::Out)
            .exists()
        {
            self.open_fifos(&mut process)?;
        }
        let Some(pidfd) = pidfd else {
            return self.ended_unseen(process, &record.phase, now);
        };
        self.listeners.recover(identity.pid, &pidfd);
        let end = self.poll.watch(&pidfd, Source::Exit(id.clone()))?;
        process.main = Some(Main {
            identity,
            pidfd,
            outcome: None,
            end: Some(end),
        });
        process.phase = Phase::Running;
        let (stopping, grace) = (record.stopping, process.spec.stop_grace);
        self.processes.insert(id.clone(), process);
        if stopping {
            self.tell_to_stop(id, grace, now);
        }
        self.save(id);
        Ok(())
    }

    /// The process as its record describes it.
    fn remembered(
        &self,
        id: &ProcessId,
        record: &HeldRecord,
        now: Now,
    ) -> Result<Process, Box<dyn std::error::Error>> {
        let spec = record.spec.clone().unwrap_or_default();
        let spec = convert::spec_from_wire(spec)?;
        let log = Log::open(&self.paths.logs.join(id.as_str()), FILE_LIMIT)?;
        let mut process = Process::new(spec, self.fifos(id), log);
        // The record of a frontend lacks its variables, so that its hash cannot be made again.
        process.hash = record.spec_hash.to_vec();
        process.ready = record.ready;
        process.starts = record.starts;
        process.exit = record.exit.clone().map(convert::exit_from_wire);
        process.adopted = true;
        process.told_to_stop = record.stopping;
        let wall = convert::from_unix_ms(record.started_unix_ms);
        let lived = now.wall.duration_since(wall).unwrap_or_default();
        let mono = now.mono.checked_sub(lived).unwrap_or(now.mono);
        process.started = (record.started_unix_ms > 0).then_some(Now { mono, wall, ..now });
        if let Ok(old) = ProcessId::parse(&record.replaces) {
            process.replaces = Some((old, after(now, process.spec.ready_within)));
        }
        Ok(process)
    }

    /// It ended while no holder was there; what it left of its tree is cleared first.
    fn ended_unseen(
        &mut self,
        process: Process,
        phase: &i32,
        now: Now,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let id = process.spec.id.clone();
        let backing_off = *phase == convert::phase_to_wire(Phase::BackingOff) as i32;
        self.processes.insert(id.clone(), process);
        if backing_off {
            if let Some(process) = self.processes.get_mut(&id) {
                process.phase = Phase::BackingOff;
                process.restart_at = Some(now.mono);
            }
            return Ok(());
        }
        self.main_ended(&id, ExitStatus::Unknown, now);
        self.clear(&id, now);
        Ok(())
    }

    /// The machine was restarted. A tenant is started by the agent as on any new machine; of a
    /// frontend is told that it ended, so that it is replaced.
    fn ended_with_the_machine(
        &mut self,
        mut process: Process,
        now: Now,
    ) -> Result<(), Box<dyn std::error::Error>> {
        let id = process.spec.id.clone();
        let restart = process.spec.restart;
        process.exit = Some(Exit {
            status: ExitStatus::Unknown,
            oom_killed: false,
            tenure_over: false,
            at: now.wall,
            last_lines: process.log.last_lines(),
        });
        process.phase = Phase::Exited;
        process.ready = false;
        process.replaces = None;
        self.processes.insert(id.clone(), process);
        match restart {
            Restart::Always => self.drop_process(&id),
            Restart::Never => self.save(&id),
        }
        Ok(())
    }

    /// Cgroups of ours that no record speaks of: their holder died between making and recording.
    fn kill_strangers(&self) {
        let Some(place) = &self.place else { return };
        for name in place.existing() {
            let known = ProcessId::parse(&name).is_ok_and(|id| self.contains(&id));
            if !known {
                tracing::warn!(name, "cgroup without a record is killed");
                let cgroup = place.cgroup(&name);
                let killed = cgroup.kill().and_then(|()| cgroup.remove());
                if let Err(error) = killed {
                    // Removed by whoever takes this name next.
                    tracing::debug!(name, %error, "cgroup is not empty yet");
                }
            }
        }
    }
}
