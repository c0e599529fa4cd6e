use fleet_proto::v1::{LogGroup, LogLine};
use serde::Serialize;

use super::left;
use crate::output::{Columns, escape, rfc3339, stamp, to_the_second};

/// `log list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct LogList(Vec<LogGroupView>);

#[derive(Debug, Serialize)]
struct LogGroupView {
    environment: String,
    release: String,
    group: String,
    first: Option<String>,
    last: Option<String>,
    #[serde(skip)]
    first_text: String,
    #[serde(skip)]
    last_text: String,
}

/// One line of `log view`.
#[derive(Debug, Serialize)]
pub(crate) struct LogLineView {
    at: Option<String>,
    source: String,
    text: String,
    #[serde(skip)]
    at_text: String,
}

impl LogList {
    pub(crate) fn new(groups: &[LogGroup]) -> Self {
        let view = |group: &LogGroup| LogGroupView {
            environment: group.environment.clone(),
            release: group.release.clone(),
            group: group.group.clone(),
            first: rfc3339(group.first.as_ref()),
            last: rfc3339(group.last.as_ref()),
            first_text: stamp(group.first.as_ref()),
            last_text: stamp(group.last.as_ref()),
        };
        Self(groups.iter().map(view).collect())
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Columns::new(&left(["environment", "release", "group", "first", "last"]));
        for group in &self.0 {
            table.row(vec![
                group.environment.clone(),
                group.release.clone(),
                group.group.clone(),
                group.first_text.clone(),
                group.last_text.clone(),
            ]);
        }
        table.render()
    }
}

impl From<&LogLine> for LogLineView {
    fn from(line: &LogLine) -> Self {
        Self {
            at: rfc3339(line.at.as_ref()),
            source: line.source.clone(),
            text: line.text.clone(),
            at_text: to_the_second(line.at.as_ref()),
        }
    }
}

impl LogLineView {
    /// `2019-01-01T00:00:49Z autoscaling/web text`.
    pub(crate) fn line(&self) -> String {
        escape(&format!("{} {} {}", self.at_text, self.source, self.text)) + "\n"
    }
}
