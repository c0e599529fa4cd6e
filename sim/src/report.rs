//! A campaign as people read it: tables in Markdown, and what became of the goals.

pub mod goals;
pub mod luck;
pub mod plot;

use std::fmt::Write as _;

use crate::campaign::Campaign;
use crate::contender::Contender;
use crate::load;
use crate::score::Score;
use goals::{Ratio, geometric_mean};

/// The section "Measured" of docs/autoscaling.md, without its heading.
pub fn measured(campaign: &Campaign) -> String {
    let mut text = String::new();
    let minutes: usize = load::traces(0).iter().map(|t| t.rate.len() / 60).sum();
    let seeds = list(&campaign.seeds);
    let _ = writeln!(
        text,
        "Sums over the seeds {seeds}: {} runs of {minutes} minutes for each autoscaler. *Missed* are\n\
         minutes in which the 95th percentile of the latency was over 250 ms or a request was refused;\n\
         *hours* are instance-hours, *changes* those of the desired count.\n",
        campaign.seeds.len(),
    );
    for trace in load::traces(campaign.seeds.first().copied().unwrap_or(0)) {
        let _ = writeln!(text, "### {}: {}\n", trace.name, trace.title);
        let _ = writeln!(text, "![{0}](autoscaling/{0}.svg)\n", trace.name);
        table(&mut text, campaign, |contender| {
            campaign.score(trace.name, contender)
        });
    }
    let _ = writeln!(text, "### Together\n");
    table(&mut text, campaign, |contender| campaign.total(contender));
    text.push_str(&goals::text(campaign));
    text
}

/// What other set points give: each autoscaler's way between cost and violations.
pub fn ladder(campaign: &Campaign) -> String {
    let mut text = String::new();
    let scores: Vec<Score> = campaign
        .contenders
        .iter()
        .map(|c| campaign.total(*c))
        .collect();
    let _ = writeln!(
        text,
        "| autoscaler | missed | hours | changes | front |\n|---|---:|---:|---:|---|"
    );
    for (contender, score) in campaign.contenders.iter().zip(&scores) {
        let dominated = scores.iter().any(|other| score.is_dominated_by(other));
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {} | {} |",
            contender.name(),
            score.violated_minutes,
            score.instance_hours(),
            score.changes,
            if dominated { "" } else { "yes" },
        );
    }
    text
}

fn table(text: &mut String, campaign: &Campaign, score: impl Fn(Contender) -> Score) {
    let _ = writeln!(
        text,
        "| autoscaler | missed | hours | of the oracle's | changes | slow % | refused % |\n\
         |---|---:|---:|---:|---:|---:|---:|"
    );
    let oracle = score(Contender::Oracle);
    for contender in &campaign.contenders {
        let score = score(*contender);
        let percent = |count: u64| count as f64 * 100.0 / score.requests.max(1) as f64;
        let _ = writeln!(
            text,
            "| {} | {} | {:.2} | {:.2} | {} | {:.2} | {:.2} |",
            contender.name(),
            score.violated_minutes,
            score.instance_hours(),
            score.instance_seconds as f64 / oracle.instance_seconds.max(1) as f64,
            score.changes,
            percent(score.slow),
            percent(score.refused),
        );
    }
    text.push('\n');
}

fn list(seeds: &[u64]) -> String {
    let seeds: Vec<String> = seeds.iter().map(u64::to_string).collect();
    seeds.join(", ")
}

/// One contender's figures against another's over all traces.
pub fn ratio(campaign: &Campaign, one: Contender, other: Contender) -> Ratio {
    let names: Vec<&str> = load::traces(0).iter().map(|trace| trace.name).collect();
    let pairs: Vec<(Score, Score)> = names
        .iter()
        .map(|name| (campaign.score(name, one), campaign.score(name, other)))
        .collect();
    // A trace in which neither missed a minute says nothing of missing; where one of them missed none,
    // a minute is added to both, since nothing can be divided by nothing.
    let missed: Vec<f64> = pairs
        .iter()
        .map(|(one, other)| (one.violated_minutes, other.violated_minutes))
        .filter(|missed| *missed != (0, 0))
        .map(|(one, other)| match one.min(other) {
            0 => (one + 1) as f64 / (other + 1) as f64,
            _ => one as f64 / other as f64,
        })
        .collect();
    let hours: Vec<f64> = pairs
        .iter()
        .map(|(one, other)| one.instance_seconds as f64 / other.instance_seconds as f64)
        .collect();
    Ratio {
        missed: geometric_mean(&missed),
        hours: geometric_mean(&hours),
    }
}
