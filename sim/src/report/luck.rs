//! How much of a campaign is luck: many more seeds, and what each three of them would have shown.

use std::fmt::Write as _;

use super::ratio;
use crate::campaign::Campaign;
use crate::contender::Contender;
use crate::load;

/// Seeds that a campaign which people read is made of.
const THREE: usize = 3;

/// `target` beside the HPA and the KPA, all at the common set point.
pub const FIELD: [Contender; 3] = [Contender::TARGET, Contender::HPA, Contender::KPA];

/// Sums over all seeds; and of every three of them whether `target` is worse than a peer in both, and
/// its ratios to the HPA.
pub fn luck(campaign: &Campaign) -> String {
    let threes: Vec<Campaign> = campaign
        .seeds
        .chunks(THREE)
        .map(|s| campaign.of(s))
        .collect();
    let mut text = String::from(
        "| load | target | HPA | KPA | worse than the HPA | worse than the KPA |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    for trace in load::traces(0) {
        let _ = write!(text, "| {} |", trace.name);
        for contender in FIELD {
            let score = campaign.score(trace.name, contender);
            let (missed, hours) = (score.violated_minutes, score.instance_hours());
            let _ = write!(text, " {missed} / {hours:.0} |");
        }
        for peer in [Contender::HPA, Contender::KPA] {
            let worse = |c: &Campaign| {
                let ours = c.score(trace.name, Contender::TARGET);
                ours.is_worse_in_both_than(&c.score(trace.name, peer))
            };
            let some = threes.iter().filter(|three| worse(three)).count();
            let all = if worse(campaign) {
                ", and together"
            } else {
                ""
            };
            let _ = write!(text, " {some} of {}{all} |", threes.len());
        }
        text.push('\n');
    }
    let to_hpa = |c: &Campaign| ratio(c, Contender::TARGET, Contender::HPA);
    let all = to_hpa(campaign);
    let (mut missed, mut hours) = (Range::default(), Range::default());
    for three in &threes {
        let ratio = to_hpa(three);
        missed.add(ratio.missed);
        hours.add(ratio.hours);
    }
    let _ = writeln!(
        text,
        "\nAll together {:.2} times the HPA's missed minutes at {:.2} times its hours, in threes {missed} \
         times at\n{hours} times.",
        all.missed, all.hours
    );
    text
}

/// The least and the most.
#[derive(Default)]
struct Range(Option<(f64, f64)>);

impl Range {
    fn add(&mut self, value: f64) {
        let (low, high) = self.0.unwrap_or((value, value));
        self.0 = Some((low.min(value), high.max(value)));
    }
}

impl std::fmt::Display for Range {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some((low, high)) => write!(f, "{low:.2} to {high:.2}"),
            None => f.write_str("no"),
        }
    }
}
