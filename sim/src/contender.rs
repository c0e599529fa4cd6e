//! Who takes part: an autoscaler, its name, and the set point it aims at.
//!
//! All aim at the same share of a frontend's processors, [`SAFE_PERCENT`]; for the KPA, which counts
//! requests in flight, that is the number in flight at this share. So nobody wins by a set point; what
//! other set points give is asked separately (`ladder`).

use fleet_model::scaling::{Policy, Step, Target};

use crate::load::Trace;
use crate::scaler::Autoscaler;
use crate::scaler::fixed::Fixed;
use crate::scaler::fleet::Fleet;
use crate::scaler::hpa::Hpa;
use crate::scaler::kpa::Kpa;
use crate::scaler::oracle::Oracle;
use crate::world::SAFE;

/// Percent of its processors that a frontend can use and answer in time.
pub const SAFE_PERCENT: u32 = (SAFE * 100.0) as u32;

/// An autoscaler with its set point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// As many as the peak needs, all the time.
    Peak,
    Oracle,
    /// Percent of a pod's request of CPU.
    Hpa(u32),
    /// Hundredths of a request in flight per pod.
    Kpa(u32),
    /// Fleet's thresholds, with their defaults.
    Step,
    /// Percent of a frontend's request of CPU, with our defaults for all else.
    Target(u32),
}

impl Contender {
    pub const HPA: Contender = Contender::Hpa(SAFE_PERCENT);
    pub const KPA: Contender = Contender::Kpa(in_flight_at(SAFE_PERCENT));
    pub const STEP: Contender = Contender::Step;
    pub const TARGET: Contender = Contender::Target(SAFE_PERCENT);

    /// One of each, at the common set point.
    pub const FIELD: [Contender; 6] = [
        Contender::Peak,
        Contender::Oracle,
        Contender::HPA,
        Contender::KPA,
        Contender::STEP,
        Contender::TARGET,
    ];

    /// Set points below and above the common one, for those that have one.
    pub fn ladder() -> Vec<Contender> {
        let percents = [40, 50, 60, 70, 80];
        let of = |make: fn(u32) -> Contender| percents.into_iter().map(make);
        of(Contender::Hpa)
            .chain(of(|percent| Contender::Kpa(in_flight_at(percent))))
            .chain(of(Contender::Target))
            .collect()
    }

    /// The name in tables.
    pub fn name(self) -> String {
        match self {
            Contender::Peak => "peak".to_owned(),
            Contender::Oracle => "oracle".to_owned(),
            Contender::Hpa(percent) => format!("HPA, cpu {percent} %"),
            Contender::Step => "Fleet step".to_owned(),
            Contender::Target(percent) => format!("Fleet target, cpu {percent} %"),
            Contender::Kpa(hundredths) => format!(
                "KPA, {}.{:02} in flight",
                hundredths / 100,
                hundredths % 100
            ),
        }
    }

    /// A fresh autoscaler for a trace.
    pub fn scaler(self, trace: &Trace) -> Box<dyn Autoscaler> {
        match self {
            Contender::Peak => Box::new(Fixed::at_peak_of(trace)),
            Contender::Oracle => Box::new(Oracle::of(trace)),
            Contender::Hpa(percent) => Box::new(Hpa::new(percent)),
            Contender::Kpa(hundredths) => Box::new(Kpa::new(hundredths)),
            Contender::Step => fleet(Policy::Step(Step::default())),
            Contender::Target(percent) => fleet(Policy::Target(Target {
                cpu_percent: Some(percent),
                memory_percent: None,
                rps: None,
                concurrency: None,
                ..Target::default()
            })),
        }
    }
}

fn fleet(policy: Policy) -> Box<dyn Autoscaler> {
    Box::new(Fleet::new(policy).expect("shop, prod and www are names"))
}

/// Hundredths of a request in flight in a frontend that uses `percent` of its processors, among four
/// behind our balancing. There is no formula for that; these are simulated, and a test does it again.
const IN_FLIGHT: [(u32, u32); 5] = [(40, 89), (50, 120), (60, 158), (70, 211), (80, 292)];

const fn in_flight_at(percent: u32) -> u32 {
    let mut index = 0;
    while index < IN_FLIGHT.len() {
        if IN_FLIGHT[index].0 == percent {
            return IN_FLIGHT[index].1;
        }
        index += 1;
    }
    panic!("no figure for this share");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{QUICK, Trace};
    use crate::scaler::View;
    use crate::world::{self, CORES, WORK};

    /// Four frontends all the time; notes what is in flight in each.
    #[derive(Default)]
    struct Watched(f64);

    impl Autoscaler for Watched {
        fn wanted(&mut self, view: &View<'_>) -> u32 {
            let occupied = view.samples.iter().map(|sample| sample.occupied);
            self.0 = occupied.sum::<f64>() / 4.0 / f64::from(view.now);
            4
        }
    }

    fn steady(percent: u32) -> Trace {
        let rate = f64::from(percent) / 100.0 * CORES / WORK * 4.0;
        Trace {
            name: "steady",
            title: "the same all the time",
            seed: 1,
            rate: vec![rate; 3600],
            start: QUICK,
            lies: Vec::new(),
            leaps: None,
        }
    }

    #[test]
    fn requests_in_flight_at_a_share() {
        for (percent, hundredths) in IN_FLIGHT {
            let mut watched = Watched::default();
            world::run(&steady(percent), &mut watched);
            let found = watched.0 * 100.0 / f64::from(hundredths);
            assert!((0.95..1.05).contains(&found), "{percent} %: {}", watched.0);
        }
    }

    /// At the common set point responses are in time, with something to spare; at twice the way to
    /// saturation they are not.
    #[test]
    fn a_service_at_its_safe_share_is_just_fast_enough() {
        let missed = |percent| {
            let run = world::run(&steady(percent), &mut Watched::default());
            run.score().violated_minutes
        };
        assert!(missed(SAFE_PERCENT) <= 1, "{}", missed(SAFE_PERCENT));
        assert!(missed(80) > 30, "{}", missed(80));
    }
}
