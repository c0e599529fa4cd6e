//! One frontend as a queue: M/G/k with processor sharing and a bounded number of requests.
//!
//! A frontend has `cores`; n requests in it each progress at `min(1, cores / n)` of a core, which is
//! what threads on cores, or a cgroup's share of them, do to one another (egalitarian processor
//! sharing: Kleinrock, "Queueing Systems" II, 1976, chapter 4; with several cores Cohen, "The
//! multiple phase service network with generalized processor sharing", Acta Informatica 12, 1979).
//! Beyond `backlog` requests it refuses.
//!
//! All requests progress at one rate, so a common clock of work done per request orders their ends:
//! a request of work w that arrives when the clock says v ends when it says v + w. Nothing happens
//! between arrivals but ends, so a frontend is advanced only when somebody looks at it.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A request that has ended, or was cut short by nobody: every accepted one ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// Seconds from the start of the trace.
    pub arrived: f64,
    pub ended: f64,
    /// The ingress that had routed it.
    pub ingress: u8,
}

/// The queue of one frontend.
#[derive(Clone, Debug)]
pub struct Queue {
    cores: f64,
    backlog: usize,
    /// Of full speed; below 1 while caches are cold.
    pub speed: f64,
    /// What is advanced to, in seconds.
    now: f64,
    /// Work done for each request that has been here all along, in seconds of one core.
    done: f64,
    inside: BinaryHeap<Inside>,
    /// Seconds of one core used so far.
    used: f64,
    /// Integral of the requests inside over time.
    occupied: f64,
}

impl Queue {
    pub fn new(cores: f64, backlog: usize, now: f64) -> Queue {
        Queue {
            cores,
            backlog,
            speed: 1.0,
            now,
            done: 0.0,
            inside: BinaryHeap::new(),
            used: 0.0,
            occupied: 0.0,
        }
    }

    /// Requests inside at the moment the queue was advanced to.
    pub fn in_flight(&self) -> usize {
        self.inside.len()
    }

    /// Seconds of one core used since the beginning.
    pub fn used(&self) -> f64 {
        self.used
    }

    /// Integral of the requests inside over time since the beginning, in request seconds.
    pub fn occupied(&self) -> f64 {
        self.occupied
    }

    /// Lets time pass until `until`, and tells of every request that ends on the way.
    pub fn advance(&mut self, until: f64, mut ended: impl FnMut(Ended)) {
        while let Some(next) = self.inside.peek() {
            let count = self.inside.len() as f64;
            let rate = self.speed * (self.cores / count).min(1.0);
            let end = self.now + (next.ends - self.done) / rate;
            let stop = end.min(until);
            let passed = stop - self.now;
            self.used += passed * count.min(self.cores);
            self.occupied += passed * count;
            if end > until {
                self.done += passed * rate;
                break;
            }
            self.now = end;
            self.done = next.ends;
            if let Some(request) = self.inside.pop() {
                ended(Ended {
                    arrived: request.arrived,
                    ended: end,
                    ingress: request.ingress,
                });
            }
        }
        self.now = until;
        if self.inside.is_empty() {
            // Small numbers keep their precision.
            self.done = 0.0;
        }
    }

    /// A request of `work` seconds of one core, at the moment the queue was advanced to; false when
    /// the backlog is full.
    #[must_use]
    pub fn accept(&mut self, work: f64, ingress: u8) -> bool {
        if self.inside.len() >= self.backlog {
            return false;
        }
        self.inside.push(Inside {
            ends: self.done + work,
            arrived: self.now,
            ingress,
        });
        true
    }

    /// Uses the processor without serving anybody: what starting costs.
    pub fn burn(&mut self, seconds: f64) {
        self.used += seconds;
    }
}

#[derive(Clone, Copy, Debug)]
struct Inside {
    /// What the common clock says when it ends.
    ends: f64,
    arrived: f64,
    ingress: u8,
}

/// The next to end is the greatest: `BinaryHeap` pops that first.
impl Ord for Inside {
    fn cmp(&self, other: &Inside) -> Ordering {
        let by_end = other.ends.total_cmp(&self.ends);
        by_end.then(other.arrived.total_cmp(&self.arrived))
    }
}

impl PartialOrd for Inside {
    fn partial_cmp(&self, other: &Inside) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Inside {
    fn eq(&self, other: &Inside) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Inside {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::{Random, Stream};

    /// Mean time in the system under Poisson arrivals, by simulation.
    fn mean_time(cores: f64, rate: f64, work: impl Fn(&mut Random) -> f64) -> f64 {
        let mut random = Random::new(7, Stream::Requests, 0);
        let mut queue = Queue::new(cores, usize::MAX, 0.0);
        let (mut at, mut total, mut count) = (0.0, 0.0, 0_u32);
        for _ in 0..200_000 {
            at += random.exponential() / rate;
            queue.advance(at, |end| {
                total += end.ended - end.arrived;
                count += 1;
            });
            let work = work(&mut random);
            assert!(queue.accept(work, 0));
        }
        total / f64::from(count)
    }

    /// M/G/1 with processor sharing: the mean time is E[S] / (1 - rho), whatever the distribution of
    /// the work (insensitivity; Kleinrock 1976, chapter 4).
    #[test]
    fn one_core_shared_has_the_mean_time_of_the_formula_whatever_the_work() {
        let expected = 0.04 / (1.0 - 0.7);
        let exponential = mean_time(1.0, 17.5, |random| 0.04 * random.exponential());
        let constant = mean_time(1.0, 17.5, |_| 0.04);
        for found in [exponential, constant] {
            assert!((found / expected - 1.0).abs() < 0.05, "{found} {expected}");
        }
    }

    /// M/M/k with processor sharing has the queue length of M/M/k, so by Little's law the mean time
    /// of M/M/2: E[S] / (1 - rho^2) (Kleinrock, "Queueing Systems" I, 1975, chapter 3).
    #[test]
    fn two_cores_shared_have_the_mean_time_of_the_formula() {
        let expected = 0.04 / (1.0 - 0.7 * 0.7);
        let found = mean_time(2.0, 35.0, |random| 0.04 * random.exponential());
        assert!((found / expected - 1.0).abs() < 0.05, "{found} {expected}");
    }

    #[test]
    fn work_and_occupation_add_up() {
        let mut queue = Queue::new(2.0, 10, 0.0);
        for _ in 0..4 {
            assert!(queue.accept(1.0, 0));
        }
        let mut ends = Vec::new();
        queue.advance(10.0, |end| ends.push(end.ended));
        // Four seconds of work on two cores, all four at half a core each.
        assert_eq!(ends, [2.0; 4]);
        assert_eq!((queue.used(), queue.occupied()), (4.0, 8.0));
    }

    #[test]
    fn a_full_backlog_refuses() {
        let mut queue = Queue::new(1.0, 2, 0.0);
        assert!(queue.accept(1.0, 0) && queue.accept(1.0, 0));
        assert!(!queue.accept(1.0, 0));
        queue.advance(2.0, |_| {});
        assert!(queue.accept(1.0, 0));
    }

    #[test]
    fn a_cold_frontend_is_slower_and_uses_as_much_of_its_cores() {
        let mut queue = Queue::new(1.0, 2, 0.0);
        queue.speed = 0.5;
        assert!(queue.accept(1.0, 0));
        let mut ends = Vec::new();
        queue.advance(3.0, |end| ends.push(end.ended));
        assert_eq!((ends, queue.used()), (vec![2.0], 2.0));
    }
}
