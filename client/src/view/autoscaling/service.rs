//! One service: its counts, its signals, its past and its next step.

use fleet_proto::v1::{
    AutoscalingDecision, AutoscalingPoint, AutoscalingSignal, ScaledService, SignalAim,
};
use serde::Serialize;

use super::settings::SettingsView;
use crate::output::{Align, Columns, escape, rfc3339, sparkline, to_the_second};

/// Bars of a history: it fits a terminal of 80 columns with its legend.
const BARS: usize = 48;

#[derive(Debug, Serialize)]
pub(super) struct ServiceView {
    name: String,
    pinned: bool,
    from_manifest: bool,
    /// Missing for a pinned one.
    #[serde(flatten)]
    settings: Option<SettingsView>,
    min: u32,
    max: u32,
    desired: u32,
    ready: u32,
    starting: u32,
    signals: Vec<SignalView>,
    /// Newest first.
    decisions: Vec<DecisionView>,
    next: String,
    /// Oldest first.
    history: Vec<PointView>,
}

#[derive(Debug, Serialize)]
struct SignalView {
    name: String,
    unit: String,
    value: Option<f64>,
    target: Option<f64>,
    /// `near`, `above`, `below`, or nothing for a signal that decides nothing.
    aim: Option<&'static str>,
    window: u32,
    age_ms: Option<u64>,
    heard: u32,
    expected: u32,
}

#[derive(Debug, Serialize)]
struct DecisionView {
    at: Option<String>,
    from: u32,
    to: u32,
    cause: String,
    text: String,
    #[serde(skip)]
    at_text: String,
}

#[derive(Debug, Serialize)]
struct PointView {
    at: Option<String>,
    load: Option<f64>,
    unit: String,
    count: u32,
}

impl ServiceView {
    /// `release` is how the release is called on this page.
    pub(super) fn text(&self, release: &str, drawn: bool) -> String {
        let Self { name, min, max, .. } = self;
        let counts = format!(
            "{} wanted, {} ready, {} starting",
            self.desired, self.ready, self.starting
        );
        if self.pinned {
            let head = format!("{name} of {release}: {counts}; always {min}");
            return escape(&head) + "\n";
        }
        let head = format!("{name} of {release}: {counts}; {min} to {max}");
        let mut out = escape(&head) + "\n";
        if let Some(settings) = self.settings.as_ref().filter(|_| self.from_manifest) {
            let line = format!("by its manifest: {}", settings.line());
            out.push_str(&(escape(&line) + "\n"));
        }
        if !self.signals.is_empty() {
            out.push('\n');
            out.push_str(&self.signals_table().render());
        }
        let history = known(&self.history);
        if !history.is_empty() {
            out.push('\n');
            out.push_str(&history_lines(history, drawn));
        }
        if !self.next.is_empty() {
            out.push_str(&format!("\nNext: {}\n", escape(&self.next)));
        }
        if !self.decisions.is_empty() {
            out.push_str("\nDecisions:\n");
            for decision in &self.decisions {
                let line = format!("{} {}", decision.at_text, decision.text);
                out.push_str(&(escape(&line) + "\n"));
            }
        }
        out
    }

    fn signals_table(&self) -> Columns {
        let mut header = vec![
            ("signal", Align::Left),
            ("value", Align::Right),
            ("aim", Align::Right),
            ("window", Align::Right),
            ("heard", Align::Right),
        ];
        let aged = self.signals.iter().any(|signal| signal.age_ms.is_some());
        header.extend(aged.then_some(("newest", Align::Right)));
        let mut table = Columns::new(&header);
        let unknown = || "-".to_owned();
        for signal in &self.signals {
            let value = signal.value.map(|value| signal.with_unit(value));
            let mut cells = vec![
                signal.name.clone(),
                value.unwrap_or_else(unknown),
                signal.aim_text(),
                format!("{} s", signal.window),
                format!("{}/{}", signal.heard, signal.expected),
            ];
            cells.extend(aged.then(|| signal.age_ms.map_or_else(unknown, age)));
            table.row(cells);
        }
        table
    }
}

impl SignalView {
    fn with_unit(&self, value: f64) -> String {
        let space = if self.unit.is_empty() || self.unit.starts_with('/') {
            ""
        } else {
            " "
        };
        format!("{}{space}{}", number(value), self.unit)
    }

    fn aim_text(&self) -> String {
        let Some(target) = self.target else {
            return String::new();
        };
        let target = self.with_unit(target);
        match self.aim {
            Some("above") => format!("> {target}"),
            Some("below") => format!("< {target}"),
            _ => target,
        }
    }
}

/// Without what was before anything was known: the leader is young, or the service is.
fn known(history: &[PointView]) -> &[PointView] {
    let first = history.iter().position(|point| point.load.is_some());
    first.map_or(&[], |first| &history[first..])
}

/// Load and count side by side: as bars, or in numbers.
fn history_lines(history: &[PointView], drawn: bool) -> String {
    let columns = thinned(history);
    let loads: Vec<Option<f64>> = columns.iter().map(|column| column.0).collect();
    let counts: Vec<Option<f64>> = columns.iter().map(|column| column.1).collect();
    let unit = history.first().map_or("", |point| &point.unit);
    let rows = [("load ", loads, unit), ("count", counts, "frontends")];
    let line = |(name, values, unit): (&str, Vec<Option<f64>>, &str)| {
        let most = values.iter().flatten().copied().fold(0.0, f64::max);
        let shown = if drawn {
            format!("{}  0 to {}", sparkline(&values, most), number(most))
        } else {
            let numbers = values.iter().map(|v| v.map_or("-".to_owned(), number));
            numbers.collect::<Vec<_>>().join(" ")
        };
        escape(&format!("{name}  {shown} {unit}")) + "\n"
    };
    rows.map(line).concat()
}

/// At most [`BARS`] columns; one that stands for several points shows the most of each.
fn thinned(points: &[PointView]) -> Vec<(Option<f64>, Option<f64>)> {
    let each = points.len().div_ceil(BARS).max(1);
    let most = |values: &mut dyn Iterator<Item = f64>| values.reduce(f64::max);
    points
        .chunks(each)
        .map(|chunk| {
            let load = most(&mut chunk.iter().filter_map(|point| point.load));
            let count = most(&mut chunk.iter().map(|point| f64::from(point.count)));
            (load, count)
        })
        .collect()
}

/// As many digits as say something: `0.25`, `3.4`, `120`.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 || v.fract() == 0.0 => 0,
        v if v >= 1.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

fn age(ms: u64) -> String {
    match ms {
        ..10_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        _ => format!("{} s", ms / 1_000),
    }
}

impl From<&ScaledService> for ServiceView {
    fn from(service: &ScaledService) -> Self {
        Self {
            name: service.name.clone(),
            pinned: service.pinned,
            from_manifest: service.from_manifest,
            settings: service.settings.as_ref().map(SettingsView::from),
            min: service.min,
            max: service.max,
            desired: service.desired,
            ready: service.ready,
            starting: service.starting,
            signals: service.signals.iter().map(SignalView::from).collect(),
            decisions: service.decisions.iter().map(DecisionView::from).collect(),
            next: service.next.clone(),
            history: service.history.iter().map(PointView::from).collect(),
        }
    }
}

impl From<&AutoscalingSignal> for SignalView {
    fn from(signal: &AutoscalingSignal) -> Self {
        // What is not finite cannot be written as JSON, and says nothing.
        let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
        Self {
            name: signal.name.clone(),
            unit: signal.unit.clone(),
            value: finite(signal.value),
            target: finite(signal.target),
            aim: match signal.aim() {
                SignalAim::Near => Some("near"),
                SignalAim::Above => Some("above"),
                SignalAim::Below => Some("below"),
                SignalAim::Unspecified => None,
            },
            window: signal.window_seconds,
            age_ms: signal.age_ms,
            heard: signal.heard,
            expected: signal.expected,
        }
    }
}

impl From<&AutoscalingDecision> for DecisionView {
    fn from(decision: &AutoscalingDecision) -> Self {
        Self {
            at: rfc3339(decision.at.as_ref()),
            from: decision.from,
            to: decision.to,
            cause: decision.cause.clone(),
            text: decision.line.clone(),
            at_text: to_the_second(decision.at.as_ref()),
        }
    }
}

impl From<&AutoscalingPoint> for PointView {
    fn from(point: &AutoscalingPoint) -> Self {
        Self {
            at: rfc3339(point.at.as_ref()),
            load: point.load.filter(|load| load.is_finite()),
            unit: point.unit.clone(),
            count: point.count,
        }
    }
}
