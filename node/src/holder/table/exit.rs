//! Ends: reaping, clearing what is left of the tree, reporting, and starting again.
//!
//! A process is its main process: when that ends, whatever it left behind is killed, as in a
//! container. An exit is reported once the tree is gone, so that its port is free and nothing of it
//! can still act.

use std::time::Duration;

use super::{
    super::{
        clock::Now,
        process::{Process, Until},
        spec::{EventKind, Exit, ExitStatus, Phase, ProcessId},
        sys, tree,
    },
    Refusal, Refused, Table, refuse,
};

/// How long the parent of an adopted process (init, mostly) may take to reap it: the kernel tells
/// its status only then. Some inits look every two seconds.
const REAPED_WITHIN: Duration = Duration::from_secs(5);

impl Table {
    /// Reaps every child that has ended: main processes, and orphans of their trees, which come to
    /// us because we are the subreaper.
    pub(in super::super) fn reap(&mut self, now: Now) {
        while let Some((pid, status)) = sys::reap() {
            let main = self
                .processes
                .values()
                .find(|process| process.pid() == Some(pid));
            if let Some(id) = main.map(|process| process.spec.id.clone()) {
                self.main_ended(&id, decode(status), now);
            }
        }
        let clearing = self
            .processes
            .values()
            .filter(|process| process.phase == Phase::Clearing);
        for id in clearing
            .map(|process| process.spec.id.clone())
            .collect::<Vec<_>>()
        {
            self.clear(&id, now);
        }
    }

    /// An adopted main process has ended.
    pub(in super::super) fn adopted_ended(&mut self, id: &ProcessId, now: Now) {
        let Some(main) = self
            .processes
            .get(id)
            .and_then(|process| process.main.as_ref())
        else {
            return;
        };
        let pidfd = main
            .pidfd
            .try_clone()
            .ok()
            .filter(|_| self.capabilities.exit_status_after_adoption);
        self.main_ended(id, ExitStatus::Unknown, now);
        if let Some(process) = self.processes.get_mut(id) {
            process.unread_status = pidfd.map(|pidfd| (pidfd, now.mono + REAPED_WITHIN));
        }
        self.clear(id, now);
    }

    pub(super) fn main_ended(&mut self, id: &ProcessId, status: ExitStatus, now: Now) {
        // An exec that failed and one that succeeded and ended at once look alike to waitpid.
        self.exec_outcome(id, now);
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        if let Some(main) = process.main.take() {
            if let Some((pipe, token)) = &main.outcome {
                self.poll.forget(pipe, *token);
            }
            if let Some(token) = main.end {
                self.poll.forget(&main.pidfd, token);
            }
        }
        process.phase = Phase::Clearing;
        process.ended = Some(status);
        process.kill_at = None;
        process.look_again = None;
    }

    pub(super) fn tick_clearing(&mut self, id: &ProcessId, now: Now) {
        let process = self.processes.get(id);
        let due = process
            .and_then(|process| process.look_again)
            .is_some_and(|(at, _)| at <= now.mono);
        if due {
            self.clear(id, now);
        }
    }

    /// Kills what is left of a tree whose main process has ended; finishes when nothing is.
    pub(super) fn clear(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        if process.phase != Phase::Clearing {
            return;
        }
        let mark = tree::mark(&self.node, id);
        let (alive, kills) = match &process.cgroup {
            Some(cgroup) if cgroup.is_populated() => {
                if let Err(error) = cgroup.kill() {
                    tracing::error!(%id, %error, "rest of a tree cannot be killed");
                }
                (true, 0)
            }
            Some(cgroup) => {
                let kills = cgroup.reading().oom_kills;
                // Busy until its last zombie is reaped.
                (cgroup.remove().is_err(), kills)
            }
            None => {
                tree::kill(&mark, None);
                (!tree::pids(&mark, None).is_empty(), 0)
            }
        };
        process.oom_kills = process.oom_kills.max(kills);
        if alive || is_status_open(process, now) {
            process.look_later(now);
        } else {
            self.finish(id, now);
        }
    }

    /// Nothing of the tree is left.
    fn finish(&mut self, id: &ProcessId, now: Now) {
        self.drain(id, now);
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        process.cgroup = None;
        process.look_again = None;
        let failure = process.exec_failure.take();
        let first_start = process
            .waiters
            .iter()
            .any(|waiter| waiter.until != Until::Exited);
        let mut last_lines = process.log.last_lines();
        last_lines.extend(failure.as_ref().map(|failure| failure.sentence.clone()));
        process.exit = Some(Exit {
            status: process.ended.take().unwrap_or(ExitStatus::Unknown),
            oom_killed: std::mem::take(&mut process.oom_kills) > 0,
            tenure_over: process.tenure_over,
            at: now.wall,
            last_lines,
        });
        let refused = failure.map(|failure| Refused {
            errno: failure.errno,
            ..refuse(Refusal::Spawn, failure.sentence)
        });
        match refused {
            // It never ran: the caller is told, and the id is free again.
            Some(refused) if first_start => {
                for until in [Until::Executed, Until::Ready, Until::Exited] {
                    self.reply_waiters(id, until, Err(refused.clone()));
                }
                self.drop_process(id);
            }
            _ => self.after_exit(id, now),
        }
    }

    fn after_exit(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        if process.restarts() && self.shutting_down.is_none() {
            let lived = process
                .started
                .map_or_else(Default::default, |started| now.mono - started.mono);
            let pause = process.backoff.pause(lived);
            process.phase = Phase::BackingOff;
            process.ready = false;
            process.restart_at = Some(now.mono + pause);
            self.save(id);
            self.announce(id, EventKind::Restarting { pause });
            self.reply_waiters(id, Until::Executed, Ok(()));
            return;
        }
        self.exited(id);
    }

    /// The end for good.
    pub(super) fn exited(&mut self, id: &ProcessId) {
        let Some(mut process) = self.processes.remove(id) else {
            return;
        };
        process.phase = Phase::Exited;
        process.ready = false;
        process.replaces = None;
        process.restart_at = None;
        process.kill_at = None;
        self.close_fifos(&mut process);
        process.fifos.remove();
        let status = process
            .exit
            .as_ref()
            .map_or(ExitStatus::Unknown, |exit| exit.status);
        self.processes.insert(id.clone(), process);
        self.save(id);
        self.announce(id, EventKind::Exited);
        let text = format!("process {id} {status} before it was ready");
        self.reply_waiters(id, Until::Ready, Err(refuse(Refusal::NotReady, text)));
        self.reply_waiters(id, Until::Executed, Ok(()));
        self.reply_waiters(id, Until::Exited, Ok(()));
    }

    pub(super) fn tick_restart(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        if process.restart_at.is_none_or(|at| at > now.mono) {
            return;
        }
        process.restart_at = None;
        if let Err(error) = self.launch(id, now) {
            tracing::error!(%id, %error, "process cannot be started again");
            if let Some(process) = self.processes.get_mut(id) {
                process.phase = Phase::BackingOff;
                process.restart_at = Some(now.mono + process.backoff.pause(Default::default()));
            }
        }
    }
}

/// Reads the status of an adopted process if it can be read by now; true while it may come.
fn is_status_open(process: &mut Process, now: Now) -> bool {
    let Some((pidfd, deadline)) = &process.unread_status else {
        return false;
    };
    match sys::exit_status(pidfd) {
        Some(status) => process.ended = Some(decode(status)),
        None if now.mono < *deadline => return true,
        None => {}
    }
    process.unread_status = None;
    false
}

/// A wait status as the kernel encodes it.
fn decode(status: i32) -> ExitStatus {
    if libc::WIFEXITED(status) {
        ExitStatus::Code(libc::WEXITSTATUS(status))
    } else if libc::WIFSIGNALED(status) {
        ExitStatus::Signal(libc::WTERMSIG(status))
    } else {
        ExitStatus::Unknown
    }
}
