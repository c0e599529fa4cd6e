//! The Horizontal Pod Autoscaler of Kubernetes on CPU, with the defaults of its controller.
//!
//! Written from "Horizontal Pod Autoscaling" of the Kubernetes documentation
//! (kubernetes.io/docs/concepts/workloads/autoscaling/horizontal-pod-autoscale), sections "Algorithm
//! details", "Scaling policies", "Stabilization window" and "Default Behavior", as of 1.30. The
//! metrics come as from metrics-server at its default resolution of 15 s (its FAQ): a pod's figure is
//! its mean usage between two scrapes. Scrapes fall one second before the controller's look, which is
//! the luckiest phase there is.
//!
//! What the page leaves open is decided in the HPA's favour: a sample that is no number counts as
//! missing, and a pod whose time of starting is known is told ready exactly.

use std::collections::{BTreeMap, VecDeque};

use super::{Autoscaler, Seen, View};
use crate::world::{CORES, MAX, MIN, Sample};

/// Between two looks of the controller.
const SYNC: u32 = 15;
/// Between two scrapes of metrics-server.
const SCRAPE: u32 = 15;
const TOLERANCE: f64 = 0.1;
/// Recommendations of so long ago still hold a count up.
const DOWN_STABILISATION: u32 = 300;
/// For so long after its start a pod's CPU counts only if all of it was measured when it was ready.
const CPU_INITIALISATION: u32 = 300;
/// What may be added in `UP_PERIOD`: the larger of these.
const UP_PODS: u32 = 4;
const UP_PERCENT: u32 = 100;
const UP_PERIOD: u32 = 15;

#[derive(Debug)]
pub struct Hpa {
    /// Share of a pod's request, which here is all its processors.
    target: f64,
    scraped: BTreeMap<u32, Scraped>,
    /// (when, count), newest last.
    recommendations: VecDeque<(u32, u32)>,
    /// (when, pods added), newest last.
    added: VecDeque<(u32, u32)>,
    newest: BTreeMap<u32, Sample>,
}

/// What metrics-server knows of one pod.
#[derive(Clone, Copy, Debug)]
struct Scraped {
    last: Sample,
    /// Mean usage in shares of the request, since when, until when.
    usage: Option<(f64, u32)>,
}

impl Hpa {
    pub fn new(target_percent: u32) -> Hpa {
        Hpa {
            target: f64::from(target_percent) / 100.0,
            scraped: BTreeMap::new(),
            recommendations: VecDeque::new(),
            added: VecDeque::new(),
            newest: BTreeMap::new(),
        }
    }

    fn scrape(&mut self, view: &View<'_>) {
        let mut scraped = BTreeMap::new();
        for seen in view.frontends {
            let Some(now) = self.newest.get(&seen.id).copied() else {
                continue;
            };
            let before = self.scraped.get(&seen.id).map(|scraped| scraped.last);
            let usage = before
                .filter(|before| before.taken < now.taken)
                .map(|before| {
                    let seconds = f64::from(now.taken - before.taken);
                    ((now.used - before.used) / seconds / CORES, before.taken)
                });
            scraped.insert(seen.id, Scraped { last: now, usage });
        }
        self.scraped = scraped;
        self.newest.clear();
    }

    /// The count that the metrics ask for, before stabilisation, policies and bounds; `None` when
    /// there are no metrics to go by.
    fn recommended(&self, view: &View<'_>) -> Option<u32> {
        let (mut sum, mut measured, mut missing, mut unready) = (0.0, 0_u32, 0_u32, 0_u32);
        for seen in view.frontends {
            let usage = self.scraped.get(&seen.id).and_then(|scraped| scraped.usage);
            match usage {
                // A pod that is not ready is set aside whether or not it has metrics.
                _ if seen.ready.is_none() => unready += 1,
                Some((_, since)) if measured_while_starting(seen, since, view.now) => unready += 1,
                None => missing += 1,
                Some((usage, _)) => {
                    sum += usage;
                    measured += 1;
                }
            }
        }
        if measured == 0 {
            return None;
        }
        let ratio = sum / f64::from(measured) / self.target;
        let growing = ratio > 1.0;
        if missing == 0 && (unready == 0 || !growing) {
            return Some(if is_tolerable(ratio) {
                view.desired
            } else {
                (ratio * f64::from(measured)).ceil() as u32
            });
        }
        // Missing pods use nothing when growing and all they should when shrinking.
        let mut counted = measured + missing;
        if growing {
            counted += unready;
        } else {
            sum += f64::from(missing) * self.target;
        }
        let cautious = sum / f64::from(counted) / self.target;
        if is_tolerable(cautious) || (cautious > 1.0) != growing {
            return Some(view.desired);
        }
        let count = (cautious * f64::from(counted)).ceil() as u32;
        let reverses = if growing {
            count < view.desired
        } else {
            count > view.desired
        };
        Some(if reverses { view.desired } else { count })
    }

    /// The highest recommendation of the stabilisation window; growth is not stabilised.
    fn stabilised(&mut self, now: u32, count: u32) -> u32 {
        self.recommendations.push_back((now, count));
        while self
            .recommendations
            .front()
            .is_some_and(|(at, _)| now - at > DOWN_STABILISATION)
        {
            self.recommendations.pop_front();
        }
        let highest = self.recommendations.iter().map(|(_, count)| *count).max();
        highest.unwrap_or(count)
    }

    /// What the policy of scaling up lets through: so much more than at the period's start.
    fn limit(&mut self, now: u32, current: u32) -> u32 {
        while self
            .added
            .front()
            .is_some_and(|(at, _)| now - at >= UP_PERIOD)
        {
            self.added.pop_front();
        }
        let added: u32 = self.added.iter().map(|(_, count)| count).sum();
        let start = current - added.min(current);
        (start + UP_PODS).max(start + start * UP_PERCENT / 100)
    }
}

impl Autoscaler for Hpa {
    fn wanted(&mut self, view: &View<'_>) -> u32 {
        for sample in view.samples.iter().filter(|sample| sample.is_sane()) {
            self.newest.insert(sample.frontend, *sample);
        }
        if view.now % SCRAPE == SCRAPE - 1 {
            self.scrape(view);
        }
        if !view.now.is_multiple_of(SYNC) {
            return view.desired;
        }
        let Some(recommended) = self.recommended(view) else {
            return view.desired;
        };
        let recommended = recommended.clamp(MIN, MAX);
        let stabilised = self.stabilised(view.now, recommended);
        if recommended > view.desired {
            let to = recommended.min(self.limit(view.now, view.desired));
            let to = to.max(view.desired);
            self.added.push_back((view.now, to - view.desired));
            return to;
        }
        // All may go at once: 100 % in 15 s.
        stabilised.min(view.desired)
    }
}

fn is_tolerable(ratio: f64) -> bool {
    (ratio - 1.0).abs() <= TOLERANCE
}

fn measured_while_starting(seen: &Seen, since: u32, now: u32) -> bool {
    let young = now - seen.ordered < CPU_INITIALISATION;
    young && seen.ready.is_none_or(|ready| since < ready)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frontends that use so many percent of their request, all ready for long, for as long as `look`
    /// says; the counts that were wanted at each look of the controller.
    fn counts(hpa: &mut Hpa, from: u32, looks: u32, start: u32, percent: f64) -> Vec<u32> {
        let mut desired = start;
        let mut counts = Vec::new();
        for now in from..from + looks * SYNC {
            let frontends: Vec<Seen> = (0..desired)
                .map(|id| Seen {
                    id,
                    ordered: 0,
                    ready: Some(0),
                })
                .collect();
            let samples: Vec<Sample> = (0..desired)
                .map(|frontend| Sample {
                    frontend,
                    taken: now,
                    used: f64::from(now) * CORES * percent / 100.0,
                    occupied: 0.0,
                })
                .collect();
            desired = hpa.wanted(&View {
                now,
                desired,
                frontends: &frontends,
                samples: &samples,
                reports: &[],
            });
            if now.is_multiple_of(SYNC) {
                counts.push(desired);
            }
        }
        counts
    }

    /// The examples of the page: twice the target doubles, half of it halves, within a tenth nothing
    /// happens. A pod needs two scrapes before it counts.
    #[test]
    fn the_examples_of_its_description() {
        let last = |percent| {
            *counts(&mut Hpa::new(50), 1000, 30, 8, percent)
                .last()
                .unwrap()
        };
        assert_eq!(counts(&mut Hpa::new(50), 1000, 4, 8, 100.0)[2], 16);
        assert_eq!(last(54.0), 8);
        assert_eq!(last(46.0), 8);
        assert_eq!(counts(&mut Hpa::new(50), 1000, 4, 8, 25.0)[2], 4);
    }

    /// At most the larger of four and as many again in 15 s.
    #[test]
    fn growth_keeps_to_its_policies() {
        let grown = counts(&mut Hpa::new(10), 1000, 4, 3, 100.0);
        assert_eq!(&grown[..3], [3, 7, 14]);
    }

    #[test]
    fn the_highest_recommendation_of_five_minutes_holds_a_count_up() {
        let mut hpa = Hpa::new(50);
        counts(&mut hpa, 1000, 10, 8, 50.0);
        let after = counts(&mut hpa, 1150, 30, 8, 25.0);
        let fell = after.iter().position(|count| *count < 8).unwrap_or(0);
        assert!((18..=23).contains(&fell), "{after:?}");
    }
}
