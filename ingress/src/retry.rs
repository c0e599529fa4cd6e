//! Whether a request that got no answer may be sent again.
//!
//! Repeating is safe in two cases only: nothing of the request ever left this process, or the
//! method promises that twice is as good as once and there is no body to send again. And it is
//! good only while it is rare: when everything fails, repeats would multiply the load on what is
//! left, hence the budget. Pure: facts in, verdict out.

use std::sync::atomic::{AtomicI64, Ordering};

/// Repeats of one request, with one route table.
const MAX_REPEATS: u32 = 2;

/// How an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// No connection, so not a byte was sent.
    NotConnected,
    /// The connection ended after some of the request was sent and before the response began.
    ClosedEarly,
    /// The frontend's machine acknowledged nothing for a while: it, or the way to it, is gone.
    Unreachable,
    /// No response in time. It may still be at work: never repeated.
    TimedOut,
    /// The client did not send the rest of its request in time.
    ClientTimedOut,
    /// The response was not HTTP, or the client's body ended badly.
    Malformed,
}

/// What is known of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) failure: Failure,
    /// RFC 9110, 9.2.2: GET, HEAD, OPTIONS, TRACE, PUT, DELETE.
    pub(super) idempotent: bool,
    pub(super) body: Body,
}

/// The state of the request's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// There is none.
    Absent,
    /// There is one, and none of it was taken from the client's connection.
    Untouched,
    /// Some of it is gone.
    Begun,
}

/// Whether the request may be sent once more without harm.
pub(super) fn harmless(facts: Facts) -> bool {
    match facts.failure {
        Failure::NotConnected => facts.body != Body::Begun,
        Failure::ClosedEarly | Failure::Unreachable => {
            facts.idempotent && facts.body == Body::Absent
        }
        Failure::TimedOut | Failure::ClientTimedOut | Failure::Malformed => false,
    }
}

/// Whether one more repeat is not too many; the budget is asked after.
pub(super) fn another(repeats: u32) -> bool {
    repeats < MAX_REPEATS
}

/// Repeats are at most a fifth of requests, plus a reserve so that a quiet environment can lose
/// a frontend without losing a request.
#[derive(Debug)]
pub(super) struct Budget {
    /// In fifths of a repeat.
    fifths: AtomicI64,
}

/// A repeat costs this many fifths; a request brings one.
const COST: i64 = 5;
/// The most that is saved: what a frontend with some hundred requests in flight takes with it.
const SAVED: i64 = 200 * COST;

impl Budget {
    /// A full one.
    pub(super) fn new() -> Self {
        Self {
            fifths: AtomicI64::new(SAVED),
        }
    }

    /// A request came. Racing requests may overshoot the cap by one each, which is nothing.
    pub(super) fn deposit(&self) {
        if self.fifths.load(Ordering::Relaxed) < SAVED {
            self.fifths.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Pays for one repeat, or refuses it.
    pub(super) fn withdraw(&self) -> bool {
        let paid = |fifths: i64| (fifths >= COST).then_some(fifths - COST);
        self.fifths
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, paid)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_repeated() {
        use Body::{Absent, Begun, Untouched};
        use Failure::{
            ClientTimedOut, ClosedEarly, Malformed, NotConnected, TimedOut, Unreachable,
        };
        let table = [
            // failure, idempotent, body, may be repeated
            (NotConnected, true, Absent, true),
            (NotConnected, false, Absent, true),
            (NotConnected, false, Untouched, true),
            (NotConnected, false, Begun, false),
            (ClosedEarly, true, Absent, true),
            (ClosedEarly, true, Untouched, false),
            (ClosedEarly, true, Begun, false),
            (ClosedEarly, false, Absent, false),
            (Unreachable, true, Absent, true),
            (Unreachable, true, Begun, false),
            (Unreachable, false, Absent, false),
            (TimedOut, true, Absent, false),
            (ClientTimedOut, true, Begun, false),
            (Malformed, true, Absent, false),
        ];
        for (failure, idempotent, body, expected) in table {
            let facts = Facts {
                failure,
                idempotent,
                body,
            };
            assert_eq!(harmless(facts), expected, "{facts:?}");
        }
        assert!(another(0) && another(1) && !another(2));
    }

    #[test]
    fn a_fifth_is_the_most_in_the_long_run() {
        let budget = Budget::new();
        let reserve = (0..).take_while(|_| budget.withdraw()).count();
        assert_eq!(reserve, 200);
        let mut repeats = 0;
        for _ in 0..1_000 {
            budget.deposit();
            repeats += u32::from(budget.withdraw());
        }
        assert_eq!(repeats, 200);
    }
}
