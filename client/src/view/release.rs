use std::collections::BTreeMap;

use fleet_proto::v1::{CreateFromResponse, Instant, Release};
use serde::Serialize;

use super::{Masking, PromotionView};
use crate::output::{Plain, ago, rfc3339, to_the_second};

/// `releases`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct ReleaseList(Vec<ReleaseRow>);

#[derive(Debug, Serialize)]
struct ReleaseRow {
    id: String,
    app: String,
    environment: String,
    /// `active` or empty.
    status: &'static str,
    build_id: String,
    build: String,
    created: Option<String>,
    description: String,
    #[serde(skip)]
    created_at: Option<Instant>,
}

impl From<&Release> for ReleaseRow {
    fn from(release: &Release) -> Self {
        Self {
            id: release.id.clone(),
            app: release.app.clone(),
            environment: release.environment.clone(),
            status: if release.active { "active" } else { "" },
            build_id: release.build_id.clone(),
            build: release.build.clone(),
            created: rfc3339(release.created.as_ref()),
            description: release.description.clone(),
            created_at: release.created,
        }
    }
}

impl ReleaseList {
    pub(crate) fn new(releases: &[Release]) -> Self {
        Self(releases.iter().map(ReleaseRow::from).collect())
    }

    pub(crate) fn text(&self, now_ms: u64) -> String {
        let mut table = Plain::new(&["ID", "STATUS", "BUILD", "CREATED", "DESCRIPTION"]);
        for release in &self.0 {
            table.row(vec![
                release.id.clone(),
                release.status.to_owned(),
                release.build_id.clone(),
                ago(release.created_at.as_ref(), now_ms),
                release.description.clone(),
            ]);
        }
        table.render()
    }
}

/// `releases info`.
#[derive(Debug, Serialize)]
pub(crate) struct ReleaseView {
    #[serde(flatten)]
    row: ReleaseRow,
    variables: BTreeMap<String, String>,
    masked: Vec<String>,
}

impl From<&Release> for ReleaseView {
    fn from(release: &Release) -> Self {
        Self {
            row: ReleaseRow::from(release),
            variables: release.variables.clone().into_iter().collect(),
            masked: release.masked.clone(),
        }
    }
}

impl ReleaseView {
    pub(crate) fn text(&self, masking: &Masking) -> String {
        let mut table = Plain::new(&[]);
        for (name, value) in [
            ("Id", self.row.id.clone()),
            ("Build", self.row.build_id.clone()),
            ("Created", to_the_second(self.row.created_at.as_ref())),
            ("Description", self.row.description.clone()),
        ] {
            table.row(vec![name.to_owned(), value]);
        }
        // One row for each variable; the first has the name of the block.
        let mut pairs: Vec<String> = self
            .variables
            .iter()
            .map(|(name, value)| masking.pair(name, value))
            .collect();
        if pairs.is_empty() {
            pairs.push(String::new());
        }
        for (i, pair) in pairs.into_iter().enumerate() {
            let name = if i == 0 { "Env" } else { "" };
            table.row(vec![name.to_owned(), pair]);
        }
        table.render()
    }
}

/// `releases create-from`.
#[derive(Debug, Serialize)]
pub(crate) struct CreatedReleaseView {
    app: String,
    environment: String,
    pub(crate) release_id: String,
    description: String,
    log_index: u64,
    pub(crate) promotion: Option<PromotionView>,
}

impl From<&CreateFromResponse> for CreatedReleaseView {
    fn from(answer: &CreateFromResponse) -> Self {
        let receipt = answer.receipt.clone().unwrap_or_default();
        Self {
            app: receipt.app,
            environment: receipt.environment,
            release_id: receipt.release_id,
            description: answer.description.clone(),
            log_index: receipt.log_index,
            promotion: None,
        }
    }
}
