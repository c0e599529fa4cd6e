//! The agent's side of the holder's socket.
//!
//! A client survives its holder: a call that finds the connection gone opens a new one, and a
//! client made by [`Client::ensure`] starts a new holder if none answers. A call whose answer is
//! lost is repeated once, which does no harm: starting, stopping, listening and forgetting are
//! idempotent.

mod connection;
mod launch;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use fleet_proto::internal::{self as pb, holder_call as ask, holder_reply as answer};
use tokio::sync::{Mutex, mpsc};

use self::{connection::Connection, launch::Launch};
use super::{
    capabilities::Capabilities,
    convert::{self, Malformed},
    spec::{ProcessEvent, ProcessId, ProcessInfo, ProcessSpec, Usage},
};
use crate::clock::Boot;

/// For calls that the holder answers at once.
const PROMPT: Duration = Duration::from_secs(10);

/// Beyond the time a call is known to take: reading an executable from a slow disk, killing and
/// reaping a large tree on a loaded machine.
const MARGIN: Duration = Duration::from_secs(30);

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no holder answers in {}", run_dir.display())]
    Unreachable {
        run_dir: PathBuf,
        source: std::io::Error,
    },
    #[error("holder could not be started from {}", exe.display())]
    Launch {
        exe: PathBuf,
        source: std::io::Error,
    },
    #[error(
        "holder did not answer within {0:?} of its start; see logs/holder.log in the data directory"
    )]
    LaunchTimedOut(Duration),
    #[error("connection to the holder was lost before it answered")]
    Disconnected,
    #[error("holder did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("holder answered out of turn: {0}")]
    Protocol(String),
    /// The holder said no.
    #[error("{message}")]
    Refused { refusal: Refusal, message: String },
}

/// Why the holder said no.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The request itself is wrong.
    Invalid,
    /// No process or listener of that name.
    Unknown,
    /// The name is taken by something different, or the process still runs.
    Conflict,
    /// The process could not be started, with the errno where there is one.
    Spawn {
        errno: Option<i32>,
    },
    /// A replacement ended, or its time ended, before it was ready.
    NotReady,
    /// The address could not be bound.
    Address,
    /// The holder itself failed: disk, cgroups, descriptors.
    Internal,
    ShuttingDown,
    /// It may run only while its tenure is renewed, and that is over.
    TenureOver,
}

impl Error {
    /// The holder's reason, when it was the holder who said no.
    #[must_use]
    pub fn refusal(&self) -> Option<Refusal> {
        match self {
            Self::Refused { refusal, .. } => Some(*refusal),
            _ => None,
        }
    }
}

impl From<Malformed> for Error {
    fn from(error: Malformed) -> Self {
        Self::Protocol(error.0)
    }
}

/// What answered a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    pub version: String,
    pub pid: u32,
    pub capabilities: Capabilities,
}

/// A handle to the holder of one data directory; cheap to clone.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    run_dir: PathBuf,
    launch: Option<Launch>,
    current: Mutex<Option<Connection>>,
}

impl Client {
    /// Connects to a running holder; `run_dir` is `run` in the data directory.
    pub async fn connect(run_dir: &Path) -> Result<Self, Error> {
        let client = Self::new(run_dir.to_owned(), None);
        client.connection().await?;
        Ok(client)
    }

    /// Connects to the holder of `data_dir`, starting `exe hold --data-dir <data_dir>` detached
    /// from this process when none answers.
    pub async fn ensure(data_dir: &Path, exe: &Path) -> Result<Self, Error> {
        let client = Self::new(data_dir.join("run"), Some(Launch::new(data_dir, exe)));
        client.connection().await?;
        Ok(client)
    }

    fn new(run_dir: PathBuf, launch: Option<Launch>) -> Self {
        Self {
            shared: Arc::new(Shared {
                run_dir,
                launch,
                current: Mutex::new(None),
            }),
        }
    }

    pub async fn ping(&self) -> Result<Version, Error> {
        match self.call(ask::Request::Ping(ask::Ping {}), PROMPT).await? {
            answer::Result::Pong(pong) => Ok(Version {
                version: pong.version,
                pid: pong.pid,
                capabilities: convert::capabilities_from_wire(
                    pong.capabilities.unwrap_or_default(),
                ),
            }),
            other => Err(unexpected(&other)),
        }
    }

    /// Lets processes with [`tenured`](ProcessSpec::tenured) run until then. It never moves back.
    pub async fn renew(&self, until: Boot) -> Result<(), Error> {
        let request = ask::Renew {
            until_boot_ms: until.0,
        };
        match self.call(ask::Request::Renew(request), PROMPT).await? {
            answer::Result::Done(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    /// Binds `addr` under a name, once; the same name and address again returns what is bound.
    pub async fn listen(&self, name: &str, addr: SocketAddr) -> Result<SocketAddr, Error> {
        let request = ask::Listen {
            name: name.to_owned(),
            address: addr.to_string(),
        };
        match self.call(ask::Request::Listen(request), PROMPT).await? {
            answer::Result::Listening(listening) => listening
                .address
                .parse()
                .map_err(|_| Error::Protocol(format!("{:?} is no address", listening.address))),
            other => Err(unexpected(&other)),
        }
    }

    /// Starts a process and returns once it is executed. An id that runs with an equal spec is
    /// returned as it is; one that has exited is returned as it ended, except that a process with
    /// [`Restart::Always`](super::Restart::Always) is started anew.
    pub async fn start(&self, spec: ProcessSpec) -> Result<ProcessInfo, Error> {
        let request = ask::Start {
            spec: Some(convert::spec_to_wire(&spec)),
        };
        self.process(ask::Request::Start(request), MARGIN).await
    }

    /// Starts `spec` beside `old`, waits until it is ready, and then ends `old` with its own
    /// grace. Returns when the new one is ready; `old` stays if it does not become so.
    pub async fn replace(&self, old: &ProcessId, spec: ProcessSpec) -> Result<ProcessInfo, Error> {
        let deadline = spec.ready_within + MARGIN;
        let request = ask::Replace {
            old_id: old.as_str().to_owned(),
            spec: Some(convert::spec_to_wire(&spec)),
        };
        self.process(ask::Request::Replace(request), deadline).await
    }

    /// Everything the holder knows, also what has exited and was not forgotten.
    pub async fn list(&self) -> Result<Vec<ProcessInfo>, Error> {
        match self.call(ask::Request::List(ask::List {}), PROMPT).await? {
            answer::Result::Processes(list) => Ok(list
                .processes
                .into_iter()
                .map(convert::process_from_wire)
                .collect::<Result<_, _>>()?),
            other => Err(unexpected(&other)),
        }
    }

    /// SIGTERM to the main process, SIGKILL to the whole tree after `grace`; returns once nothing
    /// of it runs. A second call with a shorter grace shortens it.
    pub async fn stop(&self, id: &ProcessId, grace: Duration) -> Result<ProcessInfo, Error> {
        let request = ask::Stop {
            id: id.as_str().to_owned(),
            grace_ms: convert::millis(grace),
        };
        self.process(ask::Request::Stop(request), grace + MARGIN)
            .await
    }

    /// SIGKILL to the whole tree at once.
    pub async fn kill(&self, id: &ProcessId) -> Result<ProcessInfo, Error> {
        self.stop(id, Duration::ZERO).await
    }

    /// Drops the record, the exit report and the logs of a process that has exited. One that is
    /// not known is forgotten already.
    pub async fn forget(&self, id: &ProcessId) -> Result<(), Error> {
        self.forget_but(id, false).await
    }

    /// The same, but its log stays for a process that will be started under the same name.
    pub async fn forget_exit(&self, id: &ProcessId) -> Result<(), Error> {
        self.forget_but(id, true).await
    }

    async fn forget_but(&self, id: &ProcessId, keep_logs: bool) -> Result<(), Error> {
        let request = ask::Forget {
            id: id.as_str().to_owned(),
            keep_logs,
        };
        self.done(ask::Request::Forget(request), PROMPT).await
    }

    /// Events from now on. To miss nothing, call this first and [`list`](Self::list) after it. The
    /// stream ends when the holder does, and when the receiver falls far behind; begin anew then.
    pub async fn events(&self) -> Result<mpsc::Receiver<ProcessEvent>, Error> {
        let mut connection = self.open().await?;
        let events = connection.take_events();
        match connection
            .call(ask::Request::Watch(ask::Watch {}), PROMPT)
            .await?
        {
            answer::Result::Done(_) => Ok(events),
            other => Err(unexpected(&other)),
        }
    }

    /// The last `lines` lines of the log of a process, oldest first, as written to the log file:
    /// time, `out` or `err`, text.
    pub async fn tail(&self, id: &ProcessId, lines: u32) -> Result<Vec<String>, Error> {
        let request = ask::Tail {
            id: id.as_str().to_owned(),
            lines,
        };
        match self.call(ask::Request::Tail(request), PROMPT).await? {
            answer::Result::Lines(lines) => {
                Ok(lines.lines.iter().map(|line| convert::text(line)).collect())
            }
            other => Err(unexpected(&other)),
        }
    }

    /// What the trees of these processes use; those that do not run are left out.
    pub async fn usage(&self, ids: &[ProcessId]) -> Result<Vec<Usage>, Error> {
        let ids = ids.iter().map(|id| id.as_str().to_owned()).collect();
        match self
            .call(ask::Request::Usage(ask::Usage { ids }), PROMPT)
            .await?
        {
            answer::Result::Usages(usages) => Ok(usages
                .usages
                .into_iter()
                .map(convert::usage_from_wire)
                .collect::<Result<_, _>>()?),
            other => Err(unexpected(&other)),
        }
    }

    /// Stops every process with `grace`, then ends the holder. Returns when nothing is left.
    pub async fn shutdown_all(&self, grace: Duration) -> Result<(), Error> {
        let request = ask::ShutDown {
            grace_ms: convert::millis(grace),
        };
        // Not repeated, lest a new holder be started to be shut down.
        let connection = self.connection().await?;
        match connection
            .call(ask::Request::ShutDown(request), grace + MARGIN)
            .await?
        {
            answer::Result::Done(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn process(&self, request: ask::Request, within: Duration) -> Result<ProcessInfo, Error> {
        match self.call(request, within).await? {
            answer::Result::Process(process) => Ok(convert::process_from_wire(process)?),
            other => Err(unexpected(&other)),
        }
    }

    async fn done(&self, request: ask::Request, within: Duration) -> Result<(), Error> {
        match self.call(request, within).await? {
            answer::Result::Done(_) => Ok(()),
            other => Err(unexpected(&other)),
        }
    }

    async fn call(&self, request: ask::Request, within: Duration) -> Result<answer::Result, Error> {
        match self.connection().await?.call(request.clone(), within).await {
            Err(Error::Disconnected) => self.connection().await?.call(request, within).await,
            answered => answered,
        }
    }

    /// The connection shared by all calls, opened again if it was lost.
    async fn connection(&self) -> Result<Connection, Error> {
        let mut current = self.shared.current.lock().await;
        if let Some(connection) = current
            .as_ref()
            .filter(|connection| !connection.is_closed())
        {
            return Ok(connection.clone());
        }
        let connection = self.open().await?;
        *current = Some(connection.clone());
        Ok(connection)
    }

    async fn open(&self) -> Result<Connection, Error> {
        match (Connection::open(&self.shared.run_dir), &self.shared.launch) {
            (Ok(connection), _) => Ok(connection),
            (Err(_), Some(launch)) => launch.holder(&self.shared.run_dir).await,
            (Err(source), None) => Err(Error::Unreachable {
                run_dir: self.shared.run_dir.clone(),
                source,
            }),
        }
    }
}

fn unexpected(result: &answer::Result) -> Error {
    let kind = match result {
        answer::Result::Refused(refused) => return refused_error(refused),
        answer::Result::Pong(_) => "pong",
        answer::Result::Listening(_) => "listening",
        answer::Result::Process(_) => "process",
        answer::Result::Processes(_) => "processes",
        answer::Result::Done(_) => "done",
        answer::Result::Lines(_) => "lines",
        answer::Result::Usages(_) => "usages",
    };
    Error::Protocol(format!("{kind} does not answer this request"))
}

fn refused_error(refused: &answer::Refused) -> Error {
    use answer::refused::Kind;
    let refusal = match refused.kind() {
        Kind::Invalid => Refusal::Invalid,
        Kind::Unknown => Refusal::Unknown,
        Kind::Conflict => Refusal::Conflict,
        Kind::Spawn => Refusal::Spawn {
            errno: (refused.errno != 0).then_some(refused.errno),
        },
        Kind::NotReady => Refusal::NotReady,
        Kind::Address => Refusal::Address,
        Kind::Internal | Kind::Unspecified => Refusal::Internal,
        Kind::ShuttingDown => Refusal::ShuttingDown,
        Kind::TenureOver => Refusal::TenureOver,
    };
    Error::Refused {
        refusal,
        message: refused.message.clone(),
    }
}

/// The wire form of a request, shared with the connection.
fn envelope(call: u64, request: ask::Request) -> pb::HolderCall {
    pb::HolderCall {
        call,
        request: Some(request),
    }
}
