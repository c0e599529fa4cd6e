//! How fast something may come, and how much of it may be there at once. Pure: times in, verdicts out.

use std::num::NonZeroU32;

/// So many a second in the long run, and some at once after a silence.
///
/// The generic cell rate algorithm (ITU-T I.371, annex A, virtual scheduling): all that is remembered is
/// when the next one would be due if they came evenly. Who comes before that by more than the burst
/// allows is refused, and costs nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Pace {
    /// Nanoseconds from one to the next.
    interval: u64,
    /// Nanoseconds by which one may come before it is due.
    tolerance: u64,
}

/// What is let through; what is absent is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Limit {
    pub(super) in_flight: Option<NonZeroU32>,
    pub(super) rate: Option<Rate>,
}

/// A pace as it is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    pub(super) per_second: NonZeroU32,
    /// At once, after a silence.
    pub(super) burst: u32,
}

/// Too early: nanoseconds until it will not be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Early(pub(super) u64);

impl Pace {
    pub(super) fn of(rate: Rate) -> Self {
        let interval = 1_000_000_000 / u64::from(rate.per_second.get());
        let before = u64::from(rate.burst.saturating_sub(1));
        Self {
            interval,
            tolerance: interval * before,
        }
    }

    /// When the next one is due if one comes now; `due` is when this one was, 0 for the first.
    pub(super) fn arrives(self, due: u64, now: u64) -> Result<u64, Early> {
        let due = due.max(now);
        match (due - now).checked_sub(self.tolerance) {
            None | Some(0) => Ok(due + self.interval),
            Some(early) => Err(Early(early)),
        }
    }
}

impl Limit {
    /// Nothing is limited.
    pub(super) fn is_none(self) -> bool {
        self == Self::default()
    }
}

impl Early {
    /// Whole seconds after which to try again; at least one.
    pub(super) fn seconds(self) -> u32 {
        u32::try_from(self.0.div_ceil(1_000_000_000))
            .unwrap_or(u32::MAX)
            .max(1)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(per_second: u32, burst: u32) -> Pace {
        Pace::of(Rate {
            per_second: NonZeroU32::new(per_second).unwrap(),
            burst,
        })
    }

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn a_burst_and_then_evenly() {
        let pace = pace(10, 3);
        let mut due = 0;
        for _ in 0..3 {
            due = pace.arrives(due, SECOND).unwrap();
        }
        assert_eq!(pace.arrives(due, SECOND), Err(Early(SECOND / 10)));
        let later = SECOND + SECOND / 10;
        due = pace.arrives(due, later).unwrap();
        assert!(pace.arrives(due, later).is_err());
        // After a silence the burst is whole again, and no more than that.
        let mut let_in = 0;
        while let Ok(next) = pace.arrives(due, 100 * SECOND) {
            (due, let_in) = (next, let_in + 1);
        }
        assert_eq!(let_in, 3);
        assert_eq!(Early(1).seconds(), 1);
        assert_eq!(Early(SECOND + 1).seconds(), 2);
    }

    proptest! {
        /// In no stretch of time do more come than the rate and one burst allow, and who comes evenly at
        /// the rate is never refused.
        #[test]
        fn no_more_than_was_promised_and_no_less(
            per_second in 1..2_000_u32,
            burst in 1..50_u32,
            gaps in proptest::collection::vec(0..SECOND / 50, 1..300),
        ) {
            let pace = pace(per_second, burst);
            let (mut now, mut due) = (SECOND, 0);
            let mut let_in = Vec::new();
            for gap in gaps {
                now += gap;
                if let Ok(next) = pace.arrives(due, now) {
                    due = next;
                    let_in.push(now);
                }
            }
            for (index, from) in let_in.iter().enumerate() {
                for (more, to) in let_in[index..].iter().enumerate() {
                    let most = u64::from(burst) + (to - from) / pace.interval;
                    prop_assert!((more as u64) < most, "{more} from {from} to {to}");
                }
            }
            let mut due = 0;
            for step in 0..200 {
                let even = pace.arrives(due, SECOND + step * pace.interval);
                prop_assert!(even.is_ok());
                due = even.unwrap_or(due);
            }
        }
    }
}
