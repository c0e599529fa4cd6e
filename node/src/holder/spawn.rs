//! Starts a process: everything is made ready first, then the child only makes system calls.
#![allow(unsafe_code)]

mod child;

use std::{
    collections::BTreeMap,
    ffi::CString,
    io,
    os::{
        fd::{AsFd, AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
        unix::ffi::OsStrExt as _,
    },
};

pub(super) use self::child::Step;
use self::child::{Child, Failure};
use super::{
    cgroup::Cgroup,
    sandbox::Built,
    spec::ProcessSpec,
    sys::{self, CloneArgs},
};

/// Where programs without a slash are looked up when the environment has no `PATH`.
const DEFAULT_PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Descriptors above all that a child is given, so that putting those in place overwrites none.
const ABOVE: i32 = 64;

/// Most listeners of one process.
pub(super) const MOST_LISTENERS: usize = 32;

/// What a child gets besides its spec.
pub(super) struct Gifts<'a> {
    /// Descriptor 1 and 2.
    pub(super) output: [BorrowedFd<'a>; 2],
    /// Descriptors 3 and up, in the order of the spec.
    pub(super) listeners: Vec<BorrowedFd<'a>>,
    /// After the listeners.
    pub(super) notify: Option<BorrowedFd<'a>>,
    pub(super) sandbox: Built,
    pub(super) cgroup: Option<&'a Cgroup>,
    /// The environment with everything added that tells the child about its gifts.
    pub(super) env: BTreeMap<String, String>,
    /// RLIMIT_DATA and RLIMIT_NPROC where no cgroup limits these.
    pub(super) limit_data: Option<u64>,
    pub(super) limit_processes: Option<u64>,
}

/// A child that is about to be executed.
pub(super) struct Spawned {
    pub(super) pid: u32,
    pub(super) pidfd: OwnedFd,
    /// Ends without a byte when the exec succeeded, else holds one [`Failed`].
    pub(super) outcome: OwnedFd,
}

/// Why an exec failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failed {
    pub(super) step: Step,
    pub(super) errno: i32,
}

/// Clones; returns as soon as the child exists.
pub(super) fn spawn(spec: &ProcessSpec, gifts: &Gifts<'_>) -> io::Result<Spawned> {
    let (outcome, report) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&outcome, true)?;
    let null = rustix::fs::open(
        "/dev/null",
        rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC,
        rustix::fs::Mode::empty(),
    )?;

    let mut places = vec![lift(&null)?];
    for fd in gifts
        .output
        .iter()
        .chain(&gifts.listeners)
        .chain(&gifts.notify)
    {
        places.push(lift(fd)?);
    }
    let report = lift(&report)?;
    let members = match gifts.cgroup {
        Some(cgroup) => cgroup
            .open_members()?
            .iter()
            .map(lift)
            .collect::<io::Result<_>>()?,
        None => Vec::new(),
    };
    let ruleset = gifts.sandbox.ruleset.as_ref().map(lift).transpose()?;
    let unified = gifts.cgroup.map(Cgroup::open_unified).transpose()?;

    let env: Vec<CString> = gifts
        .env
        .iter()
        .map(|(name, value)| c_string(format!("{name}={value}")))
        .collect::<io::Result<_>>()?;
    let argv: Vec<CString> = spec
        .argv
        .iter()
        .map(|arg| c_string(arg.clone()))
        .collect::<io::Result<_>>()?;
    let child = Child {
        programs: programs(&spec.argv[0], gifts.env.get("PATH").map(String::as_str))?,
        argv: child::Pointers::new(&argv),
        env: child::Pointers::new(&env),
        cwd: c_string(spec.cwd.as_os_str().as_bytes().to_vec())?,
        places: &places,
        members: &members,
        report: &report,
        limits: limits(spec, gifts),
        user: spec.user,
        no_new_privs: gifts.sandbox.no_new_privs,
        ruleset: ruleset.as_ref(),
        filters: &gifts.sandbox.filters,
    };
    clone(&child, unified.as_ref()).map(|(pid, pidfd)| Spawned {
        pid,
        pidfd,
        outcome,
    })
}

/// The outcome of an exec: `None` while it is open, then whether it failed.
pub(super) fn outcome(pipe: &OwnedFd) -> Option<Result<(), Failed>> {
    let mut bytes = [0; Failure::SIZE];
    match rustix::io::read(pipe, &mut bytes) {
        Ok(Failure::SIZE) => Some(Err(Failure::decode(bytes))),
        Ok(_) => Some(Ok(())),
        Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => None,
        // Cannot happen on a pipe of ours; a process that runs is then watched like any other.
        Err(_) => Some(Ok(())),
    }
}

fn clone(child: &Child<'_>, unified: Option<&OwnedFd>) -> io::Result<(u32, OwnedFd)> {
    let mut pidfd: libc::c_int = -1;
    let mut args = CloneArgs {
        flags: libc::CLONE_PIDFD as u64 | sys::CLONE_CLEAR_SIGHAND,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    if let Some(cgroup) = unified {
        // Joining by a write would wait for an RCU grace period, 9 to 13 ms the first time.
        args.flags |= sys::CLONE_INTO_CGROUP;
        args.cgroup = cgroup.as_raw_fd() as u64;
    }
    // SAFETY: the holder has one thread and CLONE_VM is not asked for, so the child has a copy of
    // everything `child` points to; it makes system calls on that memory and never returns.
    let pid = match unsafe { sys::clone3(&args) }? {
        0 => unsafe { child.run() },
        pid => pid,
    };
    // SAFETY: the kernel has just made this descriptor for us.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok((pid.cast_unsigned(), pidfd))
}

/// A copy of a descriptor that putting others in place does not overwrite.
fn lift(fd: &impl AsFd) -> io::Result<OwnedFd> {
    Ok(rustix::io::fcntl_dupfd_cloexec(fd, ABOVE)?)
}

/// The paths to try, in order.
fn programs(program: &str, path: Option<&str>) -> io::Result<Vec<CString>> {
    if program.contains('/') {
        return Ok(vec![c_string(program)?]);
    }
    let dirs = path
        .unwrap_or(DEFAULT_PATH)
        .split(':')
        .filter(|dir| !dir.is_empty());
    dirs.map(|dir| c_string(format!("{dir}/{program}")))
        .collect()
}

fn limits(spec: &ProcessSpec, gifts: &Gifts<'_>) -> Vec<(u32, u64)> {
    // Above what the holder itself may have, even root of a container is refused.
    let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).maximum;
    let files = spec
        .limits
        .open_files
        .map(|files| u64::from(files).min(most.unwrap_or(u64::MAX)));
    let limits = [
        (libc::RLIMIT_NOFILE, files),
        (libc::RLIMIT_DATA, gifts.limit_data),
        (libc::RLIMIT_NPROC, gifts.limit_processes),
        // A core file of an app may be as large as its memory, and holds its secrets.
        (libc::RLIMIT_CORE, Some(0)),
    ];
    limits
        .into_iter()
        .filter_map(|(which, limit)| Some((which, limit?)))
        .collect()
}

fn c_string(text: impl Into<Vec<u8>>) -> io::Result<CString> {
    Ok(CString::new(text)?)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn programs_are_looked_up_in_the_path_of_the_process() {
        let found = |program, path| {
            let programs: Vec<String> = programs(program, path)
                .unwrap()
                .into_iter()
                .map(|p| p.into_string().unwrap())
                .collect();
            programs
        };
        assert_eq!(found("a", Some("/x::/y")), ["/x/a", "/y/a"]);
        assert_eq!(found("./a", Some("/x")), ["./a"]);
        assert_eq!(found("a", None).len(), 6);
    }
}
