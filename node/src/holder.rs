//! The holder: parent of everything a node runs, and the process that must not fail.
//!
//! `fleetd hold` starts, reaps and adopts the tenants (`control`, `ingress`) and the frontends. It
//! owns their output, their exit status and the public listening sockets, so that agent, control
//! and ingress can each crash or be replaced without taking anything else down.
//!
//! Invariants:
//! - One holder per data directory (a file lock), one thread per holder: what happens between
//!   clone and exec is only safe in a process without other threads, and cloning a small process
//!   takes 1 ms where cloning a large agent takes 28 (engineering/runtime.md).
//! - No call on the loop waits for a child: not for its exec, its output, its exit or its tree.
//! - An id is started at most once per Start; an exit is reported when nothing of its tree is left.
//! - If the holder is killed, its processes live on, and the next holder adopts exactly those whose
//!   pid, start time and boot id match the record.
//!
//! Absent on purpose: decisions. Which frontends run, with which rights and where, is said by the
//! agent; the only thing done unasked is to start a tenant again.
//!
//! `unsafe` lives in the few files below that say so: `sys` (system calls without a safe wrapper),
//! `spawn/child` (between clone and exec) and `spawn` (the clone itself).

mod backoff;
mod capabilities;
mod cgroup;
mod client;
mod clock;
mod convert;
mod fifos;
mod identity;
mod listeners;
mod logs;
mod poll;
mod process;
mod record;
mod sandbox;
mod server;
mod spawn;
mod spec;
mod sys;
mod table;
mod tenure;
mod tree;
mod wire;

use std::path::PathBuf;

pub use self::{
    capabilities::{Capabilities, Cgroups, Rung, Verdict},
    client::{Client, Error, Refusal, Version},
    server::RunError,
    spec::{
        EventKind, Exit, ExitStatus, InvalidProcessId, Landlock, Limits, Phase, ProcessEvent,
        ProcessId, ProcessInfo, ProcessSpec, Restart, Sandbox, Usage, User,
    },
};

/// Arguments of `fleetd hold`.
#[derive(Clone, Debug, clap::Args)]
pub struct HoldArgs {
    /// Directory of this node's data; the socket is `run/holder.sock` in it.
    #[arg(long)]
    pub data_dir: PathBuf,
}

/// Runs the holder until it is told to shut down. Returns at once, without an error, when another
/// holder already serves this data directory.
pub fn run(args: HoldArgs) -> Result<(), RunError> {
    server::run(&args.data_dir)
}
