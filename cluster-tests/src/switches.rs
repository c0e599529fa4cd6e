//! Which release may answer when, judged by the switches that the cluster has acknowledged.
//!
//! A switch happens somewhere between the command and its acknowledgement, at each ingress at a
//! moment of its own. So a request that was sent after an acknowledgement is answered by that
//! release or a later one, and nobody answers as a release whose activation was not asked for yet.
//! Between the two moments both may answer.

use std::time::Instant;

/// One release became the active one.
#[derive(Clone, Debug)]
pub struct Switch {
    pub release: String,
    /// Before its command was sent.
    pub asked: Instant,
    /// When the last ingress had confirmed, as the cluster said.
    pub acknowledged: Instant,
}

/// All switches of an environment, in their order.
#[derive(Clone, Debug, Default)]
pub struct Switches(pub Vec<Switch>);

/// What was found.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub answers: usize,
    /// Of these, how many only one release could have given rightly.
    pub certain: usize,
    /// Wrong ones, each with the releases that could have answered.
    pub wrong: Vec<String>,
}

impl Switches {
    /// Who may have answered a request that was sent, and whose answer had come, at these moments.
    pub fn allowed(&self, sent: Instant, answered: Instant) -> &[Switch] {
        let acknowledged = |switch: &Switch| switch.acknowledged <= sent;
        let first = self.0.iter().rposition(acknowledged).unwrap_or(0);
        let asked = self.0.iter().filter(|switch| switch.asked <= answered);
        self.0.get(first..asked.count()).unwrap_or_default()
    }

    /// The switch by which a release answered at these moments, and the one that ended it.
    pub fn reign(
        &self,
        release: &str,
        sent: Instant,
        answered: Instant,
    ) -> Option<(&Switch, Option<&Switch>)> {
        let allowed = self.allowed(sent, answered);
        let by = allowed.iter().rfind(|switch| switch.release == release)?;
        let end = self.0.iter().find(|switch| switch.asked > by.asked);
        Some((by, end))
    }

    /// Judges answers: when each was sent, when it had come, and which release gave it.
    pub fn judge<'a>(&self, answers: impl Iterator<Item = (Instant, Instant, &'a str)>) -> Verdict {
        let mut verdict = Verdict::default();
        for (sent, answered, release) in answers {
            let allowed = self.allowed(sent, answered);
            verdict.answers += 1;
            verdict.certain += usize::from(allowed.len() == 1);
            if !allowed.iter().any(|switch| switch.release == release) {
                let names: Vec<&str> = allowed.iter().map(|s| s.release.as_str()).collect();
                verdict.wrong.push(format!(
                    "{release:?} answered in {:?} where only {names:?} could",
                    answered.duration_since(sent)
                ));
            }
        }
        verdict
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Three releases in turn, asked for at 100, 200 ... ms and acknowledged 10 ms later.
    fn history(began: Instant) -> Switches {
        let switch = |(turn, release): (u64, &str)| Switch {
            release: release.to_owned(),
            asked: began + Duration::from_millis(100 * turn),
            acknowledged: began + Duration::from_millis(100 * turn + 10),
        };
        let releases = ["one", "two", "three", "one"];
        Switches((0..).zip(releases).map(switch).collect())
    }

    #[test]
    fn an_answer_is_judged_by_when_it_was_asked_for_and_given() {
        let began = Instant::now();
        let switches = history(began);
        let cases = [
            // Between switches there is one answer.
            (50, 60, "one", true),
            (50, 60, "two", false),
            (150, 160, "two", true),
            // Older than the acknowledged switch.
            (111, 120, "one", false),
            (211, 220, "two", false),
            // While a switch is under way, and for a request that was sent before it.
            (105, 106, "one", true),
            (105, 106, "two", true),
            (90, 190, "two", true),
            (90, 190, "one", true),
            // Not even asked for.
            (90, 99, "two", false),
            (105, 150, "three", false),
            // The same release a second time.
            (320, 330, "one", true),
            (220, 250, "one", false),
        ];
        for (sent, answered, release, right) in cases {
            let at = |ms: u64| began + Duration::from_millis(ms);
            let answer = (at(sent), at(answered), release);
            let verdict = switches.judge(std::iter::once(answer));
            assert_eq!(
                verdict.wrong.is_empty(),
                right,
                "{sent} {answered} {release}"
            );
        }
    }

    #[test]
    fn a_reign_ends_with_the_next_switch() {
        let began = Instant::now();
        let switches = history(began);
        let at = |ms: u64| began + Duration::from_millis(ms);
        let end = |release, sent, answered| {
            let (_, end) = switches.reign(release, at(sent), at(answered))?;
            Some(end.map(|end| end.release.clone()))
        };
        assert_eq!(end("two", 150, 160), Some(Some("three".to_owned())));
        assert_eq!(end("two", 105, 106), Some(Some("three".to_owned())));
        assert_eq!(end("one", 320, 330), Some(None));
        assert_eq!(end("three", 150, 160), None);
    }
}
