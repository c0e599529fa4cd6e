//! Decisions about counts, with the numbers they were reached by, and what is remembered of them.

use imbl::Vector;

use super::PolicyKind;
use crate::{Time, environment::Limits, time::Millis};

/// What was decided about the count of a service, and everything that is needed to say why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    pub at: Time,
    /// The count that was wanted before.
    pub from: u32,
    /// The count that is wanted now.
    pub to: u32,
    pub cause: Cause,
    pub policy: PolicyKind,
    pub bounds: Limits,
    /// Healthy frontends.
    pub ready: u32,
    /// Those of them that nobody heard of lately: `target` grows as if they did what the others do.
    pub unheard: u32,
    /// What was measured and what it asked for, the most demanding first.
    pub readings: Vec<Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// The load asks for more.
    Grew,
    /// The load asks for less.
    Shrank,
    /// The count was outside of its bounds.
    Bounded,
    Held(Hold),
}

/// Why a count stays as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// The load asks for nothing else.
    Steady,
    /// The load asks for more than the maximum.
    AtMaximum,
    /// The grace period or the cooldown since the last change is not over.
    Grace { rest: Millis },
    /// Fewer would do, and no frontend leaves while a rollout is under way.
    Rollout,
    /// Fewer would do, and the release is kept warm for this long, to be switched to at once.
    Warm { rest: Millis },
    /// The windows are not filled: the leader is new, or the service is.
    Filling { rest: Millis },
    /// Not every frontend was heard of lately.
    UnheardFrontends { heard: u32, of: u32 },
    /// Not every ingress was heard of lately.
    UnheardIngresses { heard: u32, of: u32 },
    /// Something was missing or made no sense within the window; it is whole again in this time.
    Gap { rest: Millis },
    /// No frontend is ready that could be measured.
    NothingReady,
    /// The policy has no target, or none that can be measured of this service.
    NoTarget,
}

impl Hold {
    /// Whether two holds are the same but for their numbers.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        std::mem::discriminant(&self) == std::mem::discriminant(&other)
    }
}

impl Cause {
    /// Whether two causes are the same but for their numbers.
    #[must_use]
    pub fn is_like(self, other: Self) -> bool {
        match (self, other) {
            (Self::Held(a), Self::Held(b)) => a.is_like(b),
            (a, b) => a == b,
        }
    }
}

/// What the count may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Signal {
    /// In percent of a frontend's request.
    Cpu,
    /// In percent of a frontend's request.
    Memory,
    /// Sent, a second.
    Requests,
    /// Requests in flight.
    InFlight,
}

impl Signal {
    pub const ALL: [Self; 4] = [Self::Cpu, Self::Memory, Self::Requests, Self::InFlight];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Memory => "memory",
            Self::Requests => "requests",
            Self::InFlight => "in flight",
        }
    }

    /// Behind its numbers.
    #[must_use]
    pub fn unit(self) -> &'static str {
        match self {
            Self::Cpu | Self::Memory => " %",
            Self::Requests => "/s",
            Self::InFlight => "",
        }
    }
}

/// One signal over one window, against what it is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    pub signal: Signal,
    pub window: Millis,
    /// In thousandths of the signal's unit: of `target` the sum over all frontends, of `step` the
    /// mean of them.
    pub value: u64,
    /// In thousandths: the target of one frontend, or the threshold.
    pub limit: u64,
    /// The count it asks for, before bounds.
    pub asks: u32,
}

/// What is remembered of the counts of one service of a loaded release.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Past {
    pub grew: Option<Time>,
    pub shrank: Option<Time>,
    /// When somebody last set the count.
    pub set: Option<Time>,
    /// The last decisions, oldest first.
    pub decisions: Vector<Decision>,
}

/// How many decisions are remembered of each service.
pub const KEPT_DECISIONS: usize = 20;

impl Past {
    /// The last change of the count, whoever made it.
    #[must_use]
    pub fn changed(&self) -> Option<Time> {
        self.grew.max(self.shrank).max(self.set)
    }

    #[must_use]
    pub fn last(&self) -> Option<&Decision> {
        self.decisions.back()
    }

    /// Remembers a decision.
    pub fn record(&mut self, decision: Decision) {
        match decision.to.cmp(&decision.from) {
            std::cmp::Ordering::Greater => self.grew = Some(decision.at),
            std::cmp::Ordering::Less => self.shrank = Some(decision.at),
            std::cmp::Ordering::Equal => {}
        }
        while self.decisions.len() >= KEPT_DECISIONS {
            self.decisions.pop_front();
        }
        self.decisions.push_back(decision);
    }

    /// Whether a decision is worth a line of history: it changes something, or the count stays for
    /// another reason than before, and then at most once a minute. That nothing is to be done is
    /// told only behind an obstacle.
    #[must_use]
    pub fn is_told(&self, decision: &Decision) -> bool {
        let Cause::Held(hold) = decision.cause else {
            return true;
        };
        let last = self.last();
        let quiet = matches!(
            hold,
            Hold::Steady | Hold::Filling { .. } | Hold::NothingReady
        );
        match last {
            None => !quiet,
            Some(last) => {
                let obstacle = matches!(last.cause, Cause::Held(before) if before != Hold::Steady);
                let rested = decision.at.since(last.at) >= BETWEEN_HOLDS;
                let news = !last.cause.is_like(decision.cause);
                rested && news && (obstacle && hold == Hold::Steady || !quiet)
            }
        }
    }
}

/// Decisions that change nothing are told at most this often.
const BETWEEN_HOLDS: Millis = Millis::seconds(60);
