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
