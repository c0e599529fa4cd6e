use fleet_proto::v1::{Build, BuildStatus};
use serde::Serialize;

use super::{left, word};
use crate::output::{Columns, escape, escape_lines, rfc3339, stamp};

/// Messages are cut to this many characters, as the predecessor cut them.
const MESSAGE: usize = 32;

/// `release list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct BuildList(Vec<BuildView>);

#[derive(Debug, Serialize)]
struct BuildView {
    name: String,
    id: String,
    status: String,
    reason: String,
    message: String,
    commit: String,
    sha256: String,
    size: u64,
    loaded_in: Vec<String>,
    created: Option<String>,
    updated: Option<String>,
    #[serde(skip)]
    modified: String,
}

impl From<&Build> for BuildView {
    fn from(build: &Build) -> Self {
        Self {
            name: build.name.clone(),
            id: build.id.clone(),
            status: word(build.status, "BUILD_STATUS_", BuildStatus::as_str_name),
            reason: build.reason.clone(),
            message: build.message.clone(),
            commit: build.commit.clone(),
            sha256: build.sha256.clone(),
            size: build.size,
            loaded_in: build.loaded_in.clone(),
            created: rfc3339(build.created.as_ref()),
            updated: rfc3339(build.updated.as_ref()),
            modified: stamp(build.updated.as_ref()),
        }
    }
}

impl BuildList {
    pub(crate) fn new(builds: &[Build]) -> Self {
        Self(builds.iter().map(BuildView::from).collect())
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Columns::new(&left([
            "name",
            "status",
            "modified",
            "message",
            "loaded in",
        ]));
        let mut reasons = String::new();
        for build in &self.0 {
            table.row(vec![
                build.name.clone(),
                build.status.clone(),
                build.modified.clone(),
                cut(&build.message),
                build.loaded_in.join(", "),
            ]);
            for (i, line) in escape_lines(&build.reason).iter().enumerate() {
                if i == 0 {
                    reasons.push_str(&format!("\n{} FAILED: {line}\n", escape(&build.name)));
                } else {
                    reasons.push_str(&format!("  {line}\n"));
                }
            }
        }
        table.render() + &reasons
    }
}

/// 32 characters at most, the last three of which then are dots.
fn cut(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default();
    if first.chars().count() <= MESSAGE {
        return first.to_owned();
    }
    let kept: String = first.chars().take(MESSAGE - 3).collect();
    kept + "..."
}
