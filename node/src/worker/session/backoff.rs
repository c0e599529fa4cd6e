//! How long to wait before the next attempt. Pure: the randomness is an argument.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);

/// Short, because a worker that is cut off is lost after 15 seconds.
const LONGEST: Duration = Duration::from_secs(2);

/// Doubles with every failure in a row, up to two seconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The next pause: between half of the current step and all of it, as `random` says, so that
    /// workers cut off together do not return together.
    pub(crate) fn pause(&mut self, random: u32) -> Duration {
        let step = FIRST.saturating_mul(1 << self.failures.min(8)).min(LONGEST);
        self.failures = self.failures.saturating_add(1);
        let share = f64::from(random) / f64::from(u32::MAX);
        step.mul_f64(0.5 + share / 2.0)
    }

    /// Something went well: begin anew.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_to_a_bound_and_begin_anew() {
        let mut backoff = Backoff::default();
        let pauses: Vec<_> = (0..7)
            .map(|_| backoff.pause(u32::MAX).as_millis())
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff.pause(0).as_millis(), 1000);
        backoff.reset();
        assert_eq!(backoff.pause(0).as_millis(), 50);
    }
}
