//! Loads to scale by: requests per second, second by second, with what else makes it hard.
//!
//! Real traces are large and not ours to redistribute, so their shapes are made anew from a seed: the
//! daily wave with noise, the flash crowd of the 1998 World Cup site (ten to twenty times within
//! minutes, then decay; the numbers are ours), and shapes meant to be nasty.

mod shapes;

use crate::random::{Random, Stream};

/// A load and its circumstances.
#[derive(Clone, Debug)]
pub struct Trace {
    /// One word, as in tables and file names.
    pub name: &'static str,
    /// What it is, in one line.
    pub title: &'static str,
    pub seed: u64,
    /// Requests per second, for each second.
    pub rate: Vec<f64>,
    pub start: Start,
    /// Times at which samples lie.
    pub lies: Vec<LyingTime>,
    /// The second in which the load leaps, where it does so once and at once.
    pub leaps: Option<u32>,
}

/// How frontends begin.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Start {
    /// From the order to the first request it can take: uniform between these, in seconds.
    pub from: f64,
    pub to: f64,
    /// Whether starting takes all of its processors, as compiling and filling caches does.
    pub busy: bool,
    /// For so many seconds after it is ready a frontend works at half its speed.
    pub cold: f64,
}

/// A small web application.
pub const QUICK: Start = Start {
    from: 8.0,
    to: 12.0,
    busy: false,
    cold: 0.0,
};

/// A large one that compiles itself as it starts.
pub const SLOW: Start = Start {
    from: 45.0,
    to: 75.0,
    busy: true,
    cold: 30.0,
};

/// How a sample lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// It does not come.
    Missing,
    /// The last one comes again, with its old time.
    Stale,
    /// It is not a number, or a counter that runs backwards where numbers are whole.
    Nonsense,
}

/// From second `from` until `until`, `percent` of the frontends' samples lie.
#[derive(Clone, Copy, Debug)]
pub struct LyingTime {
    pub from: u32,
    pub until: u32,
    pub percent: u32,
    pub lie: Lie,
}

impl Trace {
    pub fn seconds(&self) -> u32 {
        u32::try_from(self.rate.len()).unwrap_or(u32::MAX)
    }

    pub fn peak(&self) -> f64 {
        self.rate.iter().copied().fold(0.0, f64::max)
    }

    /// Whether nothing at all is heard in this second, of ingresses neither.
    pub fn is_silent(&self, second: u32) -> bool {
        let mut lies = self.lies.iter();
        lies.any(|time| time.percent == 100 && (time.from..time.until).contains(&second))
    }

    /// How the sample of a frontend of this second lies, if it does. A frontend that is chosen lies
    /// for ten seconds: what mutes an agent mutes it for longer than one sample.
    pub fn lie(&self, second: u32, frontend: u32) -> Option<Lie> {
        let time = self
            .lies
            .iter()
            .find(|time| (time.from..time.until).contains(&second))?;
        let part = u64::from(second / 10) << 32 | u64::from(frontend);
        let drawn = Random::new(self.seed, Stream::Lies, part).below(100);
        (drawn < time.percent as usize).then_some(time.lie)
    }
}

/// All traces of a seed, in the order of the tables.
pub fn traces(seed: u64) -> Vec<Trace> {
    vec![
        shapes::diurnal(seed),
        shapes::flash(seed),
        shapes::step(seed),
        shapes::ramp(seed),
        shapes::on_off(seed),
        shapes::slow_starters(seed),
        shapes::lying(seed),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_the_same_traces_and_another_makes_others() {
        for ((one, again), other) in traces(1).iter().zip(&traces(1)).zip(&traces(2)) {
            assert_eq!(one.rate, again.rate, "{}", one.name);
            assert_ne!(one.rate, other.rate, "{}", one.name);
        }
    }

    #[test]
    fn rates_are_numbers_and_never_negative() {
        for trace in traces(3) {
            assert!(
                trace
                    .rate
                    .iter()
                    .all(|rate| rate.is_finite() && *rate >= 0.0),
                "{}",
                trace.name
            );
            assert_eq!(trace.rate.len() % 60, 0, "{}: whole minutes", trace.name);
        }
    }

    #[test]
    fn the_flash_is_fifteen_times_the_base_within_two_minutes() {
        let trace = &traces(4)[1];
        let base = trace.rate[0];
        let top = trace.peak();
        assert!((13.0..17.0).contains(&(top / base)), "{}", top / base);
        let begins = trace.rate.iter().position(|rate| *rate > base * 2.0);
        let full = trace.rate.iter().position(|rate| *rate > top * 0.9);
        let (begins, full) = (begins.unwrap_or(0), full.unwrap_or(usize::MAX));
        assert!(full - begins <= 120, "{begins} {full}");
    }

    #[test]
    fn lies_happen_in_their_time_and_share() {
        let lying = traces(5).pop().expect("the lying trace is the last");
        let time = lying.lies.iter().find(|time| time.percent < 100);
        let time = time.expect("a time in which some lie");
        let lies = (0..1_000).filter(|f| lying.lie(time.from, *f) == Some(time.lie));
        let share = lies.count() as u32 / 10;
        assert!(share.abs_diff(time.percent) < 6, "{share} {}", time.percent);
        assert_eq!(lying.lie(0, 1), None);
    }
}
