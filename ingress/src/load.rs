//! What is counted of one frontend between two reports.
//!
//! Counting is relaxed and per shard: a request touches cache lines of its own core only. Reading
//! takes what is there and leaves zero, so a sum over all reports is exact although no single
//! report is a snapshot.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use super::shards::Sharded;

/// Buckets of the latency histogram; see `FrontendLoad` in ingress.proto for their bounds.
pub(super) const BUCKETS: usize = 128;

/// How an attempt at a frontend ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// A response head came after this time.
    Answered { status: u16, after: Duration },
    /// No response: refused, reset, timed out.
    Lost,
}

/// Counters of one frontend.
#[derive(Debug)]
pub(super) struct Load(Sharded<Cell>);

#[derive(Debug)]
struct Cell {
    sent: AtomicU64,
    requests: AtomicU64,
    server_errors: AtomicU64,
    connection_errors: AtomicU64,
    latency: [AtomicU32; BUCKETS],
}

/// Counters since the previous reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Delta {
    /// Attempts that began. What a frontend that is overrun is asked shows here alone.
    pub(super) sent: u64,
    pub(super) requests: u64,
    pub(super) server_errors: u64,
    pub(super) connection_errors: u64,
    /// (bucket, count), ascending, non-zero.
    pub(super) latency: Vec<(u32, u32)>,
}

impl Load {
    pub(super) fn new() -> Self {
        Self(Sharded::new())
    }

    /// An attempt begins.
    pub(super) fn send(&self) {
        self.0.mine().sent.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn count(&self, outcome: Outcome) {
        let cell = self.0.mine();
        match outcome {
            Outcome::Answered { status, after } => {
                cell.requests.fetch_add(1, Ordering::Relaxed);
                if (500..600).contains(&status) {
                    cell.server_errors.fetch_add(1, Ordering::Relaxed);
                }
                cell.latency[bucket(after)].fetch_add(1, Ordering::Relaxed);
            }
            Outcome::Lost => {
                cell.connection_errors.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Takes what was counted since the last call.
    pub(super) fn take(&self) -> Delta {
        let mut delta = Delta::default();
        let mut latency = [0u32; BUCKETS];
        for cell in self.0.iter() {
            delta.sent += take(&cell.sent);
            delta.connection_errors += take(&cell.connection_errors);
            let requests = take(&cell.requests);
            if requests == 0 {
                continue;
            }
            delta.requests += requests;
            delta.server_errors += take(&cell.server_errors);
            for (sum, count) in latency.iter_mut().zip(&cell.latency) {
                if count.load(Ordering::Relaxed) != 0 {
                    *sum = sum.saturating_add(count.swap(0, Ordering::Relaxed));
                }
            }
        }
        let buckets = latency.iter().enumerate().filter(|(_, count)| **count != 0);
        delta.latency = buckets
            .map(|(bucket, count)| (bucket as u32, *count))
            .collect();
        delta
    }
}

impl Default for Cell {
    fn default() -> Self {
        Self {
            sent: AtomicU64::new(0),
            requests: AtomicU64::new(0),
            server_errors: AtomicU64::new(0),
            connection_errors: AtomicU64::new(0),
            latency: [const { AtomicU32::new(0) }; BUCKETS],
        }
    }
}

impl Delta {
    pub(super) fn is_empty(&self) -> bool {
        self.sent == 0 && self.requests == 0 && self.connection_errors == 0
    }
}

fn take(counter: &AtomicU64) -> u64 {
    if counter.load(Ordering::Relaxed) == 0 {
        0
    } else {
        counter.swap(0, Ordering::Relaxed)
    }
}

/// Four buckets to each power of two: a bucket is at most a quarter wider than its lower bound.
fn bucket(latency: Duration) -> usize {
    let micros = u64::try_from(latency.as_micros()).unwrap_or(u64::MAX);
    if micros < 4 {
        return micros as usize;
    }
    let exponent = micros.ilog2() as usize;
    let quarter = ((micros >> (exponent - 2)) & 3) as usize;
    (4 * (exponent - 1) + quarter).min(BUCKETS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_contiguous_and_grow() {
        let mut last = 0;
        for micros in 0..100_000 {
            let now = bucket(Duration::from_micros(micros));
            assert!(
                now == last || now == last + 1,
                "{micros} us jumps from {last} to {now}"
            );
            last = now;
        }
        assert_eq!(bucket(Duration::from_secs(1 << 30)), BUCKETS - 1);
    }

    #[test]
    fn what_is_taken_is_gone() {
        let load = Load::new();
        load.send();
        load.count(Outcome::Answered {
            status: 200,
            after: Duration::from_micros(4),
        });
        load.count(Outcome::Answered {
            status: 503,
            after: Duration::from_micros(4),
        });
        load.count(Outcome::Lost);
        let expected = Delta {
            sent: 1,
            requests: 2,
            server_errors: 1,
            connection_errors: 1,
            latency: vec![(4, 2)],
        };
        assert_eq!(load.take(), expected);
        assert!(load.take().is_empty());
        load.send();
        assert!(
            !load.take().is_empty(),
            "nobody answered it, but it was sent"
        );
    }
}
