//! Who a process is beyond its pid. Pids are reused; a pid together with its start time and the
//! boot is not.

use std::{fs, io, os::fd::OwnedFd};

use rustix::process::{Pid, PidfdFlags};

/// Identifies a process for as long as the machine is up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) pid: u32,
    /// Field 22 of `/proc/<pid>/stat`, clock ticks since boot.
    pub(super) start_ticks: u64,
    pub(super) boot_id: String,
}

impl Identity {
    /// Reads the identity of a process that the caller knows to exist.
    pub(super) fn of(pid: u32, boot_id: &str) -> io::Result<Self> {
        Ok(Self {
            pid,
            start_ticks: stat(pid)?.start_ticks,
            boot_id: boot_id.to_owned(),
        })
    }

    /// A pidfd of exactly this process, or `None` if it is gone. The pidfd is opened *first*: what
    /// is compared afterwards is then the process the pidfd names, or nothing.
    pub(super) fn open(&self, boot_id: &str) -> Option<OwnedFd> {
        if self.boot_id != boot_id {
            return None;
        }
        let pidfd = pidfd_open(self.pid).ok()?;
        let stat = stat(self.pid).ok()?;
        (stat.start_ticks == self.start_ticks && !stat.is_dead()).then_some(pidfd)
    }
}

/// A descriptor of the process that has this pid now.
pub(super) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| io::Error::from(rustix::io::Errno::INVAL))?;
    Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?)
}

/// The boot this machine is in.
pub(super) fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// What `/proc/<pid>/stat` says, as far as it is needed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stat {
    pub(super) state: u8,
    pub(super) parent: u32,
    /// User and system time of the process itself, in clock ticks.
    pub(super) cpu_ticks: u64,
    pub(super) start_ticks: u64,
    pub(super) resident_pages: u64,
}

impl Stat {
    /// It has ended, and only waits for its parent to look.
    pub(super) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X')
    }
}

pub(super) fn stat(pid: u32) -> io::Result<Stat> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_stat(&text).ok_or_else(|| io::Error::other(format!("/proc/{pid}/stat is malformed")))
}

/// The name, in parentheses, may hold spaces and parentheses; the last `)` ends it.
fn parse_stat(text: &str) -> Option<Stat> {
    let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
    let mut skip = |n: usize| fields.nth(n);
    let state = *skip(0)?.as_bytes().first()?; // field 3
    let parent = skip(0)?.parse().ok()?; // 4
    let user: u64 = skip(9)?.parse().ok()?; // 14
    let system: u64 = skip(0)?.parse().ok()?; // 15
    let start_ticks = skip(6)?.parse().ok()?; // 22
    let resident: i64 = skip(1)?.parse().ok()?; // 24
    let resident_pages = u64::try_from(resident).unwrap_or(0);
    Some(Stat {
        state,
        parent,
        cpu_ticks: user + system,
        start_ticks,
        resident_pages,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_name_full_of_parentheses_does_not_shift_the_fields() {
        let text = "7 (a) R 1) S 42 7 7 0 -1 4194560 1 0 0 0 11 22 0 0 20 0 1 0 9876 1000 33 18446744073709551615";
        let stat = parse_stat(text).unwrap();
        let want = Stat {
            state: b'S',
            parent: 42,
            cpu_ticks: 33,
            start_ticks: 9876,
            resident_pages: 33,
        };
        assert_eq!(stat, want);
        assert_eq!(parse_stat("7 (a) S 1"), None);
    }

    #[test]
    fn only_the_same_process_in_the_same_boot_is_found_again() {
        let boot = boot_id().unwrap();
        let me = Identity::of(std::process::id(), &boot).unwrap();
        assert!(me.open(&boot).is_some());
        let reused = Identity {
            start_ticks: me.start_ticks + 1,
            ..me.clone()
        };
        assert!(reused.open(&boot).is_none());
        assert!(me.open("another boot").is_none());
    }
}
