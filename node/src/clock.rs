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
    Now { instant: Instant::now(), unix_ms: unix_ms() }
}

/// Milliseconds since 1970 by the wall clock; 0 before that.
pub fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Wall-clock time that never jumps: read once, carried on by the monotonic clock. Leases and
/// stamps rest on it, so that a clock that is set does not call every worker lost.
#[derive(Clone, Debug)]
pub struct Steady {
    origin: Now,
}

impl Steady {
    #[expect(clippy::new_without_default, reason = "reading a clock is no default")]
    pub fn new() -> Self {
        Self { origin: now() }
    }

    /// Milliseconds since 1970.
    pub fn unix_ms(&self) -> u64 {
        let elapsed = self.origin.instant.elapsed().as_millis();
        let elapsed = u64::try_from(elapsed).unwrap_or(u64::MAX);
        self.origin.unix_ms.saturating_add(elapsed)
    }
}
