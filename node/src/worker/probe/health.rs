//! What the answers to probes add up to. Pure: it counts, and is told everything it knows.

use std::time::Duration;

use crate::worker::assignment::{CheckKind, HealthCheck};

/// Checks in a row that must fail before a healthy frontend counts as unhealthy.
pub(crate) const FAILURES: u32 = 3;

/// Checks in a row that an unhealthy frontend must pass: one more than a starting one, so that a
/// check that fails every other time does not flap into the log of the cluster.
pub(crate) const RECOVERIES: u32 = 2;

/// Between checks until the first success.
pub(crate) const STARTING_INTERVAL: Duration = Duration::from_secs(1);

/// How long a process without a check must live to count as healthy: an application that exits
/// at once has done so by then.
pub(crate) const SETTLE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Has not passed a check yet.
    Starting,
    Healthy,
    Unhealthy,
}

/// The memory of one frontend's checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    verdict: Verdict,
    /// In a row, of the kind that could change the verdict.
    streak: u32,
    last_failure: Option<String>,
}

impl Health {
    /// Of a process that was just started.
    pub(crate) fn starting() -> Self {
        Self::resumed(Verdict::Starting)
    }

    /// Of an adopted process, which was `verdict` when it was last looked at.
    pub(crate) fn resumed(verdict: Verdict) -> Self {
        Self {
            verdict,
            streak: 0,
            last_failure: None,
        }
    }

    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// What the last check that failed said.
    pub(crate) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// Counts one check; `Err` holds why it failed.
    pub(crate) fn observe(&mut self, result: Result<(), String>) {
        let (verdict, needed) = match (self.verdict, &result) {
            (Verdict::Starting, Ok(())) => (Verdict::Healthy, 1),
            (Verdict::Healthy, Err(_)) => (Verdict::Unhealthy, FAILURES),
            (Verdict::Unhealthy, Ok(())) => (Verdict::Healthy, RECOVERIES),
            (Verdict::Starting, Err(_))
            | (Verdict::Healthy, Ok(()))
            | (Verdict::Unhealthy, Err(_)) => (self.verdict, 0),
        };
        self.streak = if needed == 0 { 0 } else { self.streak + 1 };
        if needed > 0 && self.streak >= needed {
            self.verdict = verdict;
            self.streak = 0;
        }
        match result {
            Err(reason) => self.last_failure = Some(reason),
            Ok(()) if self.verdict == Verdict::Healthy => self.last_failure = None,
            Ok(()) => {}
        }
    }

    /// How long after a check the next one is due; `None` if one was enough.
    pub(crate) fn next_after(&self, check: &HealthCheck) -> Option<Duration> {
        match (&check.kind, self.verdict) {
            (CheckKind::Settle, _) => None,
            (_, Verdict::Starting) => Some(STARTING_INTERVAL.min(check.interval)),
            (_, Verdict::Healthy | Verdict::Unhealthy) => Some(check.interval),
        }
    }

    /// How long after the start the first check is due.
    pub(crate) fn first_after(check: &HealthCheck) -> Duration {
        match check.kind {
            CheckKind::Settle => SETTLE,
            // Most applications listen within a few hundred milliseconds.
            CheckKind::Tcp | CheckKind::Http(_) | CheckKind::Grpc => Duration::from_millis(50),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays a string of checks (`+` passed, `-` failed) from a verdict and reads the verdict
    /// after each as `s`, `h` or `u`.
    fn play(from: Verdict, checks: &str) -> String {
        let mut health = Health::resumed(from);
        let step = |check| {
            health.observe(if check == '+' {
                Ok(())
            } else {
                Err("no".to_owned())
            });
            match health.verdict() {
                Verdict::Starting => 's',
                Verdict::Healthy => 'h',
                Verdict::Unhealthy => 'u',
            }
        };
        checks.chars().map(step).collect()
    }

    #[test]
    fn verdicts_follow_the_table() {
        let cases = [
            (Verdict::Starting, "+", "h"),
            (Verdict::Starting, "----+", "ssssh"),
            (Verdict::Healthy, "---", "hhu"),
            (Verdict::Healthy, "--+--+---", "hhhhhhhhu"),
            (Verdict::Unhealthy, "++", "uh"),
            (Verdict::Unhealthy, "+-+-++", "uuuuuh"),
            (Verdict::Healthy, "---++---", "hhuuhhhu"),
            (Verdict::Healthy, "+-+-+-+-", "hhhhhhhh"),
        ];
        for (from, checks, expected) in cases {
            assert_eq!(play(from, checks), expected, "{from:?} {checks}");
        }
    }

    #[test]
    fn the_last_failure_is_kept_until_healthy() {
        let mut health = Health::starting();
        health.observe(Err("connection refused".to_owned()));
        assert_eq!(health.last_failure(), Some("connection refused"));
        health.observe(Ok(()));
        assert_eq!(health.last_failure(), None);
    }

    #[test]
    fn a_starting_frontend_is_asked_more_often() {
        let check = HealthCheck {
            kind: CheckKind::Tcp,
            interval: HealthCheck::INTERVAL,
            timeout: HealthCheck::TIMEOUT,
            start_deadline: HealthCheck::START_DEADLINE,
        };
        let mut health = Health::starting();
        assert_eq!(health.next_after(&check), Some(STARTING_INTERVAL));
        health.observe(Ok(()));
        assert_eq!(health.next_after(&check), Some(HealthCheck::INTERVAL));
        let quick = HealthCheck {
            interval: Duration::from_millis(100),
            ..check.clone()
        };
        assert_eq!(Health::starting().next_after(&quick), Some(quick.interval));
        let settle = HealthCheck {
            kind: CheckKind::Settle,
            ..check
        };
        assert_eq!(health.next_after(&settle), None);
    }
}
