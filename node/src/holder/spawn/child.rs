//! Between clone and exec: system calls on memory that was ready before, and nothing else. No
//! allocation, no formatting, no library that might hold a lock.
#![allow(unsafe_code)]

use std::{
    ffi::{CString, c_char, c_int, c_long},
    os::fd::{AsRawFd as _, OwnedFd},
    ptr,
};

use seccompiler::BpfProgram;

use super::{super::spec::User, Failed};

/// What the child was doing when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub(in super::super) enum Step {
    Cgroup = 1,
    Session,
    Descriptors,
    Limits,
    User,
    Directory,
    Sandbox,
    Exec,
}

impl Step {
    const ALL: [Self; 8] = [
        Self::Cgroup,
        Self::Session,
        Self::Descriptors,
        Self::Limits,
        Self::User,
        Self::Directory,
        Self::Sandbox,
        Self::Exec,
    ];
}

/// A failure as eight bytes on a pipe.
pub(super) struct Failure;

impl Failure {
    pub(super) const SIZE: usize = 8;

    fn encode(step: Step, errno: c_int) -> [u8; Self::SIZE] {
        let ([a, b, c, d], [e, f, g, h]) = ((step as i32).to_ne_bytes(), errno.to_ne_bytes());
        [a, b, c, d, e, f, g, h]
    }

    pub(super) fn decode([a, b, c, d, e, f, g, h]: [u8; Self::SIZE]) -> Failed {
        let number = i32::from_ne_bytes([a, b, c, d]);
        let step = Step::ALL
            .into_iter()
            .find(|step| *step as i32 == number)
            .unwrap_or(Step::Exec);
        Failed {
            step,
            errno: i32::from_ne_bytes([e, f, g, h]),
        }
    }
}

/// A null-terminated array of pointers to strings that live as long as `'a`.
pub(super) struct Pointers<'a> {
    pointers: Vec<*const c_char>,
    strings: std::marker::PhantomData<&'a [CString]>,
}

impl<'a> Pointers<'a> {
    pub(super) fn new(strings: &'a [CString]) -> Self {
        let pointers = strings
            .iter()
            .map(|text| text.as_ptr())
            .chain([ptr::null()])
            .collect();
        Self {
            pointers,
            strings: std::marker::PhantomData,
        }
    }
}

/// One step of a child on its way to the program.
type Action<C> = unsafe fn(&C) -> Result<(), c_int>;

/// Everything the child needs, ready.
pub(super) struct Child<'a> {
    pub(super) programs: Vec<CString>,
    pub(super) argv: Pointers<'a>,
    pub(super) env: Pointers<'a>,
    pub(super) cwd: CString,
    /// To become descriptors 0, 1, 2, …; each numbered above all of these.
    pub(super) places: &'a [OwnedFd],
    /// Membership files of v1 cgroups.
    pub(super) members: &'a [OwnedFd],
    pub(super) report: &'a OwnedFd,
    pub(super) limits: Vec<(u32, u64)>,
    pub(super) user: Option<User>,
    pub(super) no_new_privs: bool,
    pub(super) ruleset: Option<&'a OwnedFd>,
    pub(super) filters: &'a [BpfProgram],
}

impl Child<'_> {
    /// Becomes the program, or reports why not and ends.
    ///
    /// # Safety
    /// Only to be called in a child just cloned from a process with one thread.
    pub(super) unsafe fn run(&self) -> ! {
        // SAFETY: the caller's promise is the promise of every step.
        let (step, errno) = unsafe { self.become_program() };
        let failure = Failure::encode(step, errno);
        // SAFETY: writes eight bytes of the stack to a descriptor of ours; _exit never returns.
        unsafe {
            libc::write(
                self.report.as_raw_fd(),
                failure.as_ptr().cast(),
                failure.len(),
            );
            libc::_exit(127)
        }
    }

    /// Returns only what went wrong.
    unsafe fn become_program(&self) -> (Step, c_int) {
        // SAFETY: as for `run`; each step makes system calls on memory that was ready.
        unsafe {
            let steps: [(Step, Action<Self>); 7] = [
                (Step::Cgroup, Self::join_cgroups),
                (Step::Session, Self::leave_the_holder),
                (Step::Descriptors, Self::place_descriptors),
                (Step::Limits, Self::set_limits),
                (Step::User, Self::become_user),
                (Step::Directory, Self::enter_directory),
                (Step::Sandbox, Self::close_sandbox),
            ];
            for (step, run) in steps {
                if let Err(errno) = run(self) {
                    return (step, errno);
                }
            }
            (Step::Exec, self.exec())
        }
    }

    unsafe fn join_cgroups(&self) -> Result<(), c_int> {
        for members in self.members {
            // SAFETY: writes one byte of static memory.
            check(unsafe { libc::write(members.as_raw_fd(), c"0".as_ptr().cast(), 1) } as c_long)?;
        }
        Ok(())
    }

    /// A session of its own, no signal blocked or ignored, files others may read, and no share in
    /// the protection of the holder from the out-of-memory killer.
    unsafe fn leave_the_holder(&self) -> Result<(), c_int> {
        // SAFETY: plain system calls on memory of the stack; the set is initialised by
        // sigemptyset, and four words are the size of a kernel sigaction.
        unsafe {
            check(libc::setsid().into())?;
            let mut none: libc::sigset_t = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            check(libc::sigprocmask(libc::SIG_SETMASK, &none, ptr::null_mut()).into())?;
            // What is ignored stays so across exec: SIGPIPE by Rust, others by whoever started the
            // agent. A kernel sigaction of zeroes is the default action; libc's own function keeps
            // two signals to itself. Fails for SIGKILL and SIGSTOP.
            let default = [0_u64; 4];
            for signal in 1..=64 {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    &default,
                    ptr::null::<u8>(),
                    8,
                );
            }
            libc::umask(0o022);
            let oom = libc::open(
                c"/proc/self/oom_score_adj".as_ptr(),
                libc::O_WRONLY | libc::O_CLOEXEC,
            );
            if oom >= 0 {
                libc::write(oom, c"0".as_ptr().cast(), 1);
            }
        }
        Ok(())
    }

    unsafe fn place_descriptors(&self) -> Result<(), c_int> {
        let mut place: c_int = 0;
        for fd in self.places {
            // SAFETY: the source is numbered above every place.
            check(unsafe { libc::dup3(fd.as_raw_fd(), place, 0) }.into())?;
            place += 1;
        }
        // Whoever started the holder may have left it descriptors. Kernels before 5.11 lack the
        // flag; ours are closed on exec anyway.
        // SAFETY: only marks descriptors.
        unsafe {
            libc::syscall(
                libc::SYS_close_range,
                place,
                c_int::MAX,
                libc::CLOSE_RANGE_CLOEXEC,
            )
        };
        Ok(())
    }

    unsafe fn set_limits(&self) -> Result<(), c_int> {
        for (which, limit) in &self.limits {
            let limit = libc::rlimit {
                rlim_cur: *limit,
                rlim_max: *limit,
            };
            // SAFETY: reads one struct of the stack.
            let set =
                unsafe { libc::syscall(libc::SYS_prlimit64, 0, *which, &limit, ptr::null::<u8>()) };
            check(set)?;
        }
        Ok(())
    }

    unsafe fn become_user(&self) -> Result<(), c_int> {
        let Some(User { uid, gid }) = self.user else {
            return Ok(());
        };
        // SAFETY: plain system calls. Raw ones, because libc's wrappers signal other threads,
        // which this process has none of, under a lock, which it need not take.
        unsafe {
            if libc::geteuid() == 0 {
                // Fails past the last capability; 63 is the last there can be.
                for capability in 0..=63 {
                    if libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 {
                        break;
                    }
                }
                check(libc::syscall(
                    libc::SYS_setgroups,
                    0,
                    ptr::null::<libc::gid_t>(),
                ))?;
            }
            check(libc::syscall(libc::SYS_setresgid, gid, gid, gid))?;
            check(libc::syscall(libc::SYS_setresuid, uid, uid, uid))?;
        }
        Ok(())
    }

    unsafe fn enter_directory(&self) -> Result<(), c_int> {
        // SAFETY: reads a string that was ready.
        check(unsafe { libc::chdir(self.cwd.as_ptr()) }.into())
    }

    unsafe fn close_sandbox(&self) -> Result<(), c_int> {
        // SAFETY: system calls on a descriptor and on programs that were ready; seccompiler's
        // sock_filter has the layout of the kernel's, which is all that sock_fprog asks.
        unsafe {
            if self.no_new_privs {
                check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0).into())?;
            }
            if let Some(ruleset) = self.ruleset {
                check(libc::syscall(
                    libc::SYS_landlock_restrict_self,
                    ruleset.as_raw_fd(),
                    0,
                ))?;
            }
            for filter in self.filters {
                let program = libc::sock_fprog {
                    len: filter.len() as libc::c_ushort,
                    filter: filter.as_ptr().cast_mut().cast(),
                };
                check(libc::syscall(
                    libc::SYS_seccomp,
                    libc::SECCOMP_SET_MODE_FILTER,
                    0,
                    &program,
                ))?;
            }
        }
        Ok(())
    }

    /// Tries every place the program may be in; returns the most telling errno. A program that is
    /// there but may not be executed says more than one that is not there.
    unsafe fn exec(&self) -> c_int {
        let mut telling = libc::ENOENT;
        for program in &self.programs {
            // SAFETY: null-terminated arrays of strings that were ready.
            unsafe {
                libc::execve(
                    program.as_ptr(),
                    self.argv.pointers.as_ptr(),
                    self.env.pointers.as_ptr(),
                );
            }
            match errno() {
                libc::ENOENT | libc::ENOTDIR => {}
                libc::EACCES => telling = libc::EACCES,
                errno => return errno,
            }
        }
        telling
    }
}

fn check(result: c_long) -> Result<(), c_int> {
    if result < 0 { Err(errno()) } else { Ok(()) }
}

fn errno() -> c_int {
    // SAFETY: the address of a thread-local integer of libc.
    unsafe { *libc::__errno_location() }
}
