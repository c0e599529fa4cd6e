//! Sums of what requests did, per release; and the bounds of what is told apart.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::pages;
use crate::shards::{Padded, Sharded};
use crate::spec::EnvironmentKey;

/// Upper bounds of the buckets of the time to a response's head, in seconds: those that clients of
/// Prometheus begin with, one below and two above, for an app on the same network is often faster
/// than 5 ms, and waits end at 60 s.
pub(crate) const BOUNDS: [f64; 14] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0,
];

/// How requests are told apart by their status. The first had none: the client left before.
pub(crate) const CLASSES: [&str; 6] = ["none", "1xx", "2xx", "3xx", "4xx", "5xx"];

/// The requests of one release of one environment.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) names: Names,
    /// None until the first request: most of ten thousand routes are asked for nothing.
    cells: OnceLock<Sharded<Hold>>,
}

/// What figures of a release are labelled with.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Names {
    pub(crate) app: String,
    pub(crate) environment: String,
    pub(crate) release: String,
}

/// A cell and the right to count in it: kept by every account that is open.
pub(super) type Hold = Arc<Padded<Cell>>;

/// Counters of one shard, in the order of [`Sum`].
#[derive(Debug)]
pub(super) struct Cell([AtomicU64; FIELDS]);

/// What was counted, of however many requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sum([u64; FIELDS]);

/// What one request comes to.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Settled {
    /// 0: no head of a response came about.
    pub(super) status: u16,
    /// To the head.
    pub(super) after: Option<Duration>,
    pub(super) received: u64,
    pub(super) sent: u64,
    pub(super) retries: u32,
    pub(super) resends: u32,
    /// Position in `pages::NAMES` of why the answer was ours.
    pub(super) reason: Option<usize>,
}

const CLASS: usize = 0;
const LATENCY: usize = CLASS + CLASSES.len();
const LATENCY_MICROS: usize = LATENCY + BOUNDS.len() + 1;
const RECEIVED: usize = LATENCY_MICROS + 1;
const SENT: usize = RECEIVED + 1;
const RETRIES: usize = SENT + 1;
const RESENDS: usize = RETRIES + 1;
const EJECTIONS: usize = RESENDS + 1;
const PAGES: usize = EJECTIONS + 1;
const FIELDS: usize = PAGES + pages::NAMES.len();

impl Tally {
    pub(crate) fn new(key: &EnvironmentKey, release: &str) -> Self {
        Self::named(Names {
            app: key.app.clone(),
            environment: key.environment.clone(),
            release: release.to_owned(),
        })
    }

    pub(super) fn unrouted() -> Self {
        Self::named(Names::default())
    }

    fn named(names: Names) -> Self {
        Self {
            names,
            cells: OnceLock::new(),
        }
    }

    /// The cell of the calling thread.
    pub(super) fn cell(&self) -> &Hold {
        self.cells.get_or_init(Sharded::new).mine()
    }

    /// A frontend was ejected.
    pub(crate) fn ejected(&self) {
        self.cell().0.add(EJECTIONS, 1);
    }

    /// Everything settled so far; `None` while nothing ever was counted.
    pub(super) fn sum(&self) -> Option<Sum> {
        let mut sum = Sum::default();
        for cell in self.cells.get()?.iter() {
            sum.add(&cell.0.read());
        }
        Some(sum)
    }

    /// The last sum, once no account is open any more: whoever calls must be the only one who knows
    /// the tally, so that none is opened either.
    pub(super) fn close(&mut self) -> Option<Sum> {
        let mut sum = Sum::default();
        if let Some(cells) = self.cells.get_mut() {
            for cell in cells.iter_mut() {
                sum.add(&Arc::get_mut(cell)?.0.read());
            }
        }
        Some(sum)
    }
}

impl Cell {
    pub(super) fn settle(&self, settled: &Settled) {
        let class = usize::from(settled.status / 100);
        let class = if class < CLASSES.len() { class } else { 0 };
        self.add(CLASS + class, 1);
        if let Some(after) = settled.after {
            let micros = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
            self.add(LATENCY + bucket(after), 1);
            self.add(LATENCY_MICROS, micros);
        }
        // Most requests have nothing of the rest.
        let rare = [
            (RECEIVED, settled.received),
            (SENT, settled.sent),
            (RETRIES, settled.retries.into()),
            (RESENDS, settled.resends.into()),
        ];
        for (field, value) in rare {
            if value != 0 {
                self.add(field, value);
            }
        }
        if let Some(reason) = settled.reason {
            self.add(PAGES + reason, 1);
        }
    }

    fn add(&self, field: usize, value: u64) {
        self.0[field].fetch_add(value, Ordering::Relaxed);
    }

    fn read(&self) -> Sum {
        Sum(std::array::from_fn(|field| {
            self.0[field].load(Ordering::Relaxed)
        }))
    }
}

fn bucket(after: Duration) -> usize {
    let seconds = after.as_secs_f64();
    BOUNDS.partition_point(|bound| *bound < seconds)
}

impl Default for Cell {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicU64::new(0)))
    }
}

impl Default for Sum {
    fn default() -> Self {
        Self([0; FIELDS])
    }
}

impl Sum {
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, value) in self.0.iter_mut().zip(&other.0) {
            *sum += value;
        }
    }

    /// By [`CLASSES`].
    pub(crate) fn requests(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = &self.0[CLASS..LATENCY];
        CLASSES.into_iter().zip(counts.iter().copied())
    }

    /// By why they were sent.
    pub(crate) fn pages(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = &self.0[PAGES..];
        pages::NAMES.into_iter().zip(counts.iter().copied())
    }

    /// Per bucket, the last one above all [`BOUNDS`].
    pub(crate) fn latency(&self) -> &[u64] {
        &self.0[LATENCY..LATENCY_MICROS]
    }

    pub(crate) fn latency_seconds(&self) -> f64 {
        Duration::from_micros(self.0[LATENCY_MICROS]).as_secs_f64()
    }

    pub(crate) fn received(&self) -> u64 {
        self.0[RECEIVED]
    }

    pub(crate) fn sent(&self) -> u64 {
        self.0[SENT]
    }

    pub(crate) fn retries(&self) -> u64 {
        self.0[RETRIES]
    }

    pub(crate) fn resends(&self) -> u64 {
        self.0[RESENDS]
    }

    pub(crate) fn ejections(&self) -> u64 {
        self.0[EJECTIONS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, millis: u64) -> Settled {
        Settled {
            status,
            after: Some(Duration::from_millis(millis)),
            ..Settled::default()
        }
    }

    #[test]
    fn every_status_has_a_class_and_every_time_a_bucket() {
        let tally = Tally::unrouted();
        assert_eq!(tally.sum(), None, "nothing was counted");
        for status in [101, 200, 204, 308, 404, 599, 600, 999] {
            tally.cell().0.settle(&answered(status, 1));
        }
        tally.cell().0.settle(&Settled::default());
        let sum = tally.sum().unwrap();
        let requests: Vec<_> = sum.requests().collect();
        let expected = [
            ("none", 3),
            ("1xx", 1),
            ("2xx", 2),
            ("3xx", 1),
            ("4xx", 1),
            ("5xx", 1),
        ];
        assert_eq!(requests, expected);
        assert_eq!(sum.latency().iter().sum::<u64>(), 8, "one had no head");
        assert_eq!(sum.latency()[0], 8, "a bound belongs to its bucket");
        assert!((sum.latency_seconds() - 0.008).abs() < 1e-9);

        tally.cell().0.settle(&answered(200, 60_001));
        tally.cell().0.settle(&answered(200, 60_000));
        let sum = tally.sum().unwrap();
        assert_eq!(sum.latency()[BOUNDS.len()], 1);
        assert_eq!(sum.latency()[BOUNDS.len() - 1], 1);
    }

    #[test]
    fn a_tally_is_closed_when_no_account_is_open() {
        let mut tally = Tally::unrouted();
        let hold = Arc::clone(tally.cell());
        assert_eq!(tally.close(), None);
        hold.0.settle(&answered(200, 1));
        drop(hold);
        let sum = tally.close().unwrap();
        assert_eq!(sum.requests().map(|(_, count)| count).sum::<u64>(), 1);
    }
}
