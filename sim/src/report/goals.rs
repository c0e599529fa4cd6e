//! The goals, and whether a campaign reaches them.

use std::fmt::Write as _;

use super::ratio;
use crate::campaign::Campaign;
use crate::contender::Contender;
use crate::load;

/// Geometric means over the traces.
#[derive(Clone, Copy, Debug)]
pub struct Ratio {
    pub missed: f64,
    pub hours: f64,
}

/// At most so much of the HPA's missed minutes, at so much of its instance-hours.
pub const MISSED: f64 = 0.5;
pub const HOURS: f64 = 1.05;
/// Seconds from a leap of the load until more frontends are ordered.
pub const REACTION: u32 = 3;

/// The traces in which `one` has both more missed minutes and more instance-hours than `other`.
pub fn worse_in_both(campaign: &Campaign, one: Contender, other: Contender) -> Vec<&'static str> {
    let names = load::traces(0).into_iter().map(|trace| trace.name);
    names
        .filter(|name| {
            let (one, other) = (campaign.score(name, one), campaign.score(name, other));
            one.is_worse_in_both_than(&other)
        })
        .collect()
}

/// The goals as sentences, reached or not.
pub(super) fn text(campaign: &Campaign) -> String {
    let mut text =
        String::from("Goals, with `target` against the others at the common set point:\n\n");
    let ours = Contender::TARGET;
    for (name, peer) in [("the HPA", Contender::HPA), ("the KPA", Contender::KPA)] {
        let worse = worse_in_both(campaign, ours, peer);
        let verdict = match worse.as_slice() {
            [] => "on no trace: reached".to_owned(),
            some => format!("on {}: not reached", some.join(", ")),
        };
        let _ = writeln!(
            text,
            "- worse than {name} in both minutes and hours {verdict};"
        );
    }
    let against = ratio(campaign, ours, Contender::HPA);
    let reached = |yes: bool| if yes { "reached" } else { "not reached" };
    let _ = writeln!(
        text,
        "- in the geometric mean over the traces {:.2} times the HPA's missed minutes (goal {MISSED:.2}:\n  \
         {}) at {:.2} times its hours (goal {HOURS:.2}: {});",
        against.missed,
        reached(against.missed <= MISSED),
        against.hours,
        reached(against.hours <= HOURS),
    );
    let against = ratio(campaign, ours, Contender::KPA);
    let _ = writeln!(
        text,
        "- {:.2} times the KPA's missed minutes at {:.2} times its hours (no goal);",
        against.missed, against.hours,
    );
    let reaction = campaign.reaction(ours);
    let told = reaction.map_or("never".to_owned(), |seconds| format!("{seconds} s"));
    let _ = writeln!(
        text,
        "- from a leap to ten times the load until more frontends are ordered {told} at most (goal\n  \
         {REACTION} s: {}); HPA {}, KPA {}.",
        reached(reaction.is_some_and(|seconds| seconds <= REACTION)),
        seconds(campaign.reaction(Contender::HPA)),
        seconds(campaign.reaction(Contender::KPA)),
    );
    text
}

fn seconds(reaction: Option<u32>) -> String {
    reaction.map_or("never".to_owned(), |seconds| format!("{seconds} s"))
}

/// By halving: the power is a product, where logarithms differ between libraries.
pub fn geometric_mean(values: &[f64]) -> f64 {
    if values.is_empty() {
        return 1.0;
    }
    let product: f64 = values.iter().product();
    let power = |base: f64| values.iter().fold(1.0, |power, _| power * base);
    let highest = values.iter().copied().fold(0.0, f64::max);
    let (mut low, mut high) = (0.0, highest);
    for _ in 0..100 {
        let middle = (low + high) / 2.0;
        if power(middle) < product {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_geometric_mean() {
        for (values, expected) in [
            (&[2.0, 8.0][..], 4.0),
            (&[1.0, 1.0, 1.0], 1.0),
            (&[0.5, 0.25, 0.125], 0.25),
            (&[], 1.0),
        ] {
            let found = geometric_mean(values);
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }
}
