//! Writes the text format, version 0.0.4.
//!
//! <https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format>

use std::fmt::{self, Write as _};

use crate::{Family, Kind};

/// A page under way.
#[derive(Debug, Default)]
pub struct Page(String);

/// Takes the series of one family.
#[derive(Debug)]
pub struct Samples<'a> {
    page: &'a mut String,
    family: &'a Family,
}

/// A value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Number {
    Whole(u64),
    Real(f64),
}

impl Page {
    pub fn new() -> Self {
        Self::default()
    }

    /// Begins a family. It is named even if no series follows: what is not there yet is known.
    pub fn family<'a>(&'a mut self, family: &'a Family) -> Samples<'a> {
        let Family {
            name, kind, help, ..
        } = family;
        let page = &mut self.0;
        let _ = write!(page, "# HELP {name} ");
        escaped(page, help, false);
        let _ = writeln!(page, "\n# TYPE {name} {kind}");
        Samples { page, family }
    }

    /// A family with one series and no labels.
    pub fn one(&mut self, family: &Family, value: impl Into<Number>) {
        self.family(family).add(&[], value);
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

impl Samples<'_> {
    /// One series; `values` are those of the family's labels, in their order.
    pub fn add(&mut self, values: &[&str], value: impl Into<Number>) -> &mut Self {
        debug_assert_ne!(self.family.kind, Kind::Histogram);
        self.line("", values, None, value.into());
        self
    }

    /// One histogram: `counts` are per bucket, not summed up, the last one of what is above all
    /// `bounds` (seconds, ascending); `sum` is in seconds too.
    pub fn histogram(
        &mut self,
        values: &[&str],
        bounds: &[f64],
        counts: &[u64],
        sum: f64,
    ) -> &mut Self {
        debug_assert_eq!(self.family.kind, Kind::Histogram);
        debug_assert_eq!(counts.len(), bounds.len() + 1);
        let bounds = bounds.iter().copied().chain([f64::INFINITY]);
        let mut below = 0;
        for (bound, count) in bounds.zip(counts) {
            below += count;
            self.line("_bucket", values, Some(bound), below.into());
        }
        self.line("_sum", values, None, sum.into());
        self.line("_count", values, None, below.into());
        self
    }

    fn line(&mut self, suffix: &str, values: &[&str], le: Option<f64>, value: Number) {
        debug_assert_eq!(values.len(), self.family.labels.len());
        let page = &mut *self.page;
        page.push_str(self.family.name);
        page.push_str(suffix);
        let mut before = '{';
        for (name, value) in self.family.labels.iter().zip(values) {
            let _ = write!(page, "{before}{name}=\"");
            escaped(page, value, true);
            page.push('"');
            before = ',';
        }
        if let Some(bound) = le {
            let _ = write!(page, "{before}le=\"{}\"", Number::Real(bound));
            before = ',';
        }
        if before == ',' {
            page.push('}');
        }
        let _ = writeln!(page, " {value}");
    }
}

/// What would end a line early, or a label's value, is written otherwise.
fn escaped(page: &mut String, text: &str, quoted: bool) {
    for c in text.chars() {
        match c {
            '\\' => page.push_str("\\\\"),
            '\n' => page.push_str("\\n"),
            '"' if quoted => page.push_str("\\\""),
            c => page.push(c),
        }
    }
}

impl From<u64> for Number {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<f64> for Number {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole(value) => value.fmt(f),
            Self::Real(value) if *value == f64::INFINITY => f.write_str("+Inf"),
            Self::Real(value) if *value == f64::NEG_INFINITY => f.write_str("-Inf"),
            // NaN is spelt as the format wants it.
            Self::Real(value) => value.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;

    const STRANGE: Family = Family {
        name: "strange_total",
        kind: Kind::Counter,
        labels: &["app", "path"],
        help: "a \\ and\nanother line with \"quotes\"",
    };
    const TIME: Family = Family {
        name: "time_seconds",
        kind: Kind::Histogram,
        labels: &["app"],
        help: "how long it took",
    };

    #[test]
    fn what_is_written_has_the_form_of_the_specification() {
        let mut page = Page::new();
        page.family(&STRANGE)
            .add(&["a", "C:\\DIR\n\"x\""], 7)
            .add(&["", "ü"], f64::NAN);
        page.family(&TIME)
            .histogram(&["a"], &[0.005, 1.0], &[1, 0, 2], 12.5);
        let expected = r#"# HELP strange_total a \\ and\nanother line with "quotes"
# TYPE strange_total counter
strange_total{app="a",path="C:\\DIR\n\"x\""} 7
strange_total{app="",path="ü"} NaN
# HELP time_seconds how long it took
# TYPE time_seconds histogram
time_seconds_bucket{app="a",le="0.005"} 1
time_seconds_bucket{app="a",le="1"} 1
time_seconds_bucket{app="a",le="+Inf"} 3
time_seconds_sum{app="a"} 12.5
time_seconds_count{app="a"} 3
"#;
        assert_eq!(page.into_text(), expected);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let nasty = ["", "\\", "\\n", "a\"b", "}{,=\"", "two\nlines\\"];
        let mut page = Page::new();
        for text in nasty {
            page.family(&STRANGE).add(&[text, "x"], 3);
            let read = read(&std::mem::take(&mut page).into_text()).unwrap();
            let series = &read["strange_total"];
            assert_eq!(series.samples[0].label("app"), Some(text));
            assert_eq!(series.help, STRANGE.help);
        }
    }
}
