//! The one place where time is read; everything that decides is handed it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

/// A moment on both clocks: the monotonic one for deciding, the wall clock for telling people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    pub instant: Instant,
    /// Milliseconds since 1970; may jump.
    pub unix_ms: u64,
}

pub fn now() -> Now {
    Now {
        instant: Instant::now(),
        unix_ms: unix_ms(),
    }
}

/// Milliseconds of `CLOCK_BOOTTIME`: it never jumps, counts the time a machine sleeps, and is the
/// same for all processes of a machine. What another machine may rely on is reckoned by it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Boot(pub u64);

impl Boot {
    #[must_use]
    pub fn now() -> Self {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let millis = u64::try_from(now.tv_nsec).unwrap_or(0) / 1_000_000;
        Self(seconds.saturating_mul(1000).saturating_add(millis))
    }

    #[must_use]
    pub fn plus(self, span: fleet_model::time::Millis) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

/// Milliseconds since 1970 by the wall clock; 0 before that.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The wall clock as it was when this was made, moved on by the monotonic one: it never jumps, so
/// leases may be reckoned by it. Clones agree.
#[derive(Clone, Debug)]
pub struct Steady {
    began: Now,
}

impl Steady {
    #[must_use]
    #[allow(clippy::new_without_default)] // reading the clock is no default value
    pub fn new() -> Self {
        Self { began: now() }
    }

    /// Now, in the time of the model.
    #[must_use]
    pub fn now(&self) -> fleet_model::Time {
        let passed = u64::try_from(self.began.instant.elapsed().as_millis()).unwrap_or(u64::MAX);
        fleet_model::Time(self.began.unix_ms.saturating_add(passed))
    }
}
