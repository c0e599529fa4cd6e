//! The Knative Pod Autoscaler on concurrency, with its defaults except the target.
//!
//! Written from "Additional autoscaling configuration for Knative Pod Autoscaler"
//! (knative.dev/docs/serving/autoscaling/kpa-specific), "Configuring concurrency" and "Configuring
//! targets" beside it, the description of the package `autoscaler` (pkg.go.dev/knative.dev/serving)
//! and the explained defaults of its `config-autoscaler`: windows of 60 s and 6 s, panic at twice the
//! capacity, a rate of at most 1000 up and 2 down, a look every 2 s. Each pod's mean concurrency of a
//! second is scraped every second; the mean over the pods that answered stands for all.
//!
//! Left out: scale to zero, and the activator, which holds requests back when burst capacity is
//! short; here neither side has one. What is left open is decided in the KPA's favour: what is no
//! number counts as not answered.

use std::collections::{BTreeMap, VecDeque};

use super::{Autoscaler, View};
use crate::world::Sample;

const STABLE: u32 = 60;
const PANIC: u32 = 6;
const TICK: u32 = 2;
/// Wanted by the panic window, in multiples of the ready pods.
const PANIC_THRESHOLD: f64 = 2.0;
const MAX_UP_RATE: f64 = 1000.0;
const MAX_DOWN_RATE: f64 = 2.0;

#[derive(Debug)]
pub struct Kpa {
    /// Requests in flight per pod: concurrency times target utilisation.
    target: f64,
    last: BTreeMap<u32, Sample>,
    /// (second, concurrency of the whole service), newest last.
    seconds: VecDeque<(u32, f64)>,
    panic: Option<Panic>,
}

#[derive(Clone, Copy, Debug)]
struct Panic {
    /// When the threshold was last passed.
    since: u32,
    /// The most pods wanted meanwhile.
    most: f64,
}

impl Kpa {
    /// A target in hundredths of a request in flight per pod.
    pub fn new(target_hundredths: u32) -> Kpa {
        Kpa {
            target: f64::from(target_hundredths) / 100.0,
            last: BTreeMap::new(),
            seconds: VecDeque::new(),
            panic: None,
        }
    }

    fn record(&mut self, view: &View<'_>) {
        let (mut sum, mut answered) = (0.0, 0_u32);
        for sample in view.samples.iter().filter(|sample| sample.is_sane()) {
            let ready = view.ready().any(|seen| seen.id == sample.frontend);
            let before = self.last.insert(sample.frontend, *sample);
            let Some(before) = before.filter(|_| ready) else {
                continue;
            };
            if before.taken < sample.taken {
                let seconds = f64::from(sample.taken - before.taken);
                sum += (sample.occupied - before.occupied) / seconds;
                answered += 1;
            }
        }
        self.last
            .retain(|id, _| view.frontends.iter().any(|seen| seen.id == *id));
        if answered > 0 {
            let all = sum / f64::from(answered) * view.ready().count() as f64;
            self.seconds.push_back((view.now, all));
        }
        while self
            .seconds
            .front()
            .is_some_and(|(at, _)| at + STABLE <= view.now)
        {
            self.seconds.pop_front();
        }
    }

    /// Mean of the seconds heard of within a window.
    fn mean(&self, now: u32, window: u32) -> Option<f64> {
        let within = self.seconds.iter().filter(|(at, _)| at + window > now);
        let (sum, count) = within.fold((0.0, 0_u32), |(sum, count), (_, value)| {
            (sum + value, count + 1)
        });
        (count > 0).then(|| sum / f64::from(count))
    }
}

impl Autoscaler for Kpa {
    fn wanted(&mut self, view: &View<'_>) -> u32 {
        self.record(view);
        if !view.now.is_multiple_of(TICK) {
            return view.desired;
        }
        let stable = self.mean(view.now, STABLE);
        let panic = self.mean(view.now, PANIC);
        let (Some(stable), Some(panic)) = (stable, panic) else {
            return view.desired;
        };
        let ready = (view.ready().count() as f64).max(1.0);
        let (least, most) = (
            (ready / MAX_DOWN_RATE).floor(),
            (ready * MAX_UP_RATE).ceil(),
        );
        let pods = |concurrency: f64| (concurrency / self.target).ceil();
        let stable = pods(stable).clamp(least, most);
        let wanted_in_panic = pods(panic).clamp(least, most);
        if pods(panic) / ready >= PANIC_THRESHOLD {
            let most = self.panic.map_or(ready, |panic| panic.most);
            let since = view.now;
            self.panic = Some(Panic { since, most });
        } else if self
            .panic
            .is_some_and(|panic| panic.since + STABLE < view.now)
        {
            self.panic = None;
        }
        let Some(panic) = &mut self.panic else {
            return stable as u32;
        };
        // Never fewer than were wanted while in panic.
        panic.most = panic.most.max(wanted_in_panic).max(stable);
        panic.most as u32
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaler::Seen;

    /// What is wanted of ten ready pods after each second of so many requests in flight in each.
    fn counts(in_flight: impl Fn(u32) -> f64, seconds: u32) -> Vec<u32> {
        let mut kpa = Kpa::new(700);
        let mut occupied = 0.0;
        let frontends: Vec<Seen> = (0..10)
            .map(|id| Seen {
                id,
                ordered: 0,
                ready: Some(0),
            })
            .collect();
        let mut desired = 10;
        (0..seconds)
            .map(|now| {
                occupied += in_flight(now);
                let samples: Vec<Sample> = (0..10)
                    .map(|frontend| Sample {
                        frontend,
                        taken: now,
                        used: 0.0,
                        occupied,
                    })
                    .collect();
                desired = kpa.wanted(&View {
                    now,
                    desired,
                    frontends: &frontends,
                    samples: &samples,
                    reports: &[],
                });
                desired
            })
            .collect()
    }

    /// A hundred in flight at a limit of ten and 70 %: ceil(100 / 7) = 15.
    #[test]
    fn the_example_of_its_description() {
        assert_eq!(counts(|_| 10.0, 70).last(), Some(&15));
    }

    #[test]
    fn it_panics_at_twice_the_capacity_and_goes_no_lower_for_a_minute() {
        let burst = |now| if (71..77).contains(&now) { 28.0 } else { 7.0 };
        let counts = counts(burst, 180);
        assert_eq!(counts[68], 10);
        assert_eq!(counts[78], 40, "{counts:?}");
        assert!(
            counts[78..130].iter().all(|count| *count == 40),
            "{counts:?}"
        );
        assert_eq!(counts[178], 10, "{counts:?}");
    }
}
