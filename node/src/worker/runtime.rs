//! How frontends are run. The supervisor decides *when*; a [`Runtime`] knows *how*.
//!
//! A frontend is started at most once: its id is never used again, and an implementation must
//! remember an exited frontend until [`Runtime::remove`] or [`Runtime::revive`], so that a repeated
//! order starts nothing.

pub mod process;
pub mod workshop;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, SystemTime},
};

use tokio::sync::mpsc;

use crate::clock::Boot;

/// The cluster-wide id of a frontend, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FrontendKey(pub u64);

impl std::fmt::Display for FrontendKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// What a frontend runs, as its manifest says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// One line, given to `/bin/sh`; see [`process`] for how.
    Line(String),
    /// Program and arguments, executed as they are.
    Words(Vec<String>),
}

/// A command that runs beside the main one of a frontend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Before it.
    Init,
    /// As soon as it runs.
    PostStart,
    /// Before it is told to end.
    PreStop,
}

impl Step {
    pub const ALL: [Self; 3] = [Self::Init, Self::PostStart, Self::PreStop];
}

impl std::fmt::Display for Step {
    /// As sentences about it begin.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Init => "init step",
            Self::PostStart => "postStart",
            Self::PreStop => "preStop",
        })
    }
}

/// Limits of one frontend; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: Option<u64>,
    /// Thousandths of a core.
    pub cpu_millicores: Option<u32>,
    pub pids: Option<u32>,
}

/// Everything a runtime needs to run one frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrontendSpec {
    pub id: FrontendKey,
    /// The unpacked artefact, read-only to the frontend and shared by all of its release.
    pub code: PathBuf,
    pub command: Command,
    /// Variables of the release and system variables, `PORT` among them.
    pub env: BTreeMap<String, String>,
    /// The one port it may listen on.
    pub port: Option<u16>,
    pub limits: Limits,
    /// It may run only until the end of the tenure, see [`Runtime::renew`].
    pub singleton: bool,
}

/// A frontend whose directories and rights are ready, so that starting it is one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared<P> {
    pub id: FrontendKey,
    /// What the implementation needs to start it.
    pub plan: P,
}

/// A frontend as the runtime sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Running {
    pub id: FrontendKey,
    /// `None` once it has ended.
    pub pid: Option<u32>,
    pub started_at: Option<SystemTime>,
    /// Set when it has ended; nothing of it runs then.
    pub exit: Option<Exit>,
}

/// How a frontend ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub status: ExitStatus,
    pub out_of_memory: bool,
    /// Ended because its tenure was not renewed.
    pub tenure_over: bool,
    pub at: SystemTime,
    /// The last lines of its output, oldest first.
    pub last_lines: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
    /// Nobody was there to see it.
    Unknown,
}

/// A reading of one running frontend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub id: FrontendKey,
    /// CPU time since its start in microseconds, a counter.
    pub cpu_usec: u64,
    /// Resident bytes without reclaimable cache.
    pub memory_bytes: u64,
    /// Those that are alive.
    pub processes: u32,
}

/// A frontend that ended; nothing of it runs any more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exited {
    pub id: FrontendKey,
    pub exit: Exit,
}

/// Why a runtime could not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The order can never succeed on this node; the sentence is for the author of the release.
    #[error("{0}")]
    Impossible(String),
    #[error("{doing} {}", path.display())]
    Files {
        doing: &'static str,
        path: PathBuf,
        source: std::io::Error,
    },
    /// The command cannot be executed; the sentence is for the author of the release.
    #[error("{message}")]
    NotExecutable { message: String },
    #[error("frontend {0} is not known to the runtime")]
    Unknown(FrontendKey),
    /// The machinery of the node failed; trying again may help.
    #[error("runtime is unavailable")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    /// Whether the same order may succeed later.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

/// One way to run frontends. Every call may be repeated after a lost answer.
pub trait Runtime: Send + Sync + 'static {
    /// What [`prepare`](Self::prepare) hands to [`start`](Self::start).
    type Plan: Send;

    /// Makes the directories of a frontend and decides its rights; starts nothing.
    fn prepare(
        &self,
        spec: FrontendSpec,
    ) -> impl Future<Output = Result<Prepared<Self::Plan>, Error>> + Send;

    /// Starts it and returns once it is executed. One that has already ended is returned so.
    fn start(
        &self,
        prepared: Prepared<Self::Plan>,
    ) -> impl Future<Output = Result<Running, Error>> + Send;

    /// Runs a step of a frontend to its end, in its place and with its rights. A frontend has each
    /// step once: asked again, this waits for the same one, or tells how it ended.
    fn run_step(
        &self,
        step: Step,
        spec: FrontendSpec,
    ) -> impl Future<Output = Result<Exit, Error>> + Send;

    /// Everything that runs or has ended and was not removed, from before this process began too. A
    /// frontend of which there is only a step is told as that.
    fn adopt(&self) -> impl Future<Output = Result<Vec<Running>, Error>> + Send;

    /// Ends it, by force after `grace`, and with it its steps; returns once nothing of it runs.
    fn stop(
        &self,
        id: FrontendKey,
        grace: Duration,
    ) -> impl Future<Output = Result<Exit, Error>> + Send;

    /// Forgets that a frontend and its steps have run, so that it may be started again in the same
    /// place: for a machine that lost its power. Only when nothing of it runs.
    fn revive(&self, id: FrontendKey) -> impl Future<Output = Result<(), Error>> + Send;

    /// Forgets a frontend that has ended, with its directory and its logs. Unknown ones are fine.
    fn remove(&self, id: FrontendKey) -> impl Future<Output = Result<(), Error>> + Send;

    /// Lets singletons run until then. At its end they are told to end, and killed
    /// [a little later](fleet_model::node::SINGLETONS_KILLED_AFTER), whether or not anybody who
    /// could call this still lives; and none is started before it is renewed.
    fn renew(&self, until: Boot) -> impl Future<Output = Result<(), Error>> + Send;

    /// Readings of those that run; the others are left out.
    fn usage(&self, ids: &[FrontendKey]) -> impl Future<Output = Result<Vec<Usage>, Error>> + Send;

    /// Exits from now on. To miss none, call this first and [`adopt`](Self::adopt) after it; do so
    /// again when the stream ends.
    fn exits(&self) -> impl Future<Output = Result<mpsc::Receiver<Exited>, Error>> + Send;

    /// The last `lines` lines of its output, oldest first, each with its time and stream.
    fn tail(
        &self,
        id: FrontendKey,
        lines: u32,
    ) -> impl Future<Output = Result<Vec<String>, Error>> + Send;
}
