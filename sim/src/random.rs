//! Chance that is the same on every machine.
//!
//! The generator is xoshiro256++ seeded by splitmix64, integers throughout. What is made of it uses
//! comparisons and the four operations only, which IEEE 754 fixes to the last bit; logarithm and
//! sine differ between libraries, so nothing here calls them.

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{RngCore as _, SeedableRng as _};

/// What a stream of numbers is for. Streams are independent, so that a scaler which draws more of
/// one kind does not change what the others meet.
#[derive(Clone, Copy, Debug)]
pub enum Stream {
    /// The shape of the load: when the flash comes, noise from minute to minute.
    Shape = 1,
    /// When requests come and how much work each is.
    Requests = 2,
    /// How long each frontend takes to start.
    Starts = 3,
    /// Which two frontends an ingress looks at.
    Balancing = 4,
    /// Which samples lie.
    Lies = 5,
}

/// A stream of random numbers.
#[derive(Clone, Debug)]
pub struct Random(Xoshiro256PlusPlus);

impl Random {
    /// The stream of one kind that belongs to a seed; `part` tells apart what shares a kind.
    pub fn new(seed: u64, stream: Stream, part: u64) -> Random {
        // An odd constant each, so that neighbouring seeds, kinds and parts do not meet.
        let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)
            ^ (stream as u64).wrapping_mul(0xbf58_476d_1ce4_e5b9)
            ^ part.wrapping_mul(0x94d0_49bb_1331_11eb);
        Random(Xoshiro256PlusPlus::seed_from_u64(mixed))
    }

    pub fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Uniform in [0, 1), in steps of 2^-53.
    pub fn unit(&mut self) -> f64 {
        (self.word() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Uniform below `bound`.
    pub fn below(&mut self, bound: usize) -> usize {
        ((u128::from(self.word()) * bound as u128) >> 64) as usize
    }

    /// Uniform from `low` up to `high`.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Exponential with mean 1, by comparisons alone: J. von Neumann, "Various techniques used in
    /// connection with random digits", 1951. A run of falling uniforms of odd length accepts its
    /// first as the fraction; each run rejected adds one to the whole part.
    pub fn exponential(&mut self) -> f64 {
        let mut whole = 0.0;
        loop {
            let first = self.unit();
            let mut last = first;
            let mut length = 1;
            loop {
                let next = self.unit();
                if next >= last {
                    break;
                }
                last = next;
                length += 1;
            }
            if length % 2 == 1 {
                return whole + first;
            }
            whole += 1.0;
        }
    }

    /// Nearly normal with mean 0 and deviation 1: twelve uniforms less six. Its tails end at 6,
    /// which for noise of a load is no loss.
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(draw: impl FnMut() -> f64) -> (f64, f64) {
        const DRAWS: usize = 100_000;
        let values: Vec<f64> = std::iter::repeat_with(draw).take(DRAWS).collect();
        let mean = values.iter().sum::<f64>() / DRAWS as f64;
        let variance = values.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / DRAWS as f64;
        (mean, variance)
    }

    #[test]
    fn the_exponential_has_mean_and_variance_one_and_its_tail() {
        let mut random = Random::new(1, Stream::Requests, 0);
        let (mean, variance) = moments(|| random.exponential());
        assert!((mean - 1.0).abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.05, "{variance}");
        // P(X > 3) = 0.0498 (a table of e^-x).
        let over = (0..100_000).filter(|_| random.exponential() > 3.0).count();
        assert!((4_780..=5_180).contains(&over), "{over}");
    }

    #[test]
    fn the_normal_has_mean_zero_and_variance_one() {
        let mut random = Random::new(1, Stream::Shape, 0);
        let (mean, variance) = moments(|| random.normal());
        assert!(mean.abs() < 0.02, "{mean}");
        assert!((variance - 1.0).abs() < 0.03, "{variance}");
    }

    #[test]
    fn streams_of_one_seed_and_seeds_of_one_stream_differ() {
        let mut first = Vec::new();
        for seed in 0..20 {
            for stream in [Stream::Shape, Stream::Requests, Stream::Starts] {
                for part in 0..3 {
                    first.push(Random::new(seed, stream, part).word());
                }
            }
        }
        let all = first.len();
        first.sort_unstable();
        first.dedup();
        assert_eq!(first.len(), all);
    }

    /// The first numbers of seed 1, so that a change of generator is noticed where it happens.
    #[test]
    fn the_sequence_is_fixed() {
        let mut random = Random::new(1, Stream::Shape, 0);
        let words = [random.word(), random.word()];
        assert_eq!(words, [20_678_687_495_066_168, 2_452_208_769_307_879_787]);
    }
}
