//! What is measured of each frontend once a second, and how that lies.

use std::collections::BTreeMap;

use super::INGRESSES;
use super::member::Member;
use crate::load::{Lie, Trace};

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
}

/// What one ingress tells of all frontends that it has sent to.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    pub ingress: u8,
    pub traffic: Vec<Traffic>,
}

/// Of one frontend since the ingress last reported.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Traffic {
    pub frontend: u32,
    /// Sent to it, answered or not.
    pub requests: u64,
    pub refused: u64,
    /// Now.
    pub in_flight: u64,
}

/// Every ingress reports, unless all lie: then they are silent, and tell later of what they counted.
pub(super) fn reports(trace: &Trace, now: u32, members: &mut [Member]) -> Vec<Report> {
    if trace.is_silent(now) {
        return Vec::new();
    }
    let mut report = |ingress: usize| {
        let members = members.iter_mut();
        let traffic = members.filter_map(|member| {
            let sent = &mut member.sent[ingress];
            let traffic = Traffic {
                frontend: member.id,
                requests: std::mem::take(&mut sent.requests),
                refused: std::mem::take(&mut sent.refused),
                in_flight: sent.in_flight,
            };
            (traffic.requests > 0 || traffic.in_flight > 0).then_some(traffic)
        });
        Report {
            ingress: ingress as u8,
            traffic: traffic.collect(),
        }
    };
    (0..INGRESSES).map(&mut report).collect()
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
