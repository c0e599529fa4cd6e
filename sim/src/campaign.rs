//! All traces times all contenders times some seeds.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::contender::Contender;
use crate::load::{self, Trace};
use crate::score::{Run, Score};
use crate::world;

/// The seed of docs/autoscaling.md. The numbers of `target` were chosen on the seeds 1 to 3.
pub const SEED: u64 = 101;

/// Ten times as many others, to see how much of its figures is luck.
pub const MANY: std::ops::RangeInclusive<u64> = 401..=430;

/// The seeds of a campaign: what single runs show is luck to a minute or two.
pub fn seeds(seed: u64) -> [u64; 3] {
    [0, 1, 2].map(|more| seed.wrapping_add(more))
}

/// What came of one trace of one seed under one contender.
#[derive(Clone, Debug)]
pub struct Result {
    pub seed: u64,
    pub trace: &'static str,
    pub contender: Contender,
    pub run: Run,
    /// Seconds from the leap of the load until more was asked for, where it leaps.
    pub reaction: Option<u32>,
}

/// The results in a fixed order: by seed, then by trace, then by contender as given.
#[derive(Clone, Debug)]
pub struct Campaign {
    pub seeds: Vec<u64>,
    pub contenders: Vec<Contender>,
    pub results: Vec<Result>,
}

impl Campaign {
    /// Runs it on all processors. Their number changes how long it takes and nothing else.
    pub fn run(seeds: &[u64], contenders: &[Contender]) -> Campaign {
        let traces: Vec<Trace> = seeds.iter().copied().flat_map(load::traces).collect();
        let tasks: Vec<(&Trace, Contender)> = traces
            .iter()
            .flat_map(|trace| contenders.iter().map(move |contender| (trace, *contender)))
            .collect();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(BTreeMap::new());
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            for _ in 0..workers.min(tasks.len()) {
                scope.spawn(|| {
                    loop {
                        let index = next.fetch_add(1, Ordering::Relaxed);
                        let Some((trace, contender)) = tasks.get(index) else {
                            return;
                        };
                        let result = run_one(trace, *contender);
                        lock(&done).insert(index, result);
                    }
                });
            }
        });
        let done = std::mem::take(&mut *lock(&done));
        Campaign {
            seeds: seeds.to_vec(),
            contenders: contenders.to_vec(),
            results: done.into_values().collect(),
        }
    }

    /// What came of some of the seeds.
    #[must_use]
    pub fn of(&self, seeds: &[u64]) -> Campaign {
        let results = self.results.iter();
        let results = results.filter(|result| seeds.contains(&result.seed));
        Campaign {
            seeds: seeds.to_vec(),
            contenders: self.contenders.clone(),
            results: results.cloned().collect(),
        }
    }

    /// The sum over the seeds.
    pub fn score(&self, trace: &str, contender: Contender) -> Score {
        let results = self.results.iter();
        results
            .filter(|result| result.trace == trace && result.contender == contender)
            .map(|result| result.run.score())
            .sum()
    }

    /// The sum over all traces and seeds.
    pub fn total(&self, contender: Contender) -> Score {
        let results = self.results.iter();
        results
            .filter(|result| result.contender == contender)
            .map(|result| result.run.score())
            .sum()
    }

    /// The longest reaction to a leap over all seeds; `None` when one was never reacted to.
    pub fn reaction(&self, contender: Contender) -> Option<u32> {
        let results = self.results.iter();
        let of_leaps = results.filter(|r| r.contender == contender && r.trace == "step");
        of_leaps
            .map(|result| result.reaction)
            .max_by_key(|r| r.unwrap_or(u32::MAX))?
    }
}

/// A worker that panicked ends the scope with its panic; what it held is of no use to anybody.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run_one(trace: &Trace, contender: Contender) -> Result {
    let mut scaler = contender.scaler(trace);
    let run = world::run(trace, &mut *scaler);
    Result {
        seed: trace.seed,
        trace: trace.name,
        contender,
        reaction: trace.leaps.and_then(|moment| run.reaction(moment)),
        run,
    }
}
