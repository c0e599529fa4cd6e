//! The numbers of health and recovery, each with its reason.

use crate::time::Millis;

/// Failed starts in a row of one slot before a release that is LOADING is called FAILED. One could
/// be the machine's fault; three on the same code are the code's.
pub const START_ATTEMPTS: u32 = 3;

/// After this long in LOADING a release is FAILED (docs/rollout.md).
pub const LOAD_DEADLINE: Millis = Millis::seconds(600);

/// A frontend healthy for this long has proved itself: its next failure counts as the first.
pub const PROVEN_AFTER: Millis = Millis::seconds(60);

/// Waiting time before the slot of a failed frontend is filled again: 1 s, doubled with every
/// failure in a row, 60 s at most, so that a crash loop costs little and a hiccup even less.
#[must_use]
pub fn back_off(failures: u32) -> Millis {
    let doublings = failures.saturating_sub(1).min(6);
    Millis((1000_u64 << doublings).min(60_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_to_a_minute() {
        let spans: Vec<u64> = (1..=9).map(|n| back_off(n).0 / 1000).collect();
        assert_eq!(spans, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
        assert_eq!(back_off(u32::MAX), Millis::seconds(60));
    }
}
