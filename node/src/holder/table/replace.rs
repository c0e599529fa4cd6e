//! Replace: a second process beside the first, with the same listeners, takes over when it is
//! ready. Both accept from the same sockets meanwhile, so that no connection is refused.

use super::{
    super::{
        clock::Now,
        process::{Caller, Until},
        spec::{ProcessId, ProcessSpec},
    },
    Refusal, Refused, Table, after, refuse, unknown,
};

impl Table {
    pub(in super::super) fn replace(
        &mut self,
        old: &ProcessId,
        spec: ProcessSpec,
        caller: Caller,
        now: Now,
    ) {
        let id = spec.id.clone();
        match self.begin_replacement(old, spec, now) {
            Ok(()) => self.answer_when(&id, caller, Until::Ready),
            Err(refused) => self.reply(caller, Err(refused)),
        }
    }

    fn begin_replacement(
        &mut self,
        old: &ProcessId,
        spec: ProcessSpec,
        now: Now,
    ) -> Result<(), Refused> {
        let (id, deadline) = (spec.id.clone(), after(now, spec.ready_within));
        if id == *old {
            return Err(refuse(
                Refusal::Invalid,
                format!("a replacement of {old} needs another id"),
            ));
        }
        // A repeated call finds the new one there, and perhaps the old one gone.
        let repeated = self.contains(&id);
        if !repeated
            && !self
                .processes
                .get(old)
                .is_some_and(|process| process.info().is_alive())
        {
            return Err(unknown(old));
        }
        self.begin(spec, now)?;
        if let Some(process) = self.processes.get_mut(&id).filter(|_| !repeated) {
            process.replaces = Some((old.clone(), deadline));
            self.save(&id);
        }
        Ok(())
    }

    /// The new one is ready: the old one ends with its own grace.
    pub(super) fn complete_replacement(&mut self, id: &ProcessId, now: Now) {
        let replaced = self
            .processes
            .get_mut(id)
            .and_then(|process| process.replaces.take());
        let Some((old, _)) = replaced else { return };
        if let Some(grace) = self
            .processes
            .get(&old)
            .map(|process| process.spec.stop_grace)
        {
            self.tell_to_stop(&old, grace, now);
        }
    }

    /// Gives up a replacement that did not become ready in time; the old one stays.
    pub(super) fn tick_replacement(&mut self, id: &ProcessId, now: Now) {
        let Some(process) = self.processes.get_mut(id) else {
            return;
        };
        if process
            .replaces
            .as_ref()
            .is_none_or(|(_, deadline)| *deadline > now.mono)
        {
            return;
        }
        process.replaces = None;
        let (within, grace) = (process.spec.ready_within, process.spec.stop_grace);
        let text = format!("process {id} was not ready within {within:?}");
        self.reply_waiters(id, Until::Ready, Err(refuse(Refusal::NotReady, text)));
        self.tell_to_stop(id, grace, now);
    }
}
