//! What a run is worth: minutes in which the goal was missed, instance-hours, and changes.

/// What came in within one minute, and how it fared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Minute {
    pub requests: u64,
    /// Answered later than the goal.
    pub slow: u64,
    pub refused: u64,
    /// Seconds of all instances, starting and leaving ones too.
    pub instance_seconds: u64,
    /// The most frontends that took requests.
    pub ready: u64,
}

impl Minute {
    /// Whether p95 was over the goal, or something was refused.
    pub fn is_violated(&self) -> bool {
        self.refused > 0 || self.slow * 20 > self.requests
    }
}

/// A change of the desired count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// Seconds from the start of the trace.
    pub at: u32,
    pub from: u32,
    pub to: u32,
}

/// All that is kept of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    pub minutes: Vec<Minute>,
    pub changes: Vec<Change>,
}

/// The sums of one run, or of several.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Score {
    pub violated_minutes: u64,
    pub instance_seconds: u64,
    pub changes: u64,
    pub requests: u64,
    pub slow: u64,
    pub refused: u64,
}

impl Run {
    pub(crate) fn new(minutes: usize) -> Run {
        Run {
            minutes: vec![Minute::default(); minutes],
            changes: Vec::new(),
        }
    }

    /// The minute of a moment, in seconds from the start.
    pub(crate) fn minute(&mut self, at: f64) -> &mut Minute {
        let last = self.minutes.len() - 1;
        &mut self.minutes[((at / 60.0) as usize).min(last)]
    }

    pub(crate) fn count(&mut self, second: u32, present: usize, ready: usize) {
        let minute = self.minute(f64::from(second));
        minute.instance_seconds += present as u64;
        minute.ready = minute.ready.max(ready as u64);
    }

    pub(crate) fn changed(&mut self, at: u32, from: u32, to: u32) {
        self.changes.push(Change { at, from, to });
    }

    /// Seconds from `moment` until more frontends were asked for.
    pub fn reaction(&self, moment: u32) -> Option<u32> {
        let grew = |change: &&Change| change.at >= moment && change.to > change.from;
        self.changes
            .iter()
            .find(grew)
            .map(|change| change.at - moment)
    }

    pub fn score(&self) -> Score {
        let mut score = Score {
            changes: self.changes.len() as u64,
            ..Score::default()
        };
        for minute in &self.minutes {
            score.violated_minutes += u64::from(minute.is_violated());
            score.instance_seconds += minute.instance_seconds;
            score.requests += minute.requests;
            score.slow += minute.slow;
            score.refused += minute.refused;
        }
        score
    }
}

impl Score {
    pub fn instance_hours(&self) -> f64 {
        self.instance_seconds as f64 / 3600.0
    }

    /// Whether `other` has both fewer minutes missed and fewer instance-hours.
    pub fn is_worse_in_both_than(&self, other: &Score) -> bool {
        other.violated_minutes < self.violated_minutes
            && other.instance_seconds < self.instance_seconds
    }

    /// Whether `other` is at least as good in both and better in one: what keeps a point off the
    /// Pareto front.
    pub fn is_dominated_by(&self, other: &Score) -> bool {
        let no_worse = other.violated_minutes <= self.violated_minutes
            && other.instance_seconds <= self.instance_seconds;
        no_worse
            && (other.violated_minutes, other.instance_seconds)
                != (self.violated_minutes, self.instance_seconds)
    }
}

impl std::ops::Add for Score {
    type Output = Score;

    fn add(self, other: Score) -> Score {
        Score {
            violated_minutes: self.violated_minutes + other.violated_minutes,
            instance_seconds: self.instance_seconds + other.instance_seconds,
            changes: self.changes + other.changes,
            requests: self.requests + other.requests,
            slow: self.slow + other.slow,
            refused: self.refused + other.refused,
        }
    }
}

impl std::iter::Sum for Score {
    fn sum<I: Iterator<Item = Score>>(scores: I) -> Score {
        scores.fold(Score::default(), |sum, score| sum + score)
    }
}
