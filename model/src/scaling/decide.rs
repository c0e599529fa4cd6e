//! The decision: a function of what its question says, and of nothing else.

mod step;
mod target;

use super::{Cause, Decision, Hold, Past, Policy, Reading, ServiceSignals, Size, window::SETTLED};
use crate::{Time, environment::Limits, time::Millis};

/// Everything a decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    pub policy: Policy,
    pub bounds: Limits,
    pub size: Size,
    /// The count that is wanted now, frontends that start included.
    pub desired: u32,
    /// Healthy frontends.
    pub ready: u32,
    pub past: &'a Past,
    pub signals: &'a ServiceSignals,
    /// Of the ready frontends, by their agents.
    pub frontends: Heard,
    /// Of the ingresses that may send to them.
    pub ingresses: Heard,
    pub gates: Gates,
    pub now: Time,
}

/// How many were heard of lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heard {
    pub fresh: u32,
    pub of: u32,
    /// When the first was heard.
    pub first: Option<Time>,
    /// Since when nothing is missing.
    pub whole: Option<Time>,
}

/// What forbids a change whatever the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    pub shrink: Option<Gate>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// A rollout is under way in the environment.
    Rollout,
    /// The release is kept warm, to be switched to at once.
    Warm { until: Time },
    /// The release has not carried the load for as long as its windows reach.
    Young { until: Time },
}

/// How many frontends there shall be, and why.
///
/// The answer is within the bounds whatever the question says; it is lower than the count only if
/// the count was above its maximum or every sample that counts was heard.
#[must_use]
pub fn decide(question: &Question<'_>) -> Decision {
    let bounds = question.limits();
    if bounds.clamp(question.desired) != question.desired {
        let to = bounds.clamp(question.desired);
        return question.decision(to, Cause::Bounded, Vec::new());
    }
    if question.ready == 0 {
        return question.hold(Hold::NothingReady, Vec::new());
    }
    match &question.policy {
        Policy::Step(step) => step::decide(question, step),
        Policy::Target(target) => target::decide(question, target),
    }
}

impl Question<'_> {
    /// The bounds, as a range that a count can be in.
    fn limits(&self) -> Limits {
        Limits {
            min: self.bounds.min.min(self.bounds.max),
            max: self.bounds.max,
        }
    }

    /// The least that a decision may lower to. To zero only people go: nothing that is not there
    /// can be measured, and nobody would bring it back.
    fn least(&self) -> u32 {
        self.limits().clamp(self.bounds.min.max(1))
    }

    fn decision(&self, to: u32, cause: Cause, mut readings: Vec<Reading>) -> Decision {
        readings.sort_by_key(|reading| (std::cmp::Reverse(reading.asks), reading.signal));
        Decision {
            at: self.now,
            from: self.desired,
            to,
            cause,
            policy: self.policy.kind(),
            bounds: self.bounds,
            ready: self.ready,
            unheard: self.unheard(),
            readings,
        }
    }

    /// Ready frontends that nobody heard of lately.
    fn unheard(&self) -> u32 {
        self.ready.saturating_sub(self.frontends.fresh)
    }

    fn hold(&self, hold: Hold, readings: Vec<Reading>) -> Decision {
        self.decision(self.desired, Cause::Held(hold), readings)
    }

    fn grow(&self, asks: u32, readings: Vec<Reading>) -> Decision {
        let to = self.limits().clamp(asks);
        if to <= self.desired {
            return self.hold(Hold::AtMaximum, readings);
        }
        self.decision(to, Cause::Grew, readings)
    }

    fn shrink(&self, asks: u32, readings: Vec<Reading>) -> Decision {
        let to = asks.max(self.least());
        if to >= self.desired {
            return self.hold(Hold::Steady, readings);
        }
        if let Some(gate) = self.gates.shrink {
            return self.hold(gate.hold(self.now), readings);
        }
        self.decision(to, Cause::Shrank, readings)
    }

    /// What is left of `wait` since the last change; `None` when it is over. A change that lies in
    /// the future was made by a clock that was ahead: it counts as made just now.
    fn resting(&self, since: Option<Time>, wait: Millis) -> Option<Hold> {
        let rest = Millis(wait.0.saturating_sub(self.now.since(since?).0));
        (rest.0 > 0).then_some(Hold::Grace { rest })
    }

    /// Why usage of the last `window` must not lower anything.
    fn unsound_usage(&self, window: Millis) -> Option<Hold> {
        let Heard { fresh, of, .. } = self.frontends;
        if self.frontends.age(self.now) < SETTLED {
            return self.frontends.incomplete(SETTLED.max(window), self.now);
        }
        if fresh < of.max(self.ready) {
            let of = of.max(self.ready);
            return Some(Hold::UnheardFrontends { heard: fresh, of });
        }
        self.frontends.incomplete(window, self.now)
    }

    /// Why traffic of the last `window` must not lower anything.
    fn unsound_traffic(&self, window: Millis) -> Option<Hold> {
        let Heard { fresh, of, .. } = self.ingresses;
        if self.ingresses.age(self.now) < SETTLED {
            return self.ingresses.incomplete(SETTLED.max(window), self.now);
        }
        if fresh < of || of == 0 {
            return Some(Hold::UnheardIngresses { heard: fresh, of });
        }
        self.ingresses.incomplete(window, self.now)
    }
}

impl Gate {
    fn hold(self, now: Time) -> Hold {
        match self {
            Self::Rollout => Hold::Rollout,
            Self::Warm { until } => Hold::Warm {
                rest: until.since(now),
            },
            Self::Young { until } => Hold::Filling {
                rest: until.since(now),
            },
        }
    }
}

impl Heard {
    /// For how long there have been samples.
    fn age(&self, now: Time) -> Millis {
        self.first.map_or(Millis(0), |first| now.since(first))
    }

    /// Why `window` does not say all of what happened.
    fn incomplete(&self, window: Millis, now: Time) -> Option<Hold> {
        let rest = |since: Option<Time>| {
            let age = since.map_or(Millis(0), |since| now.since(since));
            Some(Millis(window.0.saturating_sub(age.0))).filter(|rest| rest.0 > 0)
        };
        if let Some(rest) = rest(self.first) {
            return Some(Hold::Filling { rest });
        }
        rest(self.whole).map(|rest| Hold::Gap { rest })
    }
}
