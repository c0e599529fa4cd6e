//! The shape of each trace. Seeds move the moments of change, so that no controller meets them at a
//! lucky point of its period twice, and make the noise.

use super::{Lie, LyingTime, QUICK, SLOW, Trace};
use crate::random::{Random, Stream};

/// A day's wave with noise. The day lasts four hours, which makes every change six times as steep as
/// it is in life, and the simulation six times as short.
pub(super) fn diurnal(seed: u64) -> Trace {
    let mut noise = Noise::new(seed, 1, 0.12);
    let day = 4 * 3600;
    let rate = (0..day)
        .map(|second| {
            let phase = f64::from(second) / f64::from(day);
            noise.around(30.0 + 270.0 * hill(phase))
        })
        .collect();
    trace(
        "diurnal",
        "a day's wave with noise, in four hours",
        seed,
        rate,
    )
}

/// Fifteen times the load within two minutes, which then decays by half in seven.
pub(super) fn flash(seed: u64) -> Trace {
    let mut noise = Noise::new(seed, 2, 0.03);
    let begins = 600 + noise.offset(60);
    let (base, top) = (30.0, 450.0);
    // 0.5 ^ (1 / 420).
    let fade = 0.998_351_016_6;
    let mut above = 0.0;
    let rate = (0..3600)
        .map(|second| {
            if (begins..begins + 100).contains(&second) {
                above += (top - base) / 100.0;
            } else if second >= begins + 220 {
                above *= fade;
            }
            noise.around(base + above)
        })
        .collect();
    trace(
        "flash",
        "a flash crowd: x15 within two minutes, then decay",
        seed,
        rate,
    )
}

/// Ten times the load from one second to the next, for twenty minutes.
pub(super) fn step(seed: u64) -> Trace {
    let mut noise = Noise::new(seed, 3, 0.03);
    let begins = 600 + noise.offset(60);
    let rate = (0..2700)
        .map(|second| {
            let high = (begins..begins + 1200).contains(&second);
            noise.around(if high { 400.0 } else { 40.0 })
        })
        .collect();
    Trace {
        leaps: Some(begins),
        ..trace("step", "x10 at once, for twenty minutes", seed, rate)
    }
}

/// Ten times the load in twenty minutes, and back.
pub(super) fn ramp(seed: u64) -> Trace {
    let mut noise = Noise::new(seed, 4, 0.03);
    let begins = 300 + noise.offset(60);
    let rate = (0..3900)
        .map(|second| {
            let up = share(second, begins, 1200);
            let down = share(second, begins + 1800, 1200);
            noise.around(40.0 + 360.0 * (up - down))
        })
        .collect();
    trace("ramp", "x10 in twenty minutes, and back", seed, rate)
}

/// On and off at the control periods: twenty minutes of 30 s, of 2 minutes and of 10 minutes each.
/// The first two tempt a controller to follow what is over when it arrives.
pub(super) fn on_off(seed: u64) -> Trace {
    let mut noise = Noise::new(seed, 5, 0.03);
    let shift = noise.offset(600);
    let rate = (0..3600)
        .map(|second| {
            let period = match second / 1200 {
                0 => 30,
                1 => 120,
                _ => 600,
            };
            let on = (second + shift) % period < period / 2;
            noise.around(if on { 240.0 } else { 60.0 })
        })
        .collect();
    trace(
        "on-off",
        "on and off every 30 s, 2 min and 10 min",
        seed,
        rate,
    )
}

/// Waves with steps, served by frontends that take a minute to start and are busy meanwhile.
pub(super) fn slow_starters(seed: u64) -> Trace {
    let mut noise = Noise::new(seed, 6, 0.06);
    let shift = noise.offset(60);
    let rate = (0..4800)
        .map(|second| {
            let up = share(second, 600 + shift, 300);
            let more = share(second, 2100 + shift, 60);
            let down = share(second, 3300 + shift, 120);
            noise.around(60.0 + 150.0 * up + 150.0 * more - 280.0 * down)
        })
        .collect();
    let title = "steps of minutes; a frontend starts in a minute, is busy meanwhile and then cold";
    Trace {
        start: SLOW,
        ..trace("slow-start", title, seed, rate)
    }
}

/// Waves of twenty minutes while samples are missing, repeated, or no numbers.
pub(super) fn lying(seed: u64) -> Trace {
    let mut noise = Noise::new(seed, 7, 0.05);
    let shift = noise.offset(120);
    let rate = (0..4800)
        .map(|second| {
            let phase = f64::from((second + shift) % 1200) / 1200.0;
            noise.around(60.0 + 240.0 * hill(phase))
        })
        .collect();
    let time = |from, until, percent, lie| LyingTime {
        from,
        until,
        percent,
        lie,
    };
    let lies = vec![
        // Half of the samples are gone for a whole wave, then all at the top of one, then for two
        // minutes of a rise.
        time(1200, 2400, 50, Lie::Missing),
        time(2900, 3200, 100, Lie::Missing),
        time(3360, 3480, 100, Lie::Stale),
        time(3600, 4200, 40, Lie::Stale),
        time(4200, 4800, 30, Lie::Nonsense),
    ];
    Trace {
        lies,
        ..trace(
            "lying",
            "waves while samples are missing, stale or nonsense",
            seed,
            rate,
        )
    }
}

fn trace(name: &'static str, title: &'static str, seed: u64, rate: Vec<f64>) -> Trace {
    Trace {
        name,
        title,
        seed,
        rate,
        start: QUICK,
        lies: Vec::new(),
        leaps: None,
    }
}

/// From 0 up to 1 at one half and back, smooth at its ends and its top: the cubic 3x^2 - 2x^3, which
/// differs from a raised cosine by less than 0.011 and needs no library.
fn hill(phase: f64) -> f64 {
    let x = 1.0 - (2.0 * phase - 1.0).abs();
    x * x * (3.0 - 2.0 * x)
}

/// How much of a straight rise that begins at `begins` and takes `takes` seconds is done.
fn share(second: u32, begins: u32, takes: u32) -> f64 {
    f64::from(second.saturating_sub(begins).min(takes)) / f64::from(takes)
}

/// Noise that lasts: the sum of a factor that forgets half of itself in ten seconds and of one that
/// takes two minutes, of equal deviation.
struct Noise {
    random: Random,
    deviation: f64,
    quick: f64,
    slow: f64,
}

impl Noise {
    fn new(seed: u64, part: u64, deviation: f64) -> Noise {
        Noise {
            random: Random::new(seed, Stream::Shape, part),
            deviation,
            quick: 0.0,
            slow: 0.0,
        }
    }

    /// A moment of change within `bound` seconds.
    fn offset(&mut self, bound: u32) -> u32 {
        u32::try_from(self.random.below(bound as usize)).unwrap_or(0)
    }

    /// The rate of one second: each part is first-order autoregressive with the stationary deviation
    /// `deviation`.
    fn around(&mut self, rate: f64) -> f64 {
        // 0.933^10 = 0.5 and sqrt(1 - 0.933^2) = 0.36; 0.99424^120 = 0.5 and its root is 0.1072.
        self.quick = 0.933 * self.quick + 0.36 * self.deviation * self.random.normal();
        self.slow = 0.994_24 * self.slow + 0.1072 * self.deviation * self.random.normal();
        (rate * (1.0 + self.quick + self.slow)).max(0.0)
    }
}
