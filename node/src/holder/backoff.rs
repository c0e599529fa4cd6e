//! How long to wait before a process is started again.

use std::time::Duration;

/// The first pause: long enough that a process failing at once uses little CPU.
const FIRST: Duration = Duration::from_millis(100);

/// The longest pause: a control process whose disk came back should not be waited for longer.
const LONGEST: Duration = Duration::from_secs(10);

/// A process that lived this long had started well; its next failure is a new one.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);

/// Doubles from failure to failure.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    last: Option<Duration>,
}

impl Backoff {
    /// The pause after a process that lived for `lived`.
    pub(super) fn pause(&mut self, lived: Duration) -> Duration {
        let pause = match self.last {
            Some(last) if lived < FORGIVEN_AFTER => (last * 2).min(LONGEST),
            _ => FIRST,
        };
        self.last = Some(pause);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_ten_seconds_and_begin_anew_after_a_long_life() {
        let mut backoff = Backoff::default();
        let pauses: Vec<u64> = (0..9)
            .map(|_| {
                u64::try_from(backoff.pause(Duration::from_millis(5)).as_millis()).unwrap_or(0)
            })
            .collect();
        assert_eq!(
            pauses,
            [100, 200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
        );
        assert_eq!(backoff.pause(FORGIVEN_AFTER), FIRST);
        assert_eq!(backoff.pause(Duration::ZERO), FIRST * 2);
    }
}
