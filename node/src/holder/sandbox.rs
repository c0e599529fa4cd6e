//! What is built before the clone so that the child only has to switch it on.

mod landlock;
mod seccomp;

use std::os::fd::OwnedFd;

use seccompiler::BpfProgram;

use super::spec::Sandbox;

/// A sandbox as descriptors and programs.
#[derive(Default)]
pub(super) struct Built {
    pub(super) no_new_privs: bool,
    pub(super) ruleset: Option<OwnedFd>,
    pub(super) filters: Vec<BpfProgram>,
}

/// A sandbox that could not be built; the process is not started without it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("landlock rules could not be built: {0}")]
    Landlock(#[from] ::landlock::RulesetError),
    #[error("seccomp filter could not be built: {0}")]
    Seccomp(#[from] seccompiler::BackendError),
}

/// Builds what the kernel offers of `sandbox`; what it does not offer is left out, as the
/// capability ladder reports. `fifos` are the process's own outputs, which programs like to open
/// once more as `/dev/stderr`.
pub(super) fn build(sandbox: &Sandbox, fifos: &[&std::path::Path]) -> Result<Built, Error> {
    let mut built = Built {
        no_new_privs: sandbox.no_new_privs || sandbox.seccomp || sandbox.landlock.is_some(),
        ..Built::default()
    };
    if let Some(rules) = &sandbox.landlock {
        built.ruleset = landlock::ruleset(rules, fifos)?;
    }
    if sandbox.seccomp && super::sys::has_seccomp() {
        built.filters = seccomp::filters()?;
    }
    Ok(built)
}
