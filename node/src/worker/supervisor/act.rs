//! Carrying out what the book decided: each action becomes one call to the world, answered later by
//! one outcome.

use std::sync::Arc;
use std::time::Duration;

use fleet_model::ids::FrontendId;

use super::Shell;
use super::frontend::Frontend;
use super::next::Action;
use super::running::Which;
use super::stage::Outcome;
use crate::worker::assignment::{Assignment, CheckKind, RepeatedCheck};
use crate::worker::hands::{Hands, Started};
use crate::worker::launch::{Launch, Site};
use crate::worker::runtime::Step;

impl<H: Hands> Shell<H> {
    /// A port that no frontend of ours has and nobody else listens on. Chosen before the ledger is
    /// written, so that an adopted frontend is found where it listens.
    pub(super) fn choose_port(&mut self, id: FrontendId) {
        let wanted = self
            .book
            .frontend(id)
            .is_some_and(|frontend| frontend.assignment.wants_port && frontend.port.is_none());
        if !wanted {
            return;
        }
        let taken = self.book.ports_in_use();
        let candidates = self
            .premises
            .ports
            .from_key(id.0)
            .filter_map(|port| port.try_into().ok());
        let mut free = candidates.filter(|port| !taken.contains(port));
        if let Some(port) = free.find(|port| self.hands.port_is_free(*port)) {
            self.book.give_port(id, port);
        }
    }

    pub(super) fn carry_out(&mut self, id: FrontendId, action: Action) {
        let Some(frontend) = self.book.frontend(id) else {
            return;
        };
        let assignment = &frontend.assignment;
        match action {
            Action::End(_) => {}
            Action::Fetch => {
                let artefact = assignment.artefact.clone();
                self.spawn(id, async move |hands| match hands.fetch(&artefact).await {
                    Ok(()) => Outcome::Fetched,
                    Err(error) => Outcome::FetchFailed {
                        reason: error.reason,
                        hopeless: error.hopeless,
                    },
                });
            }
            Action::Revive => self.spawn(id, async move |hands| match hands.revive(id).await {
                Ok(()) => Outcome::Revived,
                Err(reason) => Outcome::NotRevived { reason },
            }),
            Action::Init | Action::Start if assignment.wants_port && frontend.port.is_none() => {
                let reason = format!("no port in {} is free on this node", self.premises.ports);
                self.spawn(id, async move |_| Outcome::NotStarted {
                    reason,
                    exit: None,
                });
            }
            Action::Init => {
                if let Some(launch) = self.step(frontend, Step::Init) {
                    self.spawn(id, async move |hands| {
                        Outcome::InitEnded(hands.run_step(Step::Init, launch).await)
                    });
                }
            }
            Action::PostStart => {
                if let Some(launch) = self.step(frontend, Step::PostStart) {
                    self.spawn(id, async move |hands| {
                        Outcome::PostStarted(hands.run_step(Step::PostStart, launch).await)
                    });
                }
            }
            Action::Start => {
                let launch = self.launch(frontend);
                self.spawn(id, async move |hands| match hands.start(launch).await {
                    Started::Running { pid } => Outcome::Started { pid },
                    Started::Exited(exit) => Outcome::NotStarted {
                        reason: exit.sentence(),
                        exit: Some(exit),
                    },
                    Started::Not(reason) => Outcome::NotStarted { reason, exit: None },
                });
            }
            Action::Probe(which) => {
                let Some((kind, patience)) = asked(assignment, which) else {
                    return;
                };
                let address = frontend.observed(&self.premises.host).address;
                self.spawn(id, async move |hands| {
                    Outcome::Probed(which, hands.probe(&kind, patience, &address).await)
                });
            }
            Action::Stop(_) => {
                let grace = assignment.termination_grace;
                // Only of one that runs: before that, there is nothing to take leave of.
                let runs = frontend.observed(&self.premises.host).pid.is_some();
                let before = self.step(frontend, Step::PreStop).filter(|_| runs);
                self.spawn(id, async move |hands| {
                    match hands.stop(id, grace, before).await {
                        Ok(exit) => Outcome::Stopped(exit),
                        Err(reason) => Outcome::NotStopped { reason },
                    }
                });
            }
            Action::Clean => self.spawn(id, async move |hands| match hands.clean(id).await {
                Ok(()) => Outcome::Cleaned,
                Err(reason) => Outcome::NotCleaned { reason },
            }),
        }
    }

    fn launch(&self, frontend: &Frontend) -> Launch {
        let site = Site {
            rack: &self.premises.cluster_name,
            host: &self.premises.host,
            port: frontend.port,
        };
        Launch::new(&frontend.assignment, site)
    }

    /// A step of a frontend that has one.
    fn step(&self, frontend: &Frontend, step: Step) -> Option<Launch> {
        let assignment = &frontend.assignment;
        let command = match step {
            Step::Init => &assignment.init_step,
            Step::PostStart => &assignment.post_start,
            Step::PreStop => &assignment.pre_stop,
        };
        let command = command.as_ref()?;
        Some(self.launch(frontend).step(step, command))
    }

    fn spawn<F>(&mut self, id: FrontendId, act: impl FnOnce(Arc<H>) -> F)
    where
        F: Future<Output = Outcome> + Send + 'static,
    {
        let outcomes = self.outcomes_in.clone();
        let act = act(self.hands.clone());
        self.tasks.spawn(async move {
            let outcome = act.await;
            if let Outcome::NotStopped { reason }
            | Outcome::NotCleaned { reason }
            | Outcome::NotRevived { reason } = &outcome
            {
                tracing::warn!(frontend = %id, reason, "will be tried again");
            }
            // The supervisor may have ended; the next one finds out for itself.
            let _ = outcomes.send((id, outcome)).await;
        });
    }

    pub(super) fn collect(&mut self) {
        let in_use = self.book.artefacts_in_use();
        if self.collected.difference(&in_use).next().is_some() {
            let (hands, kept) = (self.hands.clone(), in_use.clone());
            self.tasks.spawn(async move { hands.collect(&kept).await });
        }
        self.collected = in_use;
    }
}

/// What a check asks, and how long it waits.
fn asked(assignment: &Assignment, which: Which) -> Option<(CheckKind, Duration)> {
    let repeated = |check: &RepeatedCheck| (check.kind.clone(), check.timeout);
    match which {
        Which::Health => Some((assignment.health.kind.clone(), assignment.health.timeout)),
        Which::Startup => assignment.startup.as_ref().map(repeated),
        Which::Liveness => assignment.liveness.as_ref().map(repeated),
    }
}
