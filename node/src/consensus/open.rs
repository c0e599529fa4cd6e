//! Starting and stopping a consensus node.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

use super::applier::Applier;
use super::config::raft_config;
use super::handle::{Core, Handle};
use super::identity;
use super::log_store::{Closed, Found, LogIo, LogStore, Rocks};
use super::snapshot::{SnapshotDir, SnapshotError};
use super::status::watch_status;
use super::transport::{Credentials, NetworkFactory, Pool};
use super::types::Raft;
use super::{OpenError, Options, StateMachine};

/// How long closing the log may take before the directory is left to the process's end.
const CLOSE: Duration = Duration::from_secs(10);

/// A consensus node and the threads it runs on.
pub struct Consensus {
    handle: Handle,
    closed: Closed,
    threads: Threads,
}

/// The runtime of a node; none: the caller's.
struct Threads(Option<Runtime>);

impl Threads {
    fn stop(&mut self) {
        if let Some(runtime) = self.0.take() {
            // A runtime must not be waited for where other tasks run.
            runtime.shutdown_background();
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Consensus {
    /// Makes an empty store under an id that was never used before, and starts on it. The node is
    /// then either bootstrapped ([`Handle::bootstrap`], first node) or added by the leader.
    ///
    /// # Errors
    /// [`OpenError::NotEmpty`] if the directory already holds a store, of whomever.
    pub async fn create(options: Options, machine: impl StateMachine) -> Result<Self, OpenError> {
        let io = rocks(&options, true).await?;
        found(&options, io.clone())?;
        Self::start(options, io, machine).await
    }

    /// Starts on the store of this node.
    ///
    /// # Errors
    /// If there is none, it is another's, it lost what was durable, or it is damaged: see
    /// [`OpenError`] and [`OpenError::exit_code`].
    pub async fn open(options: Options, machine: impl StateMachine) -> Result<Self, OpenError> {
        if !Rocks::exists(&options.dir) {
            return Err(identity::wiped(&options));
        }
        let io = rocks(&options, false).await?;
        Self::start(options, io, machine).await
    }

    /// Starts on a given disk that already carries an identity (simulation).
    ///
    /// # Errors
    /// As [`Consensus::open`].
    pub async fn start(
        options: Options,
        io: Arc<dyn LogIo>,
        machine: impl StateMachine,
    ) -> Result<Self, OpenError> {
        let identity = identity::read(io.as_ref()).map_err(|error| failed(&options, error))?;
        identity::check(identity, &options)?;
        let threads = threads(&options)?;
        let (handle, closed) = match &threads.0 {
            None => build(options, io, machine).await?,
            Some(runtime) => {
                let built = runtime.spawn(build(options, io, machine)).await;
                built.map_err(|error| OpenError::Start(error.to_string()))??
            }
        };
        Ok(Self {
            handle,
            closed,
            threads,
        })
    }

    /// What the rest of the node uses.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Drops every task where it stands, as a killed process would, and returns when the directory
    /// may be opened again.
    #[cfg(test)]
    pub(super) async fn kill(self) {
        let Self {
            handle,
            mut closed,
            mut threads,
        } = self;
        threads.stop();
        // Requests that were queued on a connection, and with them readers of the log, live as long
        // as whoever could still send on it.
        drop(handle);
        closed.wait().await;
    }

    /// Stops, and returns when the log is closed. Nothing acknowledged depends on it, and killing the
    /// process is as safe; but a process that *returns* from `main` while the database is closing in
    /// the background is aborted by it, so wait for this first.
    pub async fn shutdown(mut self) {
        self.handle.stop().await;
        if tokio::time::timeout(CLOSE, self.closed.wait())
            .await
            .is_err()
        {
            tracing::warn!("the log is still in use");
        }
        self.threads.stop();
    }
}

/// Writes the identity of a store that was just made.
fn found(options: &Options, io: Arc<dyn LogIo>) -> Result<(), OpenError> {
    let existing = identity::read(io.as_ref()).map_err(|error| failed(options, error))?;
    if let Some(existing) = existing {
        return Err(OpenError::NotEmpty {
            dir: options.dir.clone(),
            cluster_id: existing.cluster_id,
            node_id: existing.node_id,
        });
    }
    identity::write(io.as_ref(), &options.cluster_id, options.node_id)
        .map_err(|error| failed(options, error))
}

async fn build(
    options: Options,
    io: Arc<dyn LogIo>,
    machine: impl StateMachine,
) -> Result<(Handle, Closed), OpenError> {
    let (mut store, found) =
        LogStore::open(io, options.on_fatal.clone()).map_err(|error| failed(&options, error))?;
    let mut closed = store.closed();
    match assemble(options, store, found, machine).await {
        Ok(handle) => Ok((handle, closed)),
        Err(error) => {
            // Whoever is refused may try again at once: the flusher must have let go of the disk.
            closed.wait().await;
            Err(error)
        }
    }
}

/// Checks what the store and the snapshots hold, and starts the library on them.
async fn assemble(
    options: Options,
    store: LogStore,
    found: Found,
    machine: impl StateMachine,
) -> Result<Handle, OpenError> {
    let config = raft_config(&options)?;
    let credentials =
        Credentials::new(&options.cluster_id, options.node_id).map_err(OpenError::Options)?;
    identity::check_tail(&found, &options.dir)?;
    let snapshots = SnapshotDir::open(
        &options.snapshot_dir,
        &options.cluster_id,
        found.purged_index,
    )
    .map_err(|error| snapshot_failed(&options, found.purged_index, error))?;
    check_snapshot(&options, &snapshots, found.purged_index)?;
    let pool = Pool::new(&options);
    let network = NetworkFactory {
        pool: pool.clone(),
        credentials: credentials.clone(),
        append_idle: options.timers.election_max,
        snapshot_bytes_per_second: options.snapshot_bytes_per_second,
    };
    let meter = store.meter();
    let (applied_tx, applied) = watch::channel(0);
    let applier = Applier::new(machine, snapshots.clone(), applied_tx);
    let raft = Raft::new(options.node_id, config, network, store, applier)
        .await
        .map_err(|fatal| OpenError::Start(fatal.to_string()))?;
    let closing = Arc::new(AtomicBool::new(false));
    let status = watch_status(&raft, closing.clone());
    Ok(Handle::new(Core {
        raft,
        node_id: options.node_id,
        advertise: options.advertise,
        timers: options.timers,
        clock: options.clock,
        expelled: options.expelled,
        credentials,
        pool,
        snapshots,
        meter,
        applied,
        leadership: status.leadership,
        failed: status.failed,
        closing,
        vigil: super::vigil::Watch::default(),
    }))
}

/// The log must continue where the snapshot ends, or before.
fn check_snapshot(
    options: &Options,
    snapshots: &SnapshotDir,
    purged: Option<u64>,
) -> Result<(), OpenError> {
    let Some(purged) = purged else { return Ok(()) };
    let covered = snapshots
        .current()
        .and_then(|(meta, _)| meta.last_log_id)
        .map(|id| id.index);
    if covered.is_some_and(|covered| covered >= purged) {
        return Ok(());
    }
    let what = covered.map_or("there is none".to_owned(), |index| {
        format!("it ends at {index}")
    });
    Err(OpenError::NoSnapshot {
        dir: options.snapshot_dir.clone(),
        purged,
        what,
    })
}

async fn rocks(options: &Options, create: bool) -> Result<Arc<dyn LogIo>, OpenError> {
    let dir = options.dir.clone();
    let open = move || Rocks::open(&dir, create);
    let opened = tokio::task::spawn_blocking(open)
        .await
        .map_err(io::Error::other);
    match opened.and_then(std::convert::identity) {
        Ok(rocks) => Ok(Arc::new(rocks)),
        Err(error) => Err(failed(options, error)),
    }
}

/// Consensus gets threads of its own: planning, encoding and proxied calls on the same ones would
/// delay heartbeats, and a delayed heartbeat is an election.
fn threads(options: &Options) -> Result<Threads, OpenError> {
    if options.threads == 0 {
        return Ok(Threads(None));
    }
    Builder::new_multi_thread()
        .worker_threads(options.threads)
        .thread_name("raft")
        .enable_all()
        .build()
        .map(|runtime| Threads(Some(runtime)))
        .map_err(|error| failed(options, error))
}

fn failed(options: &Options, error: io::Error) -> OpenError {
    let dir = options.dir.clone();
    match error.kind() {
        io::ErrorKind::InvalidData => OpenError::Corrupt {
            dir,
            what: error.to_string(),
        },
        _ => OpenError::Io { dir, source: error },
    }
}

fn snapshot_failed(options: &Options, purged: Option<u64>, error: SnapshotError) -> OpenError {
    let dir = options.snapshot_dir.clone();
    match (error, purged) {
        (SnapshotError::Io(source), _) => OpenError::Io { dir, source },
        (error, Some(purged)) => OpenError::NoSnapshot {
            dir,
            purged,
            what: error.to_string(),
        },
        (error, None) => OpenError::Corrupt {
            dir,
            what: error.to_string(),
        },
    }
}
