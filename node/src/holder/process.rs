//! One held process: what is known of it and what belongs to it.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use fleet_proto::internal::{HeldRecord, HeldSpec};
use prost::Message as _;
use sha2::{Digest as _, Sha256};

use super::{
    backoff::Backoff,
    cgroup::Cgroup,
    clock::Now,
    convert,
    fifos::Fifos,
    identity::Identity,
    logs::Log,
    poll::Token,
    record,
    spec::{Exit, ExitStatus, Phase, ProcessId, ProcessInfo, ProcessSpec, Restart},
};

/// Pause before looking again whether a killed tree is gone; doubled up to [`LONGEST_LOOK`]. Most
/// looks are prompted by SIGCHLD; this is for what is not our child, and for cgroups that stay
/// busy for a moment after their last process was reaped.
const FIRST_LOOK: Duration = Duration::from_millis(2);
const LONGEST_LOOK: Duration = Duration::from_millis(200);

pub(super) struct Process {
    pub(super) spec: ProcessSpec,
    pub(super) hash: Vec<u8>,
    pub(super) phase: Phase,
    pub(super) ready: bool,
    pub(super) starts: u32,
    pub(super) started: Option<Now>,
    pub(super) exit: Option<Exit>,
    pub(super) adopted: bool,
    /// It was told to end and must not be started again.
    pub(super) told_to_stop: bool,
    /// And that is because its tenure was over.
    pub(super) tenure_over: bool,
    pub(super) main: Option<Main>,
    pub(super) cgroup: Option<Cgroup>,
    pub(super) fifos: Fifos,
    pub(super) log: Log,
    pub(super) outputs: [Option<(OwnedFd, Token)>; 2],
    pub(super) notify: Option<(OwnedFd, Token)>,
    /// What it said of its readiness so far; a line may come in pieces.
    pub(super) said: Vec<u8>,
    /// How the main process ended, while the rest of the tree is cleared.
    pub(super) ended: Option<ExitStatus>,
    /// A main process that was not our child, whose status can be read once its parent has reaped
    /// it, and how long that is waited for.
    pub(super) unread_status: Option<(OwnedFd, Instant)>,
    /// Kills for lack of memory in the tree being cleared.
    pub(super) oom_kills: u64,
    /// Why the latest exec failed.
    pub(super) exec_failure: Option<ExecFailure>,
    pub(super) kill_at: Option<Instant>,
    pub(super) look_again: Option<(Instant, Duration)>,
    pub(super) restart_at: Option<Instant>,
    pub(super) backoff: Backoff,
    /// It shall take the place of another once it is ready, by this time.
    pub(super) replaces: Option<(ProcessId, Instant)>,
    pub(super) waiters: Vec<Waiter>,
}

/// The main process of a tree.
pub(super) struct Main {
    pub(super) identity: Identity,
    pub(super) pidfd: OwnedFd,
    /// The pipe of an exec whose outcome is open.
    pub(super) outcome: Option<(OwnedFd, Token)>,
    /// Watches the end of a process that is not our child.
    pub(super) end: Option<Token>,
}

pub(super) struct ExecFailure {
    pub(super) sentence: String,
    pub(super) errno: i32,
}

/// A call that is answered later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Waiter {
    pub(super) caller: Caller,
    pub(super) until: Until,
}

/// Which call on which connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) connection: u64,
    pub(super) call: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    Executed,
    Ready,
    Exited,
}

impl Process {
    pub(super) fn new(spec: ProcessSpec, fifos: Fifos, log: Log) -> Self {
        Self {
            hash: hash(&convert::spec_to_wire(&spec)),
            spec,
            phase: Phase::Starting,
            ready: false,
            starts: 0,
            started: None,
            exit: None,
            adopted: false,
            told_to_stop: false,
            tenure_over: false,
            main: None,
            cgroup: None,
            fifos,
            log,
            outputs: [None, None],
            notify: None,
            said: Vec::new(),
            ended: None,
            unread_status: None,
            oom_kills: 0,
            exec_failure: None,
            kill_at: None,
            look_again: None,
            restart_at: None,
            backoff: Backoff::default(),
            replaces: None,
            waiters: Vec::new(),
        }
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.main.as_ref().map(|main| main.identity.pid)
    }

    /// Whether it will be started again when it ends now.
    pub(super) fn restarts(&self) -> bool {
        self.spec.restart == Restart::Always && !self.told_to_stop && self.replaces.is_none()
    }

    /// When something has to be done for it although nothing happens.
    pub(super) fn due(&self) -> Option<Instant> {
        let replacement = self.replaces.as_ref().map(|(_, deadline)| *deadline);
        let look = self.look_again.map(|(at, _)| at);
        [self.kill_at, look, self.restart_at, replacement]
            .into_iter()
            .flatten()
            .min()
    }

    /// Looks at the rest of the tree again, a little later each time.
    pub(super) fn look_later(&mut self, now: Now) {
        let pause = self
            .look_again
            .map_or(FIRST_LOOK, |(_, pause)| (pause * 2).min(LONGEST_LOOK));
        self.look_again = Some((now.mono + pause, pause));
    }

    pub(super) fn info(&self) -> ProcessInfo {
        ProcessInfo {
            id: self.spec.id.clone(),
            phase: self.phase,
            ready: self.ready,
            pid: self.pid(),
            starts: self.starts,
            started_at: self.started.map(|started| started.wall),
            exit: self.exit.clone(),
            spec_hash: self.hash.clone(),
            user: self.spec.user,
            adopted: self.adopted,
        }
    }

    /// What the next holder needs. Variables hold secrets, so they are written only where the next
    /// holder would need them to start the process again.
    pub(super) fn record(&self, boot_id: &str) -> HeldRecord {
        let mut spec = convert::spec_to_wire(&self.spec);
        if self.spec.restart == Restart::Never {
            spec.env.clear();
        }
        let identity = self.main.as_ref().map(|main| &main.identity);
        HeldRecord {
            version: record::VERSION,
            spec: Some(spec),
            spec_hash: self.hash.clone().into(),
            boot_id: boot_id.to_owned(),
            pid: identity.map_or(0, |identity| identity.pid),
            start_ticks: identity.map_or(0, |identity| identity.start_ticks),
            cgroups: self
                .cgroup
                .as_ref()
                .map_or_else(Vec::new, Cgroup::to_record),
            phase: convert::phase_to_wire(self.phase) as i32,
            ready: self.ready,
            starts: self.starts,
            started_unix_ms: self
                .started
                .map_or(0, |started| convert::unix_ms(started.wall)),
            exit: self.exit.as_ref().map(convert::exit_to_wire),
            replaces: self
                .replaces
                .as_ref()
                .map_or_else(String::new, |(old, _)| old.as_str().to_owned()),
            stopping: self.told_to_stop,
        }
    }

    /// The callers who waited for this, taken out.
    pub(super) fn take_waiters(&mut self, until: Until) -> Vec<Caller> {
        let done = self.waiters.extract_if(.., |waiter| waiter.until == until);
        done.map(|waiter| waiter.caller).collect()
    }
}

/// Equal for equal specs: the encoding writes maps in order.
fn hash(spec: &HeldSpec) -> Vec<u8> {
    Sha256::digest(spec.encode_to_vec()).to_vec()
}
