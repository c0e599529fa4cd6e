//! Decisions as sentences. Events, `log view`, and `env autoscaling describe` say the same.

use std::fmt;

use super::{Cause, Decision, Hold, PolicyKind, Reading, Signal, Step};

impl Decision {
    /// The line people read: what was measured over which window, the formula, the bounds, and what
    /// came of it. Without the service and the time, which stand beside it.
    #[must_use]
    pub fn line(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cause {
            Cause::Held(hold) => write!(f, "held at {}: {hold}", self.to)?,
            Cause::Bounded => write!(
                f,
                "{} -> {}: it was outside of its bounds",
                self.from, self.to
            )?,
            Cause::Grew | Cause::Shrank => write!(f, "{} -> {}", self.from, self.to)?,
        }
        for (index, reading) in self.readings.iter().enumerate() {
            let first = index == 0 && matches!(self.cause, Cause::Grew | Cause::Shrank);
            f.write_str(if first { ": " } else { "; " })?;
            self.reading(f, reading)?;
        }
        write!(f, "; {} ready", self.ready)?;
        // That hold has said so.
        let said = matches!(self.cause, Cause::Held(Hold::UnheardFrontends { .. }));
        if self.unheard > 0 && !said {
            write!(f, ", {} of them unheard", self.unheard)?;
        }
        write!(f, ", bounds {} to {}", self.bounds.min, self.bounds.max)
    }
}

impl Decision {
    fn reading(&self, f: &mut fmt::Formatter<'_>, reading: &Reading) -> fmt::Result {
        let Reading {
            signal,
            window,
            value,
            limit,
            asks,
        } = *reading;
        let (value, limit, unit) = (Thousandths(value), Thousandths(limit), signal.unit());
        let signal = signal.as_str();
        match self.policy {
            PolicyKind::Target => write!(
                f,
                "{signal} {value}{unit} over {window} asks for ceil({value} / {limit}) = {asks}"
            ),
            PolicyKind::Step => {
                let up = window == Step::UP_WINDOW;
                let side = match (up, reading.value > reading.limit) {
                    (true, true) => "above",
                    (true, false) => "not above",
                    (false, false) => "below",
                    (false, true) => "not below",
                };
                write!(
                    f,
                    "mean {signal} {value}{unit} over {window} is {side} {limit}{unit} and asks for {asks}"
                )
            }
        }
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Steady => f.write_str("the load asks for nothing else"),
            Self::AtMaximum => f.write_str("the load asks for more than the maximum"),
            Self::Grace { rest } => {
                write!(f, "the last change was not long ago, wait {rest} more")
            }
            Self::Rollout => {
                f.write_str("fewer would do, and none leaves while a rollout is under way")
            }
            Self::Warm { rest } => {
                write!(
                    f,
                    "fewer would do, and the release is kept warm for {rest} more"
                )
            }
            Self::Filling { rest } => {
                write!(f, "the windows are not filled yet, that takes {rest} more")
            }
            Self::UnheardFrontends { heard, of } => {
                write!(f, "only {heard} of {of} frontends were heard of lately")
            }
            Self::UnheardIngresses { heard, of } => {
                write!(f, "only {heard} of {of} ingresses were heard of lately")
            }
            Self::Gap { rest } => write!(
                f,
                "samples are missing in the window, it is whole again in {rest}"
            ),
            Self::NothingReady => f.write_str("no frontend is ready that could be measured"),
            Self::NoTarget => f.write_str("there is no target that could be measured"),
        }
    }
}

/// `93`, `1.86`, `0.004`: thousandths without trailing noughts.
pub(super) struct Thousandths(pub(super) u64);

impl fmt::Display for Thousandths {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0 / 1000, self.0 % 1000);
        match rest {
            0 => write!(f, "{whole}"),
            // Who reads hundreds does not read thousandths.
            _ if whole >= 100 => write!(f, "{}", whole + u64::from(rest >= 500)),
            _ => {
                let digits = format!("{rest:03}");
                write!(f, "{whole}.{}", digits.trim_end_matches('0'))
            }
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What would happen next, of a decision that would be made now.
pub(super) fn next(decision: &Decision) -> String {
    let Decision { from, to, .. } = decision;
    match decision.cause {
        Cause::Grew => format!("it grows from {from} to {to}"),
        Cause::Shrank => format!("it shrinks from {from} to {to}"),
        Cause::Bounded => format!("it is brought within its bounds, from {from} to {to}"),
        Cause::Held(hold) => format!("it stays at {to}: {hold}"),
    }
}
