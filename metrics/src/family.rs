//! What a metric is.

use std::fmt;

/// All series of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// As Prometheus wants it: letters, digits and underscores, the unit at its end, `_total` after
    /// that for counters.
    pub name: &'static str,
    pub kind: Kind,
    /// Names of the labels that every series has, in order; `le` of a histogram is not among them.
    pub labels: &'static [&'static str],
    /// One sentence without a full stop.
    pub help: &'static str,
}

impl Family {
    /// One whose `name`, `labels` and `help` are as the fields say.
    #[must_use]
    pub const fn new(
        kind: Kind,
        name: &'static str,
        labels: &'static [&'static str],
        help: &'static str,
    ) -> Self {
        Self {
            name,
            kind,
            labels,
            help,
        }
    }
}

/// How the numbers of a metric behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Grows; zero again with a new process.
    Counter,
    /// Whatever it is now.
    Gauge,
    /// Counts per bucket, each with those below it, their number and their sum.
    Histogram,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
