//! The [`Hands`] of a real worker: a runtime for processes, a cache for artefacts, sockets for
//! checks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fleet_model::ids::{Digest, FrontendId};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::artefacts::{Artefacts, Source};
use super::assignment::{self, Artefact, CheckKind};
use super::hands::{FetchError, Hands, Sighting, Started};
use super::launch::Launch;
use super::probe;
use super::runtime::{self, FrontendKey, FrontendSpec, Runtime, Step};
use super::supervisor::{Exit, Found};
use crate::clock::Boot;

/// Between attempts while the runtime is away: a holder that is started anew is back within tens
/// of milliseconds.
const RUNTIME_RETRY: Duration = Duration::from_millis(200);

/// Between SIGTERM and SIGKILL whatever a step before has used up, unless the grace is shorter.
const LAST_GRACE: Duration = Duration::from_secs(2);

pub(crate) struct Machine<R, S> {
    runtime: Arc<R>,
    artefacts: Artefacts<S>,
}

impl<R: Runtime, S: Source> Machine<R, S> {
    pub(crate) fn new(runtime: Arc<R>, artefacts: Artefacts<S>) -> Self {
        Self { runtime, artefacts }
    }

    async fn launch(&self, spec: &FrontendSpec) -> Result<runtime::Running, runtime::Error> {
        let prepared = self.runtime.prepare(spec.clone()).await?;
        self.runtime.start(prepared).await
    }
}

impl<R: Runtime, S: Source> Hands for Machine<R, S> {
    fn sightings(&self) -> mpsc::Receiver<Sighting> {
        let (tell, sightings) = mpsc::channel(64);
        tokio::spawn(watch(self.runtime.clone(), tell));
        sightings
    }

    async fn fetch(&self, artefact: &Artefact) -> Result<(), FetchError> {
        self.artefacts.provide(artefact).await
    }

    async fn start(&self, launch: Launch) -> Started {
        let code = self.artefacts.directory(&launch.artefact);
        let spec = spec(launch, code);
        loop {
            match self.launch(&spec).await {
                Ok(runtime::Running {
                    exit: Some(exit), ..
                }) => return Started::Exited(exit.into()),
                Ok(runtime::Running { pid: Some(pid), .. }) => return Started::Running { pid },
                Ok(_) => return Started::Exited(Exit::default()),
                Err(error) if error.is_transient() => {
                    tracing::warn!(frontend = %spec.id, error = %chain(&error), "could not start; will be tried again");
                    sleep(RUNTIME_RETRY).await;
                }
                Err(error) => {
                    return Started::Not(format!("could not be started: {}", chain(&error)));
                }
            }
        }
    }

    async fn run_step(&self, step: Step, launch: Launch) -> Result<Exit, String> {
        let code = self.artefacts.directory(&launch.artefact);
        let spec = spec(launch, code);
        loop {
            match self.runtime.run_step(step, spec.clone()).await {
                Ok(exit) => return Ok(exit.into()),
                Err(error) if error.is_transient() => {
                    tracing::warn!(frontend = %spec.id, %step, error = %chain(&error), "could not run a step; will be tried again");
                    sleep(RUNTIME_RETRY).await;
                }
                Err(error) => return Err(format!("could not be started: {}", chain(&error))),
            }
        }
    }

    async fn probe(
        &self,
        kind: &CheckKind,
        patience: Duration,
        address: &str,
    ) -> Result<(), String> {
        probe::probe(kind, patience, address).await
    }

    async fn stop(
        &self,
        id: FrontendId,
        grace: Duration,
        before: Option<Launch>,
    ) -> Result<Exit, String> {
        let began = Instant::now();
        if let Some(launch) = before {
            let step = self.run_step(Step::PreStop, launch);
            let ended = tokio::time::timeout(grace, step).await;
            // Whatever it came to, the frontend is to end.
            let problem = match ended {
                Ok(Ok(exit)) => exit.problem(),
                Ok(Err(reason)) => Some(reason),
                Err(_) => Some("took the whole termination grace".to_owned()),
            };
            if let Some(problem) = problem {
                tracing::warn!(frontend = %id, "{}: {problem}", Step::PreStop);
            }
        }
        let left = grace.saturating_sub(began.elapsed());
        let grace = left.max(LAST_GRACE.min(grace));
        match self.runtime.stop(key(id), grace).await {
            Ok(exit) => Ok(exit.into()),
            // Nothing of it runs, which is all that was asked for.
            Err(runtime::Error::Unknown(_)) => Ok(Exit::default()),
            Err(error) => Err(chain(&error)),
        }
    }

    async fn renew(&self, until: Boot) -> Result<(), String> {
        let renewed = self.runtime.renew(until).await;
        renewed.map_err(|error| chain(&error))
    }

    async fn revive(&self, id: FrontendId) -> Result<(), String> {
        let revived = self.runtime.revive(key(id)).await;
        revived.map_err(|error| chain(&error))
    }

    async fn clean(&self, id: FrontendId) -> Result<(), String> {
        self.runtime
            .remove(key(id))
            .await
            .map_err(|error| chain(&error))
    }

    async fn collect(&self, in_use: &BTreeSet<Digest>) {
        if let Err(error) = self.artefacts.collect(in_use, SystemTime::now()).await {
            tracing::warn!(%error, "could not remove unused artefacts");
        }
    }

    fn port_is_free(&self, port: u16) -> bool {
        // As most applications do: on every address.
        TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).is_ok()
    }
}

/// Subscribes, then takes stock, so that no exit falls in between; anew whenever the stream ends.
async fn watch<R: Runtime>(runtime: Arc<R>, tell: mpsc::Sender<Sighting>) {
    while !tell.is_closed() {
        if let Err(error) = watch_once(runtime.as_ref(), &tell).await {
            tracing::warn!(error = %chain(&error), "lost sight of the runtime");
            sleep(RUNTIME_RETRY).await;
        }
    }
}

async fn watch_once<R: Runtime>(
    runtime: &R,
    tell: &mpsc::Sender<Sighting>,
) -> Result<(), runtime::Error> {
    let mut exits = runtime.exits().await?;
    let asked_at = Instant::now();
    let found = runtime.adopt().await?.into_iter().map(|running| {
        let started_unix_ms = running.started_at.map(unix_ms).unwrap_or_default();
        let found = match (running.exit, running.pid) {
            (Some(exit), _) => Found::Exited(exit.into()),
            (None, Some(pid)) => Found::Running {
                pid,
                started_unix_ms,
            },
            (None, None) => Found::Exited(Exit::default()),
        };
        (FrontendId(running.id.0), found)
    });
    let found: BTreeMap<_, _> = found.collect();
    // Closed means that the supervisor has ended, and with it this task.
    let mut open = tell
        .send(Sighting::Inventory { asked_at, found })
        .await
        .is_ok();
    while open {
        let Some(exited) = exits.recv().await else {
            break;
        };
        let sighting = Sighting::Exited(FrontendId(exited.id.0), exited.exit.into());
        open = tell.send(sighting).await.is_ok();
    }
    Ok(())
}

fn spec(launch: Launch, code: std::path::PathBuf) -> FrontendSpec {
    FrontendSpec {
        id: key(launch.id),
        code,
        command: match launch.command {
            assignment::Command::Line(line) => runtime::Command::Line(line),
            assignment::Command::Words(words) => runtime::Command::Words(words),
        },
        env: launch.environment,
        port: launch.port,
        limits: runtime::Limits {
            memory_bytes: launch.limits.memory_bytes,
            cpu_millicores: launch.limits.cpu_millicores,
            pids: launch.limits.pids,
        },
        singleton: launch.singleton,
    }
}

impl From<runtime::Exit> for Exit {
    fn from(exit: runtime::Exit) -> Self {
        let (code, signal) = match exit.status {
            runtime::ExitStatus::Code(code) => (Some(code), None),
            runtime::ExitStatus::Signal(signal) => (None, Some(signal)),
            runtime::ExitStatus::Unknown => (None, None),
        };
        Self {
            code,
            signal,
            out_of_memory: exit.out_of_memory,
            tenure_over: exit.tenure_over,
            last_lines: exit.last_lines,
        }
    }
}

fn key(id: FrontendId) -> FrontendKey {
    FrontendKey(id.0)
}

fn unix_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// An error with all its causes, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}
