//! Passive ejection: a frontend that keeps failing at the level of connections gets no requests
//! for a while, and comes back by itself.
//!
//! Control does not hear of it in order to act; it is this ingress's own view (a broken path from
//! here may be whole from elsewhere). That not all frontends of a pool can be ejected together is
//! the balancer's doing: with nobody fit it uses the ejected ones. Pure: time is an argument.

use std::time::Duration;

/// Consecutive failures that eject. A single reset may be the frontend's right; three in a row
/// with no answer between them are not.
const THRESHOLD: u32 = 3;
/// First absence. About the time a process needs to be replaced.
const FIRST: Duration = Duration::from_secs(1);
/// Absences double up to this, so a returned frontend is found again within half a minute.
const LONGEST: Duration = Duration::from_secs(30);

/// The record of one frontend.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ejection {
    failures: u32,
    /// Ejections since the last answer.
    times: u32,
    /// Milliseconds of the ingress's own clock; before it, the frontend is absent.
    until_ms: u64,
}

impl Ejection {
    /// No answer came. Tells when an absence that begins now will end.
    pub(super) fn failed(&mut self, now_ms: u64) -> Option<u64> {
        if now_ms < self.until_ms {
            // A request sent before the ejection: no news.
            return None;
        }
        self.failures += 1;
        // One that returns is on probation: a single failure sends it away again.
        let enough = if self.times == 0 { THRESHOLD } else { 1 };
        if self.failures < enough {
            return None;
        }
        let absence = FIRST.saturating_mul(1 << self.times.min(16)).min(LONGEST);
        self.failures = 0;
        self.times += 1;
        self.until_ms = now_ms + absence.as_millis() as u64;
        Some(self.until_ms)
    }

    /// An answer came. During an absence it is of a request sent before, and shortens nothing.
    pub(super) fn answered(&mut self, now_ms: u64) {
        self.failures = 0;
        if now_ms >= self.until_ms {
            self.times = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Failed,
        Answered,
    }

    proptest! {
        /// Whatever happens: absences stay within bounds, never begin without the failures they
        /// need, and an answer in between asks for those failures anew.
        #[test]
        fn absences_are_earned_and_bounded(
            events in proptest::collection::vec(
                (0u64..5_000, prop_oneof![Just(Event::Failed), Just(Event::Answered)]), 0..200),
        ) {
            let mut record = Ejection::default();
            let (mut now, mut until, mut run) = (0u64, 0u64, 0u32);
            let mut earlier: Option<u64> = None;
            for (pause, event) in events {
                now += pause;
                let absent = now < until;
                match event {
                    Event::Answered => {
                        record.answered(now);
                        run = 0;
                        if !absent { earlier = None; }
                    }
                    Event::Failed => match record.failed(now) {
                        None => if !absent { run += 1 },
                        Some(end) => {
                            prop_assert!(!absent, "ejected while ejected");
                            run += 1;
                            let needed = if earlier.is_some() { 1 } else { THRESHOLD };
                            prop_assert!(run >= needed);
                            let length = end - now;
                            prop_assert!((1_000..=30_000).contains(&length));
                            if let Some(earlier) = earlier {
                                prop_assert_eq!(length, (earlier * 2).min(30_000));
                            }
                            (until, run, earlier) = (end, 0, Some(length));
                        }
                    },
                }
            }
        }
    }

    #[test]
    fn three_failures_eject_and_time_returns() {
        let mut record = Ejection::default();
        assert_eq!(record.failed(10), None);
        assert_eq!(record.failed(11), None);
        assert_eq!(record.failed(12), Some(1_012));
        assert_eq!(record.failed(500), None, "sent before the ejection");
        assert_eq!(
            record.failed(1_012),
            Some(3_012),
            "on probation one failure is enough"
        );
        record.answered(3_012);
        assert_eq!(record.failed(3_013), None, "an answer wipes the slate");
    }
}
