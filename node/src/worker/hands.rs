//! What the supervisor does to the world. It decides and remembers; these do, one call at a time
//! per frontend, each call answered once and safe to repeat.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fleet_model::ids::{Digest, FrontendId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::assignment::{Artefact, CheckKind};
use super::launch::Launch;
use super::runtime::Step;
use super::supervisor::{Exit, Found};
use crate::clock::Boot;

/// Everything a frontend needs done for it on this machine.
pub(crate) trait Hands: Send + Sync + 'static {
    /// What there is, once, and then what ends. An inventory comes first, and again whenever
    /// something may have been missed.
    fn sightings(&self) -> mpsc::Receiver<Sighting>;

    /// Sees to it that the artefact lies unpacked in the cache.
    fn fetch(&self, artefact: &Artefact) -> impl Future<Output = Result<(), FetchError>> + Send;

    /// Starts the process. Does not give up while the runtime is away, for only a runtime that
    /// answers knows whether there is a process.
    fn start(&self, launch: Launch) -> impl Future<Output = Started> + Send;

    /// Runs a step of a frontend to its end, as patiently as [`start`](Self::start) and as seldom:
    /// asked again, it tells how the step went. `Err` says why there never was a process.
    fn run_step(
        &self,
        step: Step,
        launch: Launch,
    ) -> impl Future<Output = Result<Exit, String>> + Send;

    /// One check of a frontend at `address`, given up after `patience`; `Err` says why it failed.
    fn probe(
        &self,
        kind: &CheckKind,
        patience: Duration,
        address: &str,
    ) -> impl Future<Output = Result<(), String>> + Send;

    /// Ends the process and every step, by force after `grace`, within which `before` runs first.
    fn stop(
        &self,
        id: FrontendId,
        grace: Duration,
        before: Option<Launch>,
    ) -> impl Future<Output = Result<Exit, String>> + Send;

    /// Lets singletons run until then; see [`Runtime::renew`](super::runtime::Runtime::renew).
    fn renew(&self, until: Boot) -> impl Future<Output = Result<(), String>> + Send;

    /// Lets a frontend be started again of which nothing runs.
    fn revive(&self, id: FrontendId) -> impl Future<Output = Result<(), String>> + Send;

    /// Removes whatever an ended frontend has left.
    fn clean(&self, id: FrontendId) -> impl Future<Output = Result<(), String>> + Send;

    /// Lets go of unpacked artefacts outside `in_use`.
    fn collect(&self, in_use: &BTreeSet<Digest>) -> impl Future<Output = ()> + Send;

    /// Whether a process could listen on this port now.
    fn port_is_free(&self, port: u16) -> bool;
}

#[derive(Clone, Debug)]
pub(crate) enum Sighting {
    /// Everything the runtime knew when it was asked at `asked_at`.
    Inventory {
        asked_at: Instant,
        found: BTreeMap<FrontendId, Found>,
    },
    Exited(FrontendId, Exit),
}

/// What a start has come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Started {
    Running {
        pid: u32,
    },
    /// It ran, and has ended already.
    Exited(Exit),
    /// There never was a process; why.
    Not(String),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub(crate) struct FetchError {
    pub(crate) reason: String,
    /// Another attempt would see the same.
    pub(crate) hopeless: bool,
}
