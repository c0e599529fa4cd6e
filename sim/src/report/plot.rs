//! A trace as a picture: the load, the counts, and the minutes in which each autoscaler missed.
//!
//! Plain SVG, written by hand so that the same campaign makes the same bytes.

use std::fmt::Write as _;

use crate::campaign::{Campaign, Result};
use crate::contender::Contender;
use crate::load::{self, Trace};
use crate::world::{self, CORES, SAFE, WORK};

const WIDTH: f64 = 860.0;
const LEFT: f64 = 110.0;
const RIGHT: f64 = 20.0;
const TOP: f64 = 30.0;
const HEIGHT: f64 = 240.0;
/// Of the strip of one autoscaler.
const STRIP: f64 = 16.0;
/// Seconds per point of the load.
const STEP: usize = 20;

/// Who is drawn, and how: colours that most colour-blind people tell apart (M. Okabe, K. Ito,
/// "Color universal design", 2008).
const DRAWN: [(Contender, &str, &str); 4] = [
    (Contender::HPA, "#e69f00", "HPA"),
    (Contender::KPA, "#009e73", "KPA"),
    (Contender::STEP, "#cc79a7", "step"),
    (Contender::TARGET, "#0072b2", "target"),
];

/// File names and pictures, one per trace, of the campaign's first seed.
pub fn plots(campaign: &Campaign) -> Vec<(String, String)> {
    let Some(seed) = campaign.seeds.first() else {
        return Vec::new();
    };
    load::traces(*seed)
        .iter()
        .map(|trace| (format!("{}.svg", trace.name), plot(campaign, trace)))
        .collect()
}

fn plot(campaign: &Campaign, trace: &Trace) -> String {
    let drawn: Vec<(&Result, &str, &str)> = DRAWN
        .iter()
        .filter_map(|(contender, colour, name)| {
            let mut results = campaign.results.iter();
            let result = results.find(|result| {
                result.contender == *contender
                    && result.trace == trace.name
                    && result.seed == trace.seed
            })?;
            Some((result, *colour, *name))
        })
        .collect();
    let scale = Scale::of(trace, &drawn);
    let height = TOP + HEIGHT + 34.0 + STRIP * drawn.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH:.0} {height:.0}\" \
         font-family=\"sans-serif\" font-size=\"11\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n\
         <text x=\"{LEFT:.0}\" y=\"18\" font-size=\"13\">{}: {} (seed {})</text>\n",
        trace.name, trace.title, trace.seed,
    );
    axes(&mut svg, trace, scale);
    load_area(&mut svg, trace, scale);
    for (result, colour, _) in &drawn {
        count_line(&mut svg, trace, result, colour, scale);
    }
    for (index, (result, colour, name)) in drawn.iter().enumerate() {
        let top = TOP + HEIGHT + 28.0 + STRIP * index as f64;
        strip(&mut svg, trace, result, (colour, name), top);
    }
    svg.push_str("</svg>\n");
    svg
}

/// Counts and requests share the vertical axis: what one frontend carries safely is one frontend high.
#[derive(Clone, Copy)]
struct Scale {
    /// The highest count drawn.
    count: f64,
    /// Requests per second that one frontend carries.
    each: f64,
}

impl Scale {
    fn of(trace: &Trace, drawn: &[(&Result, &str, &str)]) -> Scale {
        let each = SAFE * CORES / WORK;
        let changes = drawn.iter().flat_map(|(result, _, _)| &result.run.changes);
        let most = changes
            .map(|change| f64::from(change.to))
            .fold(0.0, f64::max);
        Scale {
            count: most.max(trace.peak() / each).ceil() + 1.0,
            each,
        }
    }

    fn y(self, count: f64) -> f64 {
        TOP + HEIGHT - HEIGHT * count / self.count
    }
}

fn x(trace: &Trace, second: usize) -> f64 {
    LEFT + (WIDTH - LEFT - RIGHT) * second as f64 / trace.rate.len() as f64
}

fn axes(svg: &mut String, trace: &Trace, scale: Scale) {
    let minutes = trace.rate.len() / 60;
    let step = if minutes > 120 { 30 } else { 10 };
    for minute in (0..=minutes).step_by(step) {
        let (x, bottom) = (x(trace, minute * 60), TOP + HEIGHT);
        let _ = writeln!(
            svg,
            "<path d=\"M{x:.1} {TOP:.0}V{bottom:.0}\" stroke=\"#eeeeee\"/><text x=\"{x:.1}\" y=\"{:.0}\" \
             text-anchor=\"middle\">{minute} min</text>",
            bottom + 14.0,
        );
    }
    let step = if scale.count > 25.0 { 10 } else { 5 };
    for count in (0..=scale.count as u32).step_by(step) {
        let y = scale.y(f64::from(count));
        let _ = writeln!(
            svg,
            "<path d=\"M{LEFT:.0} {y:.1}H{:.0}\" stroke=\"#eeeeee\"/><text x=\"{:.0}\" y=\"{:.1}\" \
             text-anchor=\"end\">{count} ({:.0} req/s)</text>",
            WIDTH - RIGHT,
            LEFT - 6.0,
            y + 4.0,
            f64::from(count) * scale.each,
        );
    }
}

fn load_area(svg: &mut String, trace: &Trace, scale: Scale) {
    let bottom = TOP + HEIGHT;
    let mut path = format!("M{LEFT:.1} {bottom:.0}");
    for (index, chunk) in trace.rate.chunks(STEP).enumerate() {
        let mean = chunk.iter().sum::<f64>() / chunk.len() as f64;
        let x = x(trace, index * STEP + chunk.len() / 2);
        let _ = write!(path, "L{x:.1} {:.1}", scale.y(mean / scale.each));
    }
    let _ = writeln!(
        svg,
        "<path d=\"{path}L{:.1} {bottom:.0}Z\" fill=\"#d9d9d9\"/>",
        x(trace, trace.rate.len()),
    );
}

fn count_line(svg: &mut String, trace: &Trace, result: &Result, colour: &str, scale: Scale) {
    let first: f64 = trace.rate.iter().take(60).sum::<f64>() / 60.0;
    let mut path = format!("M{LEFT:.1} {:.1}", scale.y(f64::from(world::needed(first))));
    for change in &result.run.changes {
        let x = x(trace, change.at as usize);
        let _ = write!(path, "H{x:.1}V{:.1}", scale.y(f64::from(change.to)));
    }
    let _ = writeln!(
        svg,
        "<path d=\"{path}H{:.1}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"1.5\"/>",
        x(trace, trace.rate.len()),
    );
}

/// A line per autoscaler with a mark for every minute missed.
fn strip(svg: &mut String, trace: &Trace, result: &Result, (colour, name): (&str, &str), top: f64) {
    let score = result.run.score();
    let _ = writeln!(
        svg,
        "<text x=\"{:.0}\" y=\"{:.1}\" text-anchor=\"end\" fill=\"{colour}\">{name}: {} missed</text>\
         <path d=\"M{LEFT:.0} {:.1}H{:.0}\" stroke=\"#cccccc\"/>",
        LEFT - 6.0,
        top + 8.0,
        score.violated_minutes,
        top + 5.0,
        WIDTH - RIGHT,
    );
    let missed = result.run.minutes.iter().enumerate();
    for (minute, _) in missed.filter(|(_, minute)| minute.is_violated()) {
        let (from, to) = (x(trace, minute * 60), x(trace, minute * 60 + 60));
        let _ = writeln!(
            svg,
            "<rect x=\"{from:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"10\" fill=\"{colour}\"/>",
            to - from,
        );
    }
}
