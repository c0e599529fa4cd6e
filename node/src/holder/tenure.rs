//! Until when processes may run that may run only while somebody far away knows of them.
//!
//! A cluster that starts a replacement for something of which there may never be two must be sure
//! that the first is dead, also when it hears nothing of its machine. So the agent renews the
//! tenure as long as control confirms this node; when it stops doing so, for whatever reason (the
//! network, a frozen or crashed agent), the holder ends these processes by itself. It is the parent
//! of them, does nothing else meanwhile, and needs nobody for it.
//!
//! Reckoned by `CLOCK_BOOTTIME`, which counts the time a machine sleeps, and written down, so that
//! the next holder neither forgets nor prolongs it.

use std::{io, os::fd::OwnedFd, path::PathBuf};

use fleet_model::{
    node::{SINGLETONS_KILLED_AFTER, SINGLETONS_STOP_AFTER},
    time::Millis,
};
use fleet_proto::internal::HeldTenure;
use prost::Message as _;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use super::record;
use crate::clock::Boot;

/// From the end of the tenure to SIGKILL, whatever grace a process has otherwise.
const GRACE: Millis = Millis(SINGLETONS_KILLED_AFTER.0 - SINGLETONS_STOP_AFTER.0);

pub(super) struct Tenure {
    until: Boot,
    path: PathBuf,
    boot_id: String,
    timer: OwnedFd,
}

/// What the end of the tenure asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Runs,
    /// SIGTERM, and SIGKILL after this.
    Ends(Millis),
}

impl Tenure {
    /// As the holder before left it; over, if none did in this life of the machine.
    pub(super) fn open(path: PathBuf, boot_id: &str) -> io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let mut tenure = Self {
            until: Boot(0),
            boot_id: boot_id.to_owned(),
            timer: timerfd_create(TimerfdClockId::Boottime, flags)?,
            path,
        };
        // Whatever cannot be read was not renewed.
        let written = std::fs::read(&tenure.path).unwrap_or_default();
        if let Ok(written) = HeldTenure::decode(written.as_slice())
            && written.boot_id == boot_id
        {
            tenure.until = Boot(written.until_boot_ms);
        }
        tenure.wake(Boot::now())?;
        Ok(tenure)
    }

    /// Becomes readable when there is something to look at.
    pub(super) fn timer(&self) -> &OwnedFd {
        &self.timer
    }

    /// Moves its end; never back.
    pub(super) fn renew(&mut self, until: Boot, now: Boot) -> io::Result<()> {
        if until > self.until {
            let written = HeldTenure {
                boot_id: self.boot_id.clone(),
                until_boot_ms: until.0,
            };
            // First, so that no holder after this one ends what this one let run. Not synced: after
            // a power cut nothing is left to run.
            record::replace(&self.path, &written.encode_to_vec())?;
            self.until = until;
        }
        self.wake(now)
    }

    pub(super) fn verdict(&self, now: Boot) -> Verdict {
        verdict(self.until, now)
    }

    /// Sets the timer for the next moment at which the verdict changes.
    pub(super) fn wake(&mut self, now: Boot) -> io::Result<()> {
        let next = [self.until, self.until.plus(GRACE)].map(|at| at.0);
        // Zero disarms it: everything that was to end has been told.
        let at = next.into_iter().find(|at| *at > now.0).unwrap_or(0);
        let at = Timespec {
            tv_sec: (at / 1000).cast_signed(),
            tv_nsec: (at % 1000).cast_signed() * 1_000_000,
        };
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let timer = Itimerspec {
            it_interval: never,
            it_value: at,
        };
        timerfd_settime(&self.timer, TimerfdTimerFlags::ABSTIME, &timer)?;
        Ok(())
    }
}

fn verdict(until: Boot, now: Boot) -> Verdict {
    if now < until {
        return Verdict::Runs;
    }
    // However late we wake, it is dead at the same moment.
    Verdict::Ends(Millis(until.plus(GRACE).0.saturating_sub(now.0)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn whoever_wakes_late_kills_no_later() {
        let until = Boot(10_000);
        for (now, expected) in [
            (9_999, Verdict::Runs),
            (10_000, Verdict::Ends(Millis(3_000))),
            (12_500, Verdict::Ends(Millis(500))),
            (13_000, Verdict::Ends(Millis(0))),
            (60_000, Verdict::Ends(Millis(0))),
        ] {
            assert_eq!(verdict(until, Boot(now)), expected, "at {now}");
        }
    }

    #[test]
    fn the_next_holder_knows_it_and_another_life_of_the_machine_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let open = |boot: &str| Tenure::open(dir.path().join("tenure"), boot).unwrap();
        let now = Boot::now();
        assert_eq!(open("one").verdict(now), Verdict::Ends(Millis(0)), "never");
        open("one").renew(now.plus(Millis(60_000)), now).unwrap();
        assert_eq!(open("one").verdict(now), Verdict::Runs);
        open("one").renew(now.plus(Millis(1)), now).unwrap();
        assert_eq!(open("one").verdict(now), Verdict::Runs, "not moved back");
        assert_eq!(open("two").verdict(now), Verdict::Ends(Millis(0)));
    }
}
