//! Stop: SIGTERM to the main process, SIGKILL to the tree after the grace.
//!
//! SIGTERM goes to the main process alone. Servers with workers (nginx, gunicorn, puma) drain them
//! in their own way and order; a SIGTERM to each of them at once would drop the requests that the
//! grace is for. What the main process leaves behind is killed when it has ended.

use std::time::Duration;

use rustix::process::{Signal, pidfd_send_signal};

use super::{
    super::{
        clock::Now,
        process::{Caller, Process, Until},
        spec::{Phase, ProcessId},
        tree,
    },
    Table, after, unknown,
};

impl Table {
    pub(in super::super) fn stop(
        &mut self,
        id: &ProcessId,
        grace: Duration,
        caller: Caller,
        now: Now,
    ) {
        if !self.contains(id) {
            return self.reply(caller, Err(unknown(id)));
        }
        self.tell_to_stop(id, grace, now);
        self.answer_when(id, caller, Until::Exited);
    }

    /// Ends everything with this grace, or each with its own.
    pub(in super::super) fn shut_down(
        &mut self,
        grace: Option<Duration>,
        caller: Option<Caller>,
        now: Now,
    ) {
        self.shutting_down.get_or_insert_default().extend(caller);
        for id in self.processes.keys().cloned().collect::<Vec<_>>() {
            let own = self
                .processes
                .get(&id)
                .map_or(Duration::ZERO, |process| process.spec.stop_grace);
            self.tell_to_stop(&id, grace.unwrap_or(own), now);
        }
    }

    pub(super) fn tell_to_stop(&mut self, id: &ProcessId, grace: Duration, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        process.told_to_stop = true;
        match process.phase {
            Phase::Exited | Phase::Clearing => {}
            Phase::BackingOff => self.exited(id),
            Phase::Starting | Phase::Running | Phase::Stopping => {
                let deadline = after(now, grace);
                process.kill_at = Some(
                    process
                        .kill_at
                        .map_or(deadline, |before| before.min(deadline)),
                );
                if process.phase != Phase::Stopping {
                    process.phase = Phase::Stopping;
                    if grace > Duration::ZERO {
                        signal(process, Signal::TERM);
                    }
                }
                self.save(id);
                self.tick_kill(id, now);
            }
        }
    }

    /// Kills the tree when its grace is over.
    pub(super) fn tick_kill(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        if process.kill_at.is_none_or(|at| at > now.mono) {
            return;
        }
        process.kill_at = None;
        signal(process, Signal::KILL);
        match &process.cgroup {
            Some(cgroup) => {
                if let Err(error) = cgroup.kill() {
                    tracing::error!(%id, %error, "tree cannot be killed");
                }
            }
            None => tree::kill(&tree::mark(&self.node, id), process.pid()),
        }
    }
}

/// Fails only for a process that has ended and is about to be reaped.
fn signal(process: &Process, signal: Signal) {
    if let Some(main) = &process.main {
        let _ = pidfd_send_signal(&main.pidfd, signal);
    }
}
