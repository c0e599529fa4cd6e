//! Files, ports, signals and abstract sockets that a process may reach.

use std::{
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use landlock::{
    ABI, Access as _, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible as _, NetPort,
    PathBeneath, PathFd, Ruleset, RulesetAttr as _, RulesetCreated, RulesetCreatedAttr as _,
    RulesetError, Scope,
};

use super::super::spec::Landlock;

/// The newest ABI whose rights are understood here; older kernels enforce the part they know.
const NEWEST: ABI = ABI::V6;

/// `None` on a kernel without Landlock.
pub(super) fn ruleset(rules: &Landlock, fifos: &[&Path]) -> Result<Option<OwnedFd>, RulesetError> {
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(NEWEST))?
        .handle_access(AccessNet::BindTcp)?
        .scope(Scope::AbstractUnixSocket | Scope::Signal)?
        .create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    // Devices are written to and controlled, but never made.
    let write = AccessFs::from_all(NEWEST)
        & !(AccessFs::MakeChar | AccessFs::MakeBlock | AccessFs::Execute);
    ruleset = allow(ruleset, &rules.read, read)?;
    ruleset = allow(ruleset, &rules.execute, read | AccessFs::Execute)?;
    ruleset = allow(ruleset, &rules.write, write)?;
    let fifos: Vec<PathBuf> = fifos.iter().map(|path| path.to_path_buf()).collect();
    ruleset = allow(ruleset, &fifos, AccessFs::ReadFile | AccessFs::WriteFile)?;
    for port in &rules.bind_tcp {
        ruleset = ruleset.add_rule(NetPort::new(*port, AccessNet::BindTcp))?;
    }
    Ok(ruleset.into())
}

fn allow(
    mut ruleset: RulesetCreated,
    paths: &[PathBuf],
    access: BitFlags<AccessFs>,
) -> Result<RulesetCreated, RulesetError> {
    for path in paths {
        // What does not exist needs no rule.
        let Ok(fd) = PathFd::new(path) else { continue };
        let access = if path.is_dir() {
            access
        } else {
            access & AccessFs::from_file(NEWEST)
        };
        ruleset = ruleset.add_rule(PathBeneath::new(fd, access))?;
    }
    Ok(ruleset)
}
