//! Time as data.

use std::fmt;

/// A moment in milliseconds since 1970-01-01T00:00:00Z, stamped by the leader.
///
/// The domain never asks for the time: it is told. [`crate::State::apply`] clamps it so that it
/// never runs backwards, whichever leader's clock stamped it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The moment `millis` milliseconds later; the end of time instead of an overflow.
    #[must_use]
    pub const fn plus(self, millis: Millis) -> Self {
        Self(self.0.saturating_add(millis.0))
    }

    /// How long it is from `earlier` to here; zero when `earlier` is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Millis {
        Millis(self.0.saturating_sub(earlier.0))
    }
}

/// A span of time in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// A span of whole seconds.
    #[must_use]
    pub const fn seconds(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }
}

/// Printed as people say it: `850 ms`, `12 s`, `3 min 20 s`.
impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0, self.0 / 1000) {
            (millis, 0) => write!(f, "{millis} ms"),
            (_, seconds @ 1..60) => write!(f, "{seconds} s"),
            (_, seconds) if seconds % 60 == 0 => write!(f, "{} min", seconds / 60),
            (_, seconds) => write!(f, "{} min {} s", seconds / 60, seconds % 60),
        }
    }
}
