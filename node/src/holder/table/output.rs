//! What processes print, and how they say that they are ready.

use std::io;

use super::{
    super::{clock::Now, fifos, logs::Stream, poll::Source, process::Process, spec::ProcessId},
    Table,
};

/// Bytes taken from one stream before the others get their turn.
const TURN: usize = 64 << 10;

/// What a process may say of its readiness before it is no longer listened to.
const LONGEST_SAYING: usize = 4 << 10;

impl Table {
    pub(super) fn open_fifos(&mut self, process: &mut Process) -> io::Result<()> {
        let id = process.spec.id.clone();
        for stream in [Stream::Out, Stream::Err] {
            if process.outputs[stream as usize].is_none() {
                let fd = fifos::reading_end(process.fifos.output(stream))?;
                let token = self.poll.watch(&fd, Source::Output(id.clone(), stream))?;
                process.outputs[stream as usize] = Some((fd, token));
            }
        }
        if process.spec.notify && process.notify.is_none() {
            let fd = fifos::reading_end(process.fifos.notify())?;
            let token = self.poll.watch(&fd, Source::Notify(id))?;
            process.notify = Some((fd, token));
        }
        Ok(())
    }

    pub(super) fn close_fifos(&mut self, process: &mut Process) {
        let [out, err] = &mut process.outputs;
        for (fd, token) in [out.take(), err.take(), process.notify.take()]
            .into_iter()
            .flatten()
        {
            self.poll.forget(&fd, token);
        }
    }

    /// Takes one turn's worth of output.
    pub(in super::super) fn output(&mut self, id: &ProcessId, stream: Stream, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        let Some((fd, token)) = &process.outputs[stream as usize] else {
            return;
        };
        let mut buffer = vec![0; TURN];
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => {
                // Nobody has it open any more, which epoll would report for ever.
                self.poll.forget(fd, *token);
                process.outputs[stream as usize] = None;
            }
            Ok(length) => process.log.take(stream, &buffer[..length], now.wall),
            Err(_) => {}
        }
    }

    /// Takes all that a process which is gone has left.
    pub(super) fn drain(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        let mut buffer = vec![0; TURN];
        for stream in [Stream::Out, Stream::Err] {
            let Some((fd, _)) = &process.outputs[stream as usize] else {
                continue;
            };
            while let Ok(length @ 1..) = rustix::io::read(fd, &mut buffer) {
                process.log.take(stream, &buffer[..length], now.wall);
            }
        }
        process.log.end(now.wall);
    }

    /// Listens to a process that tells of its readiness.
    pub(in super::super) fn notified(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        let Some((fd, token)) = &process.notify else {
            return;
        };
        let mut buffer = [0; 512];
        match rustix::io::read(fd, &mut buffer) {
            Ok(0) => {
                self.poll.forget(fd, *token);
                process.notify = None;
                return;
            }
            Ok(length) if process.said.len() < LONGEST_SAYING => {
                process.said.extend_from_slice(&buffer[..length])
            }
            _ => return,
        }
        let ready = process
            .said
            .split_inclusive(|byte| *byte == b'\n')
            .any(|line| line == b"READY=1\n");
        if ready {
            self.became_ready(id, now);
        }
    }
}
