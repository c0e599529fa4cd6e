//! The nouns of the holder: what to run, what runs, how it ended.

use std::{
    collections::BTreeMap,
    fmt,
    path::PathBuf,
    time::{Duration, SystemTime},
};

/// Name of a held process: `control`, `ingress-3`, `f-17`. It becomes a file name, a directory
/// name and a cgroup name, so only `[a-z0-9][a-z0-9.-]*` up to 64 bytes is let in.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProcessId(String);

/// An id that cannot name files and cgroups.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "process id {0:?} must be 1 to 64 of a-z, 0-9, '.' and '-', and begin with a letter or digit"
)]
pub struct InvalidProcessId(String);

impl ProcessId {
    /// Checks and takes a name.
    pub fn parse(id: &str) -> Result<Self, InvalidProcessId> {
        let first = id
            .bytes()
            .next()
            .is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
        let rest = id
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'.' | b'-'));
        if first && rest && id.len() <= 64 {
            Ok(Self(id.to_owned()))
        } else {
            Err(InvalidProcessId(id.to_owned()))
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Everything needed to run one process. Two equal specs have equal hashes, and starting the same
/// id with an equal spec twice starts it once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessSpec {
    pub id: ProcessId,
    /// Program and arguments; a program without a slash is looked up in `PATH` of `env`.
    pub argv: Vec<String>,
    /// The whole environment: nothing is inherited.
    pub env: BTreeMap<String, String>,
    pub cwd: PathBuf,
    /// `None` keeps the identity of the holder.
    pub user: Option<User>,
    pub limits: Limits,
    pub restart: Restart,
    /// Names given to [`listen`](super::Client::listen); passed as descriptors 3, 4, … with
    /// `LISTEN_FDS` and `LISTEN_FDNAMES` in the environment.
    pub listeners: Vec<String>,
    pub sandbox: Sandbox,
    /// The process says `READY=1\n` on the descriptor that `NOTIFY_FD` names. Without it, a
    /// process counts as ready once it is executed.
    pub notify: bool,
    /// Between SIGTERM and SIGKILL when the holder itself ends it: replaced or shut down.
    pub stop_grace: Duration,
    /// How long a replacement may take to become ready.
    pub ready_within: Duration,
    /// It may run only while [`renew`](super::Client::renew) is called again and again.
    pub tenured: bool,
}

impl ProcessSpec {
    /// A process without limits, sandbox or restart, with an empty environment, in `/`.
    #[must_use]
    pub fn new(id: ProcessId, argv: Vec<String>) -> Self {
        Self {
            id,
            argv,
            env: BTreeMap::new(),
            cwd: PathBuf::from("/"),
            user: None,
            limits: Limits::default(),
            restart: Restart::Never,
            listeners: Vec::new(),
            sandbox: Sandbox::default(),
            notify: false,
            stop_grace: Duration::from_secs(30),
            ready_within: Duration::from_secs(60),
            tenured: false,
        }
    }
}

/// Whose rights a process has. Supplementary groups are always emptied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

/// Limits on the whole tree of a process; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    pub memory_bytes: Option<u64>,
    /// Thousandths of a core.
    pub cpu_millicores: Option<u32>,
    /// Processes and threads.
    pub pids: Option<u32>,
    /// RLIMIT_NOFILE, of each process.
    pub open_files: Option<u32>,
}

/// What happens when a process ends without having been told to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Restart {
    /// It stays ended; whoever asked for it decides. Right for frontends.
    #[default]
    Never,
    /// It is started again after [a growing pause](super::backoff). Right for the tenants.
    Always,
}

/// What is taken away from a process before it is executed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    pub no_new_privs: bool,
    /// The deny-list of `sandbox/seccomp.rs`; implies `no_new_privs`.
    pub seccomp: bool,
    /// Implies `no_new_privs`. On kernels without Landlock it is left out, and
    /// [`Capabilities`](super::Capabilities) says so.
    pub landlock: Option<Landlock>,
}

/// What a process may still reach. Paths that do not exist are skipped: nothing is there to reach.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Landlock {
    pub read: Vec<PathBuf>,
    /// Read and execute.
    pub execute: Vec<PathBuf>,
    /// Read, write, create and delete.
    pub write: Vec<PathBuf>,
    /// The only TCP ports it may bind (kernel 6.7 and newer).
    pub bind_tcp: Vec<u16>,
}

/// Where a held process stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Cloned; whether the exec succeeds is not known yet.
    Starting,
    Running,
    /// Told to end.
    Stopping,
    /// Its main process has ended and the rest of its tree is being killed.
    Clearing,
    /// It ended and will be started again.
    BackingOff,
    /// Nothing of it runs, and the holder will not start it again.
    Exited,
}

/// One process as the holder sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessInfo {
    pub id: ProcessId,
    pub phase: Phase,
    pub ready: bool,
    /// The main process; `None` when there is none.
    pub pid: Option<u32>,
    /// How often it was started under this id.
    pub starts: u32,
    /// The latest start; `None` before the first.
    pub started_at: Option<SystemTime>,
    /// The latest exit, kept while it backs off or runs again.
    pub exit: Option<Exit>,
    /// SHA-256 of the spec.
    pub spec_hash: Vec<u8>,
    pub user: Option<User>,
    /// Started by an earlier holder, so its exit status may be unknown on old kernels.
    pub adopted: bool,
}

impl ProcessInfo {
    /// Whether a process of this name exists or will exist without anybody asking.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.phase != Phase::Exited
    }
}

/// How a process ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub status: ExitStatus,
    /// The kernel killed something in its tree for lack of memory.
    pub oom_killed: bool,
    /// The holder ended it because nobody renewed its tenure.
    pub tenure_over: bool,
    pub at: SystemTime,
    /// Its last lines of stdout and stderr, at most 20, as written.
    pub last_lines: Vec<String>,
}

/// The status of a main process that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExitStatus {
    Code(i32),
    Signal(i32),
    /// It ended while no holder was there to see it, on a kernel that cannot tell later.
    Unknown,
}

impl fmt::Display for ExitStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with code {code}"),
            Self::Signal(signal) => write!(f, "killed by signal {signal}"),
            Self::Unknown => f.write_str("ended with unknown status"),
        }
    }
}

/// Something that happened to a held process, with the process as it is after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessEvent {
    pub kind: EventKind,
    pub process: ProcessInfo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// The exec succeeded.
    Started,
    /// It said so, or needs not say so.
    Ready,
    /// Nothing of its tree runs any more.
    Exited,
    /// It ended and is started again after this pause.
    Restarting { pause: Duration },
}

/// What the tree of one process has used since its latest start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    pub id: ProcessId,
    /// CPU time in microseconds, a counter.
    pub cpu_usec: u64,
    /// Bytes, without file cache that could be reclaimed.
    pub memory_bytes: u64,
    pub pids: u32,
    /// How often the kernel killed one of its processes for lack of memory.
    pub oom_kills: u64,
}
