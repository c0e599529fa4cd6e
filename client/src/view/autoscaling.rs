//! `env autoscaling describe`: what decides the counts, what is measured, and what was decided.

mod service;
mod settings;

use fleet_proto::v1::{DescribeAutoscalingResponse, ScaledRelease};
use serde::Serialize;

use crate::output::{Block, rfc3339};
use service::ServiceView;
pub(super) use settings::SettingsView;

#[derive(Debug, Serialize)]
pub(crate) struct AutoscalingView {
    at: Option<String>,
    app: String,
    environment: String,
    #[serde(flatten)]
    settings: SettingsView,
    autoscaling_min: u32,
    autoscaling_max: u32,
    releases: Vec<ReleaseView>,
}

#[derive(Debug, Serialize)]
struct ReleaseView {
    name: String,
    release_id: String,
    active: bool,
    services: Vec<ServiceView>,
}

impl AutoscalingView {
    /// Begins with an empty line, like every description. History is `drawn` for people and
    /// written in numbers for what reads a pipe.
    pub(crate) fn text(&self, drawn: bool) -> String {
        let mut block = Block::default();
        block.row("name", &*self.environment);
        block.row("autoscaling min", self.autoscaling_min.to_string());
        block.row("autoscaling max", self.autoscaling_max.to_string());
        self.settings.rows(&mut block);
        let mut out = format!("\n{}", block.render());
        for release in &self.releases {
            let name = match release.active {
                true => format!("{} * ACTIVE *", release.name),
                false => release.name.clone(),
            };
            for service in &release.services {
                out.push('\n');
                out.push_str(&service.text(&name, drawn));
            }
        }
        out
    }
}

impl From<&DescribeAutoscalingResponse> for AutoscalingView {
    fn from(answer: &DescribeAutoscalingResponse) -> Self {
        Self {
            at: rfc3339(answer.at.as_ref()),
            app: answer.app.clone(),
            environment: answer.environment.clone(),
            settings: SettingsView::from(&answer.settings.unwrap_or_default()),
            autoscaling_min: answer.min,
            autoscaling_max: answer.max,
            releases: answer.releases.iter().map(ReleaseView::from).collect(),
        }
    }
}

impl From<&ScaledRelease> for ReleaseView {
    fn from(release: &ScaledRelease) -> Self {
        Self {
            name: release.name.clone(),
            release_id: release.release_id.clone(),
            active: release.active,
            services: release.services.iter().map(ServiceView::from).collect(),
        }
    }
}
