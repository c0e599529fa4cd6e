//! System calls that no safe wrapper offers, each made safe here.
#![allow(unsafe_code)]

use std::{
    io,
    mem::MaybeUninit,
    os::fd::{AsFd, AsRawFd as _, FromRawFd as _, OwnedFd},
};

/// Blocks SIGCHLD and SIGTERM and returns a descriptor that becomes readable when one is pending.
pub(super) fn signal_fd() -> io::Result<OwnedFd> {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigemptyset initialises the set it is given; the other calls take it initialised.
    // The process has one thread, so that its mask is the mask of the process. The descriptor is
    // new and owned by nobody else.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        libc::sigaddset(set.as_mut_ptr(), libc::SIGCHLD);
        libc::sigaddset(set.as_mut_ptr(), libc::SIGTERM);
        check(libc::sigprocmask(
            libc::SIG_BLOCK,
            set.as_ptr(),
            std::ptr::null_mut(),
        ))?;
        let fd = check(libc::signalfd(
            -1,
            set.as_ptr(),
            libc::SFD_NONBLOCK | libc::SFD_CLOEXEC,
        ))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// The signals that were pending on a descriptor of [`signal_fd`].
pub(super) fn pending_signals(fd: &OwnedFd) -> Vec<i32> {
    const SIZE: usize = size_of::<libc::signalfd_siginfo>();
    let mut signals = Vec::new();
    let mut buffer = [0_u8; SIZE];
    while let Ok(SIZE) = rustix::io::read(fd, &mut buffer) {
        // The signal number is the first field, a u32.
        let number = u32::from_ne_bytes([buffer[0], buffer[1], buffer[2], buffer[3]]);
        signals.extend(i32::try_from(number));
    }
    signals
}

/// Waits for no one: reaps one child that has ended, if there is one.
pub(super) fn reap() -> Option<(u32, i32)> {
    let mut status = 0;
    // SAFETY: waitpid writes the status it is given a place for.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) };
    u32::try_from(pid)
        .ok()
        .filter(|pid| *pid > 0)
        .map(|pid| (pid, status))
}

/// `struct pidfd_info` of Linux 6.13, its first version.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroup_id: u64,
    pids: [u32; 3],
    ids: [u32; 8],
    exit_code: i32,
}

const PIDFD_INFO_EXIT: u64 = 1 << 3;

/// `_IOWR(0xFF, 11, struct pidfd_info)`.
const PIDFD_GET_INFO: libc::c_ulong =
    (3 << 30) | ((size_of::<PidfdInfo>() as libc::c_ulong) << 16) | (0xFF << 8) | 11;

/// The wait status of a process that has ended, whoever reaped it (Linux 6.15).
pub(super) fn exit_status(pidfd: &impl AsFd) -> Option<i32> {
    let mut info = PidfdInfo {
        mask: PIDFD_INFO_EXIT,
        ..PidfdInfo::default()
    };
    // SAFETY: the request names the size of the struct, which is what the kernel writes at most.
    let result = unsafe { libc::ioctl(pidfd.as_fd().as_raw_fd(), PIDFD_GET_INFO, &mut info) };
    (result == 0 && info.mask & PIDFD_INFO_EXIT != 0).then_some(info.exit_code)
}

/// Whether the kernel can tell the exit status of a process that is not our child (Linux 6.15).
///
/// Kernels that know the request at all answer for a living process; whether they also keep the
/// exit status shows only on a dead one, so a child is made for it.
pub(super) fn keeps_exit_status() -> bool {
    let Ok(Child { pid, pidfd }) = clone_and_exit(0) else {
        return false;
    };
    let mut status = 0;
    // SAFETY: waitpid writes the status it is given a place for; the pid is our child's.
    unsafe { libc::waitpid(pid, &mut status, 0) };
    exit_status(&pidfd).is_some()
}

/// Whether a process of ours may create a user namespace.
pub(super) fn may_create_user_namespace() -> bool {
    let Ok(Child { pid, .. }) = clone_and_exit(libc::CLONE_NEWUSER as u64) else {
        return false;
    };
    let mut status = 0;
    // SAFETY: as above.
    unsafe { libc::waitpid(pid, &mut status, 0) == pid }
}

struct Child {
    pid: libc::pid_t,
    pidfd: OwnedFd,
}

/// A child that ends at once.
fn clone_and_exit(flags: u64) -> io::Result<Child> {
    let mut pidfd: libc::c_int = -1;
    let args = CloneArgs {
        flags: flags | libc::CLONE_PIDFD as u64,
        pidfd: &raw mut pidfd as u64,
        exit_signal: libc::SIGCHLD as u64,
        ..CloneArgs::default()
    };
    // SAFETY: without CLONE_VM this is a fork; the child calls nothing but _exit.
    match unsafe { clone3(&args) }? {
        0 => unsafe { libc::_exit(0) },
        // SAFETY: the kernel has just made this descriptor for us.
        pid => Ok(Child {
            pid,
            pidfd: unsafe { OwnedFd::from_raw_fd(pidfd) },
        }),
    }
}

/// Signal handlers of the child are the default ones (Linux 5.5). The constant of libc is too
/// narrow for it.
pub(super) const CLONE_CLEAR_SIGHAND: u64 = 1 << 32;

/// The child is born in the cgroup of `CloneArgs::cgroup` (Linux 5.7).
pub(super) const CLONE_INTO_CGROUP: u64 = 1 << 33;

/// `struct clone_args` of Linux 5.7.
#[repr(C)]
#[derive(Default)]
pub(super) struct CloneArgs {
    pub(super) flags: u64,
    /// Address of a `c_int`.
    pub(super) pidfd: u64,
    pub(super) child_tid: u64,
    pub(super) parent_tid: u64,
    pub(super) exit_signal: u64,
    pub(super) stack: u64,
    pub(super) stack_size: u64,
    pub(super) tls: u64,
    pub(super) set_tid: u64,
    pub(super) set_tid_size: u64,
    /// Descriptor of the cgroup to be born in, with `CLONE_INTO_CGROUP`.
    pub(super) cgroup: u64,
}

/// Returns 0 in the child.
///
/// # Safety
/// The process must have one thread, `flags` must not hold `CLONE_VM`, `pidfd` must point to a
/// `c_int` when `CLONE_PIDFD` is asked for, and the child may only make system calls on memory
/// that was ready before.
pub(super) unsafe fn clone3(args: &CloneArgs) -> io::Result<libc::pid_t> {
    // SAFETY: the caller's promise; the size names the struct.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, args, size_of::<CloneArgs>()) };
    if pid < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(pid as libc::pid_t)
    }
}

/// The Landlock ABI version of the kernel; 0 when it has none or it is switched off.
pub(super) fn landlock_abi() -> u32 {
    const CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the call takes no attributes and returns a number.
    let abi = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<u8>(),
            0,
            CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(abi).unwrap_or(0)
}

/// Whether the kernel takes seccomp filters that answer with an errno.
pub(super) fn has_seccomp() -> bool {
    let action = libc::SECCOMP_RET_ERRNO;
    // SAFETY: the call reads one u32.
    unsafe {
        libc::syscall(
            libc::SYS_seccomp,
            libc::SECCOMP_GET_ACTION_AVAIL,
            0,
            &action,
        ) == 0
    }
}

/// Clock ticks per second, the unit of `/proc/<pid>/stat`.
pub(super) fn ticks_per_second() -> u64 {
    // SAFETY: sysconf reads a constant.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_CLK_TCK) })
        .unwrap_or(100)
        .max(1)
}

/// Bytes of a page.
pub(super) fn page_size() -> u64 {
    // SAFETY: sysconf reads a constant.
    u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}
