//! Verbs of logs.

use clap::{Args, Subcommand};
use jiff::{Timestamp, fmt::strtime};

#[derive(Debug, Subcommand)]
pub enum LogVerb {
    /// List the groups of lines
    List {
        /// Only those of one environment
        #[arg(value_name = "ENV")]
        environment: Option<String>,
        /// Only those of one release
        release: Option<String>,
    },
    /// Show the lines of one group
    View(ViewArgs),
}

#[derive(Debug, Args)]
pub struct ViewArgs {
    /// ENV RELEASE GROUP; the environment may be said by -e instead
    #[arg(num_args = 2..=3, required = true, value_names = ["ENV", "RELEASE", "GROUP"])]
    pub words: Vec<String>,
    /// From this moment on; else the last 24 hours
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SS+ZZZZ", value_parser = moment)]
    pub start_time: Option<Timestamp>,
    /// Up to this moment
    #[arg(long, value_name = "YYYY-MM-DDTHH:MM:SS+ZZZZ", value_parser = moment, conflicts_with = "follow")]
    pub end_time: Option<Timestamp>,
    /// Go on as they come
    #[arg(short, long)]
    pub follow: bool,
}

/// The predecessor's form of a moment, or RFC 3339.
fn moment(text: &str) -> Result<Timestamp, String> {
    strtime::parse("%Y-%m-%dT%H:%M:%S%z", text)
        .and_then(|parsed| parsed.to_timestamp())
        .or_else(|_| text.parse())
        .map_err(|_| "not a moment like 2026-01-31T13:00:00+0000".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn moments_have_an_offset() {
        let noon = moment("2026-01-31T12:00:00+0000").unwrap();
        assert_eq!(moment("2026-01-31T13:00:00+0100").unwrap(), noon);
        assert_eq!(moment("2026-01-31T12:00:00Z").unwrap(), noon);
        assert_eq!(moment("2026-01-31T10:30:00-01:30").unwrap(), noon);
        for bad in ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
