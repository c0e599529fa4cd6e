//! What is measured of each frontend once a second, and how that lies.

use std::collections::BTreeMap;

use super::INGRESSES;
use super::member::Member;
use crate::load::{Lie, Trace};

/// What an ingress has sent to a frontend.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Routed {
    /// Since the frontend began.
    pub requests: u64,
    /// Now.
    pub in_flight: u64,
}

/// One look at one frontend.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    pub frontend: u32,
    /// The second at whose end it was taken.
    pub taken: u32,
    /// Seconds of one core since the frontend began; NaN in a nonsense sample.
    pub used: f64,
    /// Integral of its requests over time, in request seconds; NaN in a nonsense sample.
    pub occupied: f64,
    pub routed: [Routed; INGRESSES],
}

impl Sample {
    pub fn is_sane(&self) -> bool {
        self.used.is_finite() && self.occupied.is_finite()
    }
}

/// Keeps the last honest sample of each frontend, for when it is repeated.
#[derive(Default)]
pub(super) struct Sampler(BTreeMap<u32, Sample>);

impl Sampler {
    pub(super) fn take(&mut self, trace: &Trace, now: u32, members: &[Member]) -> Vec<Sample> {
        self.0.retain(|id, _| members.iter().any(|m| m.id == *id));
        let present = members.iter().filter(|member| !member.is_leaving());
        present
            .filter_map(|member| {
                let honest = Sample {
                    frontend: member.id,
                    taken: now,
                    used: member.queue.used(),
                    occupied: member.queue.occupied(),
                    routed: member.routed,
                };
                self.told(trace, honest)
            })
            .collect()
    }

    fn told(&mut self, trace: &Trace, honest: Sample) -> Option<Sample> {
        match trace.lie(honest.taken, honest.frontend) {
            None => {
                self.0.insert(honest.frontend, honest);
                Some(honest)
            }
            Some(Lie::Missing) => None,
            Some(Lie::Stale) => self.0.get(&honest.frontend).copied(),
            Some(Lie::Nonsense) => Some(Sample {
                used: f64::NAN,
                occupied: f64::NAN,
                ..honest
            }),
        }
    }
}
