//! What was measured of one service, in windows of a fixed size.
//!
//! Everything is kept as an amount over time: CPU time, memory times time, requests, requests in
//! flight times time. Amounts of different frontends add up whenever their reports come, a report
//! that comes late loses nothing, and a mean over a window is a sum and a division.

use crate::{Time, time::Millis};

/// Amounts of all frontends of a service together, over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flow {
    /// Time that its frontends were heard of, each for itself, in ms: divided by the time that
    /// passed, the mean number of frontends.
    pub heard_ms: u64,
    /// CPU time, in microseconds.
    pub cpu_usec: u64,
    /// Resident memory times time, in KiB x ms.
    pub memory_kib_ms: u64,
    /// Requests that were sent to them.
    pub requests: u64,
    /// Answers that were errors, and attempts without an answer.
    pub errors: u64,
    /// Requests in flight times time, in ms.
    pub in_flight_ms: u64,
}

impl Flow {
    fn add(&mut self, other: &Self) {
        self.each(other, u64::saturating_add);
    }

    fn take(&mut self, other: &Self) {
        self.each(other, u64::saturating_sub);
    }

    fn each(&mut self, other: &Self, with: impl Fn(u64, u64) -> u64) {
        self.heard_ms = with(self.heard_ms, other.heard_ms);
        self.cpu_usec = with(self.cpu_usec, other.cpu_usec);
        self.memory_kib_ms = with(self.memory_kib_ms, other.memory_kib_ms);
        self.requests = with(self.requests, other.requests);
        self.errors = with(self.errors, other.errors);
        self.in_flight_ms = with(self.in_flight_ms, other.in_flight_ms);
    }

    /// The part of it that `part` of `whole` is, rounded down.
    fn share(&self, part: u64, whole: u64) -> Self {
        let share = |amount: u64| {
            let share = u128::from(amount) * u128::from(part) / u128::from(whole.max(1));
            u64::try_from(share).unwrap_or(u64::MAX)
        };
        Self {
            heard_ms: share(self.heard_ms),
            cpu_usec: share(self.cpu_usec),
            memory_kib_ms: share(self.memory_kib_ms),
            requests: share(self.requests),
            errors: share(self.errors),
            in_flight_ms: share(self.in_flight_ms),
        }
    }
}

/// The windows of one service: the last minute by the second, the last six by ten seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSignals {
    seconds: Ring,
    tens: Ring,
    /// When the first usage of a frontend was counted.
    first_usage: Option<Time>,
    /// Since when no usage is missing that should be there.
    whole_usage: Option<Time>,
    latency: Latency,
}

const SECOND: u64 = 1000;
const TEN: u64 = 10 * SECOND;
/// Who speaks every second has spoken by then: before, nobody is missed.
pub(super) const SETTLED: Millis = Millis::seconds(10);
/// One more than the windows need: the bucket that is being filled is not looked at.
const SECONDS: usize = 61;
const TENS: usize = 37;

impl Default for ServiceSignals {
    fn default() -> Self {
        Self {
            seconds: Ring::new(SECOND, SECONDS),
            tens: Ring::new(TEN, TENS),
            first_usage: None,
            whole_usage: None,
            latency: Latency::default(),
        }
    }
}

impl ServiceSignals {
    /// How far back the windows reach.
    pub const MEMORY: Millis = Millis((TENS as u64 - 1) * TEN);

    /// Counts what happened from `from` to `to`, as if it had happened evenly. A moment long before
    /// what is already counted means that the clock was set back: then all of it is forgotten.
    pub fn add(&mut self, from: Time, to: Time, flow: &Flow) {
        if self.seconds.is_long_before(to) {
            *self = Self::default();
        }
        let from = Time(from.0.min(to.0));
        let length = to.since(from).0;
        let mut rest = *flow;
        let mut done = 0;
        // What began before the windows is of no interest.
        let mut start = from.0.max(to.0.saturating_sub(Self::MEMORY.0));
        let skipped = start - from.0;
        if skipped > 0 {
            rest.take(&flow.share(skipped, length));
            done = skipped;
        }
        while length > 0 && start / SECOND < to.0 / SECOND {
            let end = (start / SECOND + 1) * SECOND;
            let part = flow.share(end - start, length);
            self.put(Time(start), &part);
            rest.take(&part);
            done += end - start;
            start = end;
        }
        debug_assert!(done <= length, "more was counted than there is");
        // The rest, with what rounding left over, to the millisecond before its end.
        self.put(
            Time(
                to.0.saturating_sub(u64::from(length > 0))
                    .max(start.min(to.0)),
            ),
            &rest,
        );
    }

    fn put(&mut self, at: Time, flow: &Flow) {
        self.seconds.put(at, flow);
        self.tens.put(at, flow);
    }

    /// Usage was heard of at `at`: the windows begin here if they have not begun.
    pub fn heard_usage(&mut self, at: Time) {
        self.first_usage.get_or_insert(at);
        self.whole_usage.get_or_insert(at);
    }

    /// Usage that should have been counted before `at` is missing: nothing is lowered until the
    /// windows have left that time behind.
    pub fn miss_usage(&mut self, at: Time) {
        let first = *self.first_usage.get_or_insert(at);
        if at.since(first) <= SETTLED {
            // A new leader hears one agent after the other: the windows begin with the last.
            self.first_usage = Some(first.max(at));
        }
        self.whole_usage = Some(self.whole_usage.map_or(at, |whole| whole.max(at)));
    }

    /// When the first usage was counted, and since when none is missing.
    #[must_use]
    pub fn usage_since(&self) -> Option<(Time, Time)> {
        self.first_usage.zip(self.whole_usage)
    }

    /// Adds a latency histogram: numbers of buckets (`fleet.internal.FrontendLoad`) and counts.
    pub fn add_latency(&mut self, at: Time, histogram: &[(u32, u32)]) {
        self.latency.add(at, histogram);
    }

    /// The 95th percentile of the last one to two minutes, in microseconds; `None` without
    /// requests.
    #[must_use]
    pub fn p95_usec(&self, now: Time) -> Option<u64> {
        self.latency.quantile(now, 95)
    }

    /// What was counted in the last `window` before `now`, whole buckets only: to the second up to
    /// a minute, to ten seconds beyond it.
    #[must_use]
    pub fn over(&self, window: Millis, now: Time) -> Flow {
        if window.0 <= (SECONDS as u64 - 1) * SECOND {
            self.seconds.sum(window, now)
        } else {
            self.tens.sum(window, now)
        }
    }

    /// The most that `amount` was in any window of `slow`, at steps of ten seconds, of those that
    /// ended within `within` before `now`; and in any of `fast`, at steps of one, of those that lie in
    /// the last `slow`.
    #[must_use]
    pub fn peaks(
        &self,
        (slow, fast): (Millis, Millis),
        within: Millis,
        now: Time,
        amount: impl Fn(&Flow) -> u64,
    ) -> (u64, u64) {
        let within = Millis(within.0.saturating_add(slow.0).min(Self::MEMORY.0));
        (
            self.tens.peak(slow, within, now, &amount),
            self.seconds.peak(fast, slow, now, &amount),
        )
    }

    /// Whole buckets of ten seconds, oldest first, with the moments they began.
    pub fn history(&self, now: Time) -> impl Iterator<Item = (Time, Flow)> + '_ {
        let last = now.0 / TEN;
        (last.saturating_sub(TENS as u64 - 1)..last)
            .map(|number| (Time(number * TEN), self.tens.at(number)))
    }

    /// Both together: two releases that serve as one while a promotion is under way.
    #[must_use]
    pub fn with(&self, other: &Self) -> Self {
        let mut sum = self.clone();
        sum.seconds.merge(&other.seconds);
        sum.tens.merge(&other.tens);
        // One that was not heard of had nothing to be heard of: the other's windows stand.
        sum.first_usage = earliest(self.first_usage, other.first_usage);
        sum.whole_usage = earliest(self.whole_usage, other.whole_usage);
        sum.latency.merge(&other.latency);
        sum
    }

    /// Bytes it takes, the parts that grow included.
    #[must_use]
    pub fn size(&self) -> usize {
        size_of::<Self>()
            + (self.seconds.buckets.capacity() + self.tens.buckets.capacity()) * size_of::<Flow>()
            + (self.latency.current.capacity() + self.latency.before.capacity()) * size_of::<u32>()
    }
}

fn earliest(a: Option<Time>, b: Option<Time>) -> Option<Time> {
    a.into_iter().chain(b).min()
}

/// The last buckets of one width, the newest of them being filled.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Ring {
    width: u64,
    buckets: Vec<Flow>,
    /// Number of the newest bucket: its time divided by the width.
    newest: u64,
}

impl Ring {
    fn new(width: u64, buckets: usize) -> Self {
        Self {
            width,
            buckets: vec![Flow::default(); buckets],
            newest: 0,
        }
    }

    fn slot(&self, number: u64) -> usize {
        (number % self.buckets.len() as u64) as usize
    }

    /// Whether the clock must have been set back for this to be now.
    fn is_long_before(&self, at: Time) -> bool {
        at.0 / self.width + STALE_BUCKETS < self.newest
    }

    fn put(&mut self, at: Time, flow: &Flow) {
        let number = at.0 / self.width;
        if number > self.newest {
            let passed = (number - self.newest).min(self.buckets.len() as u64);
            for forgotten in 0..passed {
                let slot = self.slot(number - forgotten);
                self.buckets[slot] = Flow::default();
            }
            self.newest = number;
        }
        if self.newest - number < self.buckets.len() as u64 {
            let slot = self.slot(number);
            self.buckets[slot].add(flow);
        }
    }

    fn at(&self, number: u64) -> Flow {
        let there = number <= self.newest && self.newest - number < self.buckets.len() as u64;
        if there {
            self.buckets[self.slot(number)]
        } else {
            Flow::default()
        }
    }

    fn sum(&self, window: Millis, now: Time) -> Flow {
        let end = now.0 / self.width;
        let mut sum = Flow::default();
        for number in end.saturating_sub(window.0 / self.width)..end {
            sum.add(&self.at(number));
        }
        sum
    }

    fn peak(
        &self,
        window: Millis,
        within: Millis,
        now: Time,
        amount: impl Fn(&Flow) -> u64,
    ) -> u64 {
        let end = now.0 / self.width;
        let long = window.0 / self.width;
        let (mut sum, mut peak) = (0_u64, 0);
        for number in end.saturating_sub(within.0 / self.width)..end {
            sum = sum.saturating_add(amount(&self.at(number)));
            peak = peak.max(sum);
            if let Some(first) = (number + 1).checked_sub(long)
                && first >= end.saturating_sub(within.0 / self.width)
            {
                sum = sum.saturating_sub(amount(&self.at(first)));
            }
        }
        peak
    }

    fn merge(&mut self, other: &Self) {
        let first = other.newest.saturating_sub(other.buckets.len() as u64 - 1);
        for number in first..=other.newest {
            self.put(Time(number.saturating_mul(self.width)), &other.at(number));
        }
    }
}

/// Reports of one second may come in any order; more than this many seconds back is not disorder.
const STALE_BUCKETS: u64 = 10;

/// Latencies of this minute and the one before.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Latency {
    minute: u64,
    current: Vec<u32>,
    before: Vec<u32>,
}

const MINUTE: u64 = 60 * SECOND;
const LATENCY_BUCKETS: u32 = 128;

impl Latency {
    fn add(&mut self, at: Time, histogram: &[(u32, u32)]) {
        let minute = at.0 / MINUTE;
        if minute != self.minute {
            let current = std::mem::take(&mut self.current);
            self.before = if self.minute + 1 == minute {
                current
            } else {
                Vec::new()
            };
            self.minute = minute;
        }
        for (bucket, count) in histogram.iter().filter(|(b, _)| *b < LATENCY_BUCKETS) {
            let bucket = *bucket as usize;
            if self.current.len() <= bucket {
                self.current.resize(bucket + 1, 0);
            }
            self.current[bucket] = self.current[bucket].saturating_add(*count);
        }
    }

    fn merge(&mut self, other: &Self) {
        let histogram =
            |counts: &[u32]| -> Vec<(u32, u32)> { (0..).zip(counts.iter().copied()).collect() };
        if other.minute > self.minute {
            self.add(Time(other.minute * MINUTE), &[]);
        }
        if other.minute == self.minute {
            self.add(Time(self.minute * MINUTE), &histogram(&other.current));
        }
    }

    fn quantile(&self, now: Time, percent: u64) -> Option<u64> {
        let minute = now.0 / MINUTE;
        let counted: &[&[u32]] = match minute.checked_sub(self.minute) {
            Some(0) => &[&self.current, &self.before],
            Some(1) => &[&self.current],
            _ => &[],
        };
        let total: u64 = counted
            .iter()
            .flat_map(|c| c.iter())
            .map(|c| u64::from(*c))
            .sum();
        let mut rest = (total * percent).div_ceil(100);
        let of = |bucket: usize| -> u64 {
            let counts = counted.iter().filter_map(|c| c.get(bucket));
            counts.map(|count| u64::from(*count)).sum()
        };
        for bucket in 0..LATENCY_BUCKETS as usize {
            let count = of(bucket);
            if count > 0 && count >= rest {
                return Some(longest_of(bucket as u64));
            }
            rest = rest.saturating_sub(count);
        }
        None
    }
}

/// The longest latency a bucket holds, in microseconds (`fleet.internal.FrontendLoad`).
fn longest_of(bucket: u64) -> u64 {
    if bucket < 4 {
        return bucket;
    }
    let (exponent, quarter) = (bucket / 4 + 1, bucket % 4);
    ((4 + quarter + 1) << (exponent - 2)) - 1
}
