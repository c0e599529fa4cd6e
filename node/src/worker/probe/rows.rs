//! Answers that count in rows: what a startup and a liveness check add up to. Pure.

use crate::worker::assignment::RepeatedCheck;

/// Answers of one check, as far back as they count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rows {
    passed: u32,
    failed: u32,
    last_failure: Option<String>,
}

/// What a row of answers means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    Open,
    Passed,
    Failed,
}

impl Rows {
    /// Counts one answer; `Err` holds why the check failed.
    pub(crate) fn observe(&mut self, result: Result<(), String>, check: &RepeatedCheck) -> Row {
        match result {
            Ok(()) => {
                self.passed = self.passed.saturating_add(1);
                if self.passed < check.success {
                    return Row::Open;
                }
                self.failed = 0;
                self.last_failure = None;
                Row::Passed
            }
            Err(reason) => {
                self.passed = 0;
                self.failed = self.failed.saturating_add(1);
                self.last_failure = Some(reason);
                match self.failed >= check.failure {
                    true => Row::Failed,
                    false => Row::Open,
                }
            }
        }
    }

    /// What the last check that failed said.
    pub(crate) fn last_failure(&self) -> Option<&str> {
        self.last_failure.as_deref()
    }

    /// `GET /alive failed 3 times in a row: answered with status 500`.
    pub(crate) fn sentence(&self, check: &RepeatedCheck) -> String {
        let (asked, times) = (check.kind.asked(), self.failed);
        let last = self.last_failure().unwrap_or("no answer");
        match times {
            1 => format!("{asked} failed: {last}"),
            _ => format!("{asked} failed {times} times in a row: {last}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worker::assignment::testing::check;

    /// Plays checks (`+` passed, `-` failed) and reads what each row means.
    fn play(success: u32, failure: u32, checks: &str) -> String {
        let check = RepeatedCheck {
            success,
            failure,
            ..check("/alive")
        };
        let mut rows = Rows::default();
        let step = |answer| {
            let result = match answer {
                '+' => Ok(()),
                _ => Err("no".to_owned()),
            };
            match rows.observe(result, &check) {
                Row::Open => '.',
                Row::Passed => 'p',
                Row::Failed => 'f',
            }
        };
        checks.chars().map(step).collect()
    }

    #[test]
    fn rows_follow_the_table() {
        let cases = [
            (1, 3, "---", "..f"),
            (1, 3, "--+--+---", "..p..p..f"),
            (2, 3, "--+---", "...f"),
            (2, 2, "+-++", "...p"),
            (1, 1, "-", "f"),
        ];
        for (success, failure, checks, expected) in cases {
            let found = play(success, failure, checks);
            assert!(found.starts_with(expected), "{checks}: {found}");
        }
    }

    #[test]
    fn the_sentence_says_what_was_asked_how_often_and_what_came() {
        let check = check("/alive");
        let mut rows = Rows::default();
        for _ in 0..3 {
            rows.observe(Err("answered with status 500".to_owned()), &check);
        }
        let expected = "GET /alive failed 3 times in a row: answered with status 500";
        assert_eq!(rows.sentence(&check), expected);
    }
}
