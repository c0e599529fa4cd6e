//! The limits of environments: a request that is within them is counted in, until its end.
//!
//! Only asked where some environment has limits. Who is not admitted is not counted: the routes refuse
//! him, and what he asks is not to use up what others may.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::counted::{Addresses, Seat};
use super::pace::{Early, Limit, Pace};
use super::slot::Connections;
use super::table::Table;

/// What all clients of an environment have in flight, and when their next request is due.
#[derive(Debug)]
pub(super) struct Together {
    /// Keeps the counts of this environment's addresses apart from those of others.
    purpose: u64,
    in_flight: AtomicU32,
    due: AtomicU64,
}

/// Counts a request in until it is dropped: after the last byte of the response.
#[derive(Debug)]
pub(super) struct Pass {
    together: Option<Arc<Together>>,
    _seat: Option<Seat>,
}

/// Of what is counted for the whole ingress; environments begin after it.
pub(super) const CONNECTIONS: u64 = 0;
pub(super) const HANDSHAKES: u64 = 1;
static NEXT_PURPOSE: AtomicU64 = AtomicU64::new(2);

impl Together {
    pub(super) fn new() -> Self {
        Self {
            purpose: NEXT_PURPOSE.fetch_add(1, Ordering::Relaxed),
            in_flight: AtomicU32::new(0),
            due: AtomicU64::new(0),
        }
    }

    fn enter(self: &Arc<Self>, limit: Limit, now: u64) -> Result<Option<Arc<Self>>, Early> {
        // Counted in before the pace is asked, and out again when that refuses, so that neither count
        // is ever wrong.
        let counted = match limit.in_flight {
            None => None,
            Some(most) => {
                let one_more = |n: u32| (n < most.get()).then(|| n + 1);
                let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
                let entered = self.in_flight.fetch_update(set, fetch, one_more);
                entered.map_err(|_| Early(0))?;
                Some(Pass::of(self))
            }
        };
        if let Some(rate) = limit.rate {
            let pace = Pace::of(rate);
            let mut early = Early(0);
            let next = |due: u64| match pace.arrives(due, now) {
                Ok(next) => Some(next),
                Err(by) => {
                    early = by;
                    None
                }
            };
            let (set, fetch) = (Ordering::AcqRel, Ordering::Acquire);
            if self.due.fetch_update(set, fetch, next).is_err() {
                return Err(early);
            }
        }
        Ok(counted.and_then(|mut pass| pass.together.take()))
    }
}

impl Pass {
    fn of(together: &Arc<Together>) -> Self {
        Self {
            together: Some(Arc::clone(together)),
            _seat: None,
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        if let Some(together) = &self.together {
            together.in_flight.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

/// Counts a request in, if its environment has limits.
///
/// # Errors
/// When it is beyond them.
pub(super) fn enter<C: Connections>(
    table: &Table<C>,
    addresses: &Arc<Addresses>,
    (host, client): (&str, IpAddr),
    now: impl FnOnce() -> u64,
) -> Result<Option<Pass>, Early> {
    if !table.limits {
        return Ok(None);
    }
    let Some(target) = table.lookup(host) else {
        return Ok(None);
    };
    let environment = &target.environment;
    let (all, each) = (environment.spec.requests, environment.spec.address_requests);
    let idle = all.is_none() && each.is_none();
    if idle || !environment.admits(target.pool, client) {
        return Ok(None);
    }
    let (together, now) = (&environment.kept.together, now());
    let seat = match each.is_none() {
        true => None,
        false => Some(addresses.enter(
            together.purpose,
            client,
            each.in_flight.map(std::num::NonZeroU32::get),
            each.rate.map(Pace::of),
            now,
        )?),
    };
    let together = together.enter(all, now)?;
    Ok(Some(Pass {
        together,
        _seat: seat,
    }))
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;
    use crate::pace::Rate;

    fn limit(in_flight: u32, per_second: u32, burst: u32) -> Limit {
        Limit {
            in_flight: NonZeroU32::new(in_flight),
            rate: NonZeroU32::new(per_second).map(|per_second| Rate { per_second, burst }),
        }
    }

    #[test]
    fn a_refusal_by_the_pace_gives_the_place_in_flight_back() {
        let together = Arc::new(Together::new());
        let limit = limit(3, 1, 1);
        let first = together.enter(limit, 1).unwrap();
        assert!(first.is_some());
        for _ in 0..10 {
            assert_eq!(together.enter(limit, 1).unwrap_err(), Early(1_000_000_000));
        }
        assert_eq!(together.in_flight.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn no_more_are_in_flight_than_may_be_whoever_races() {
        let together = Arc::new(Together::new());
        let highest = AtomicU32::new(0);
        let let_in = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for now in 0..5_000 {
                        let Ok(entered) = together.enter(limit(2, 0, 0), now) else {
                            continue;
                        };
                        let pass = Pass {
                            together: entered,
                            _seat: None,
                        };
                        highest
                            .fetch_max(together.in_flight.load(Ordering::SeqCst), Ordering::SeqCst);
                        let_in.fetch_add(1, Ordering::SeqCst);
                        drop(pass);
                    }
                });
            }
        });
        assert!((1..=2).contains(&highest.load(Ordering::SeqCst)));
        assert!(let_in.load(Ordering::SeqCst) > 0);
        assert_eq!(together.in_flight.load(Ordering::SeqCst), 0);
    }
}
