use fleet_proto::v1::{Build, BuildLogsResponse, BuildStatus, CreateBuildResponse, Instant};
use serde::Serialize;

use super::{PromotionView, left, word};
use crate::output::{
    Columns, Plain, ago, elapsed, escape, escape_lines, rfc3339, stamp, to_the_second,
};

/// Messages are cut to this many characters, as the predecessor cut them.
const MESSAGE: usize = 32;

/// `release list` and `builds`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct BuildList(Vec<BuildView>);

/// `builds info`.
#[derive(Debug, Serialize)]
pub(crate) struct BuildView {
    name: String,
    id: String,
    /// CREATING, AVAILABLE, FAILED.
    status: String,
    /// The same as `builds` says it: running, complete, failed.
    state: &'static str,
    reason: String,
    message: String,
    description: String,
    release_id: String,
    commit: String,
    sha256: String,
    size: u64,
    loaded_in: Vec<String>,
    created: Option<String>,
    updated: Option<String>,
    #[serde(skip)]
    created_at: Option<Instant>,
    #[serde(skip)]
    updated_at: Option<Instant>,
}

impl From<&Build> for BuildView {
    fn from(build: &Build) -> Self {
        Self {
            name: build.name.clone(),
            id: build.id.clone(),
            status: word(build.status, "BUILD_STATUS_", BuildStatus::as_str_name),
            state: match build.status() {
                BuildStatus::Creating => "running",
                BuildStatus::Available => "complete",
                BuildStatus::Failed => "failed",
                BuildStatus::Unspecified => "unknown",
            },
            reason: build.reason.clone(),
            message: build.message.clone(),
            description: build.description.clone(),
            release_id: build.release_id.clone(),
            commit: build.commit.clone(),
            sha256: build.sha256.clone(),
            size: build.size,
            loaded_in: build.loaded_in.clone(),
            created: rfc3339(build.created.as_ref()),
            updated: rfc3339(build.updated.as_ref()),
            created_at: build.created,
            updated_at: build.updated,
        }
    }
}

impl BuildList {
    pub(crate) fn new(builds: &[Build]) -> Self {
        Self(builds.iter().map(BuildView::from).collect())
    }

    /// `builds`.
    pub(crate) fn table(&self, now_ms: u64) -> String {
        let header = [
            "ID",
            "STATUS",
            "RELEASE",
            "STARTED",
            "ELAPSED",
            "DESCRIPTION",
        ];
        let mut table = Plain::new(&header);
        for build in &self.0 {
            table.row(vec![
                build.id.clone(),
                build.state.to_owned(),
                build.release_id.clone(),
                ago(build.created_at.as_ref(), now_ms),
                build.elapsed(),
                build.description.clone(),
            ]);
        }
        table.render()
    }

    /// `release list`.
    pub(crate) fn library(&self) -> String {
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
                stamp(build.updated_at.as_ref()),
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

impl BuildView {
    pub(crate) fn text(&self) -> String {
        let mut table = Plain::new(&[]);
        for (name, value) in [
            ("Id", self.id.clone()),
            ("Status", self.state.to_owned()),
            ("Release", self.release_id.clone()),
            ("Description", self.description.clone()),
            ("Started", to_the_second(self.created_at.as_ref())),
            ("Elapsed", self.elapsed()),
        ] {
            table.row(vec![name.to_owned(), value]);
        }
        let mut reason = String::new();
        for line in escape_lines(&self.reason) {
            reason.push_str(&format!("{line}\n"));
        }
        table.render() + &reason
    }

    /// How long it took; nothing while it goes on.
    fn elapsed(&self) -> String {
        match self.state {
            "complete" | "failed" => elapsed(self.created_at.as_ref(), self.updated_at.as_ref()),
            _ => String::new(),
        }
    }
}

/// `build` and `deploy`.
#[derive(Debug, Serialize)]
pub(crate) struct BuiltView {
    app: String,
    environment: String,
    pub(crate) build_id: String,
    build: String,
    pub(crate) release_id: String,
    log_index: u64,
    notices: Vec<String>,
    pub(crate) promotion: Option<PromotionView>,
}

impl From<&CreateBuildResponse> for BuiltView {
    fn from(answer: &CreateBuildResponse) -> Self {
        let receipt = answer.receipt.clone().unwrap_or_default();
        let build = answer.build.clone().unwrap_or_default();
        Self {
            app: receipt.app,
            environment: receipt.environment,
            build_id: build.id,
            build: build.name,
            release_id: answer.release_id.clone(),
            log_index: receipt.log_index,
            notices: receipt.notices,
            promotion: None,
        }
    }
}

/// `builds logs`.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(crate) struct BuildLogView(Vec<BuildLogLine>);

#[derive(Debug, Serialize)]
struct BuildLogLine {
    at: Option<String>,
    text: String,
}

impl BuildLogView {
    pub(crate) fn add(&mut self, answer: &BuildLogsResponse) {
        self.0.extend(answer.lines.iter().map(|line| BuildLogLine {
            at: rfc3339(line.at.as_ref()),
            text: line.text.clone(),
        }));
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
