//! Tenured processes: those that run only while the tenure is renewed.

use std::time::Duration;

use super::{
    super::{clock::Now, spec::ProcessId, tenure::Verdict},
    Refusal, Refused, Table, refuse,
};
use crate::clock::Boot;

impl Table {
    /// Lets tenured processes run on until then.
    pub(in super::super) fn renew(&mut self, until: Boot, now: Now) -> Result<(), Refused> {
        self.tenure.renew(until, now.boot).map_err(|error| {
            let text = format!("the tenure cannot be written down: {error}");
            refuse(Refusal::Internal, text)
        })
    }

    /// Ends what may run no longer.
    pub(in super::super) fn tenure_moved(&mut self, now: Now) {
        if let Verdict::Ends(grace) = self.tenure.verdict(now.boot) {
            let tenured = self
                .processes
                .values()
                .filter(|process| process.spec.tenured && process.main.is_some());
            let ids: Vec<ProcessId> = tenured.map(|process| process.spec.id.clone()).collect();
            for id in ids {
                tracing::warn!(%id, "nobody renewed its tenure: it ends");
                if let Some(process) = self.processes.get_mut(&id) {
                    process.tenure_over = true;
                }
                self.tell_to_stop(&id, Duration::from_millis(grace.0), now);
            }
        }
        if let Err(error) = self.tenure.wake(now.boot) {
            tracing::error!(%error, "the timer of the tenure cannot be set");
        }
    }

    /// Refuses to start a process that would have to end at once.
    pub(super) fn admit(&self, id: &ProcessId, tenured: bool, now: Now) -> Result<(), Refused> {
        if tenured && self.tenure.verdict(now.boot) != Verdict::Runs {
            let text = format!("process {id} may not run: nobody has renewed its tenure");
            return Err(refuse(Refusal::TenureOver, text));
        }
        Ok(())
    }
}
