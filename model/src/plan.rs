//! What should happen next.
//!
//! [`plan`] looks at the state, at what the leader has heard ([`Load`]) and at the time, and answers
//! with the commands to commit, the sentences that say what is waited for, and when to look again.
//! It is pure and infallible; it decides everything the cluster does by itself.
//!
//! Invariants: a plan never asks for something the state already has under way, so planning twice
//! before the first plan is applied does no harm (each item carries the revision it assumed). What a
//! new leader has not yet heard may cause waiting, never an action.
//!
//! The rooms, in the order in which they are asked:
//! [`lease`] who is silent; [`slots`] which frontends there should be, [`placement`] and where;
//! [`withdrawal`] how the others leave; [`loading`] which releases finished loading or unloading;
//! [`rollout`] how far activations are; [`warmth`] when a release is warm enough to be switched to;
//! `promotion` how far rolling updates are, by the bounds of [`rolling`] and under its `guard`;
//! [`builds`] which worker runs which build step; [`copies`] who holds which artefact;
//! `scaling` how many frontends the load asks for; [`membership`] who votes; `trust` how far the
//! replacement of the authority is; `certificates` which end soon; `acme` which are ordered.

mod acme;
pub mod balance;
pub mod builds;
mod certificates;
pub mod copies;
pub mod drain;
mod guard;
pub mod ingress;
pub mod lease;
pub mod loading;
pub mod membership;
pub mod placement;
mod promotion;
pub mod rolling;
pub mod rollout;
mod scaling;
pub mod slots;
pub mod storm;
mod trust;
pub mod warmth;
pub mod withdrawal;

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    State, Time,
    command::{Command, Placement, Step},
    ids::{EnvironmentKey, FrontendId, LoadedKey, NodeId},
    report::Waiting,
    scaling::Signals,
    time::Millis,
};

/// What the leader has heard since it became leader. Never committed, never assumed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// When this leader began to listen; nothing heard counts as heard then.
    pub since: Time,
    /// When each worker's session was last heard.
    pub workers: BTreeMap<NodeId, Time>,
    /// By node and process: while an ingress is replaced, a node has two.
    pub ingresses: BTreeMap<NodeId, BTreeMap<u64, IngressFacts>>,
    /// What ingresses counted of the answers of each loaded release.
    pub answers: BTreeMap<LoadedKey, Answers>,
    /// What agents and ingresses measured ([`Signals::look`]).
    pub signals: Signals,
}

/// Answers of the frontends of a release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    pub all: u64,
    /// Of these, with a status from 500 to 599, or cut off before there was one.
    pub failed: u64,
}

/// What an ingress process last said.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IngressFacts {
    pub heard: Time,
    /// The generation of the route table it routes by.
    pub applied: u64,
    /// Frontends with requests in flight there.
    pub busy: BTreeSet<FrontendId>,
    /// Environments with requests in flight that were routed before the applied generation, and
    /// the generation the oldest of them was routed by.
    pub outdated: BTreeMap<EnvironmentKey, u64>,
}

/// What to do, what is waited for, and when to look again if nothing happens before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    pub commands: Vec<Command>,
    pub waiting: Vec<Waiting>,
    pub next_wake: Option<Time>,
}

/// How many items one command may carry, far below the 512 KiB a proposal may have.
const BATCH: usize = 256;

/// Decides what should happen next.
#[must_use]
pub fn plan(state: &State, load: &Load, now: Time) -> Plan {
    let mut draft = Draft {
        now,
        ..Draft::default()
    };
    let ingresses = ingress::Ingresses::of(state, load, now);
    lease::plan(state, load, &mut draft);
    let leases = draft.commands.len();
    slots::plan(state, &mut draft);
    withdrawal::plan(state, &ingresses, &mut draft);
    loading::plan(state, &mut draft);
    rollout::plan(state, load, &ingresses, &mut draft);
    builds::plan(state, &mut draft);
    copies::plan(state, &mut draft);
    trust::plan(state, &mut draft);
    certificates::plan(state, &mut draft);
    acme::plan(state, &ingresses, &mut draft);
    balance::plan(state, &mut draft);
    scaling::plan(state, load, &ingresses, &mut draft);
    if leases > 0 {
        // Who is lost changes what all others would decide: they wait for the next look.
        draft.commands.truncate(leases);
        draft.steps.clear();
        draft.placements.clear();
    }
    draft.finish()
}

/// Decides what the load asks for, and nothing else: the part of a plan that is made again whenever
/// something was measured. It costs in proportion to the services that were.
#[must_use]
pub fn rescale(state: &State, load: &Load, now: Time) -> Vec<Command> {
    let mut draft = Draft {
        now,
        ..Draft::default()
    };
    let ingresses = ingress::Ingresses::of(state, load, now);
    scaling::plan(state, load, &ingresses, &mut draft);
    draft.finish().commands
}

/// A plan in the making.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub now: Time,
    pub placements: Vec<Placement>,
    pub steps: BTreeMap<FrontendId, Step>,
    pub commands: Vec<Command>,
    pub waiting: Vec<Waiting>,
    next_wake: Option<Time>,
}

impl Draft {
    /// One step per frontend and plan: whoever speaks first has the reason.
    pub(crate) fn step(&mut self, step: Step) {
        self.steps.entry(step.frontend).or_insert(step);
    }

    /// Asks to be planned again at `at` at the latest.
    pub(crate) fn wake(&mut self, at: Time) {
        let at = at.max(self.now.plus(Millis(1)));
        self.next_wake = Some(self.next_wake.map_or(at, |before| before.min(at)));
    }

    fn finish(self) -> Plan {
        let steps: Vec<Step> = self.steps.into_values().collect();
        let mut commands = self.commands;
        // Forgetting before placing: a failed frontend gives its slot back first.
        commands.extend(
            steps
                .chunks(BATCH)
                .map(|chunk| Command::Step(chunk.to_vec())),
        );
        commands.extend(
            self.placements
                .chunks(BATCH)
                .map(|chunk| Command::Place(chunk.to_vec())),
        );
        Plan {
            commands,
            waiting: self.waiting,
            next_wake: self.next_wake,
        }
    }
}
