//! `env describe`, laid out as the predecessor laid it out. Rows it did not have appear only when
//! they say something out of the ordinary.

use fleet_proto::v1::{
    Endpoint, EnvironmentDescription, LoadedRelease, LoadedStatus, PreviousReleaseState, Rollout,
    RolloutPhase, Waiting,
};
use serde::Serialize;

use super::autoscaling::SettingsView;
use super::environment::EnvironmentView;
use super::whitelist::LimitView;
use super::{on_off, word};
use crate::output::{Align, Block, Columns, escape, escape_lines, rfc3339, stamp};

#[derive(Debug, Serialize)]
pub(crate) struct DescriptionView {
    #[serde(flatten)]
    environment: EnvironmentView,
    whitelist: String,
    recycling: bool,
    maintenance: bool,
    redirect: bool,
    requests: Option<LimitView>,
    address_requests: Option<LimitView>,
    tracked_branches: Vec<String>,
    /// `never`, `none` or `release`.
    previous_release_state: &'static str,
    previous_release: Option<String>,
    autoscaling_min: u32,
    autoscaling_max: u32,
    /// Missing where the cluster is older than autoscaling.
    autoscaling: Option<SettingsView>,
    rollout: Option<RolloutView>,
    releases: Vec<LoadedReleaseView>,
    endpoints: Vec<EndpointView>,
    waiting: Vec<WaitingView>,
}

#[derive(Debug, Serialize)]
struct LoadedReleaseView {
    name: String,
    release_id: String,
    build_id: String,
    status: String,
    active: bool,
    frontends: u32,
    frontends_desired: u32,
    reason: String,
    services: Vec<ServiceView>,
    endpoints: Vec<EndpointView>,
    loaded: Option<String>,
    updated: Option<String>,
    #[serde(skip)]
    loaded_text: String,
    #[serde(skip)]
    updated_text: String,
}

#[derive(Debug, Serialize)]
struct ServiceView {
    name: String,
    healthy: u32,
    desired: u32,
    pinned: bool,
}

#[derive(Debug, Serialize)]
struct EndpointView {
    name: String,
    host: String,
}

#[derive(Debug, Serialize)]
struct WaitingView {
    text: String,
    reason: String,
    hint: String,
    since: Option<String>,
    #[serde(skip)]
    since_text: String,
}

#[derive(Debug, Serialize)]
struct RolloutView {
    id: u64,
    phase: String,
    incoming: String,
    outgoing: String,
    started: Option<String>,
    deadline: Option<String>,
}

impl DescriptionView {
    /// Begins with an empty line, as it always did.
    pub(crate) fn text(&self) -> String {
        let mut out = format!("\n{}", self.properties().render());
        if !self.releases.is_empty() {
            out.push_str(&format!("\nReleases:\n{}", self.releases_table().render()));
        }
        for release in self
            .releases
            .iter()
            .filter(|release| !release.reason.is_empty())
        {
            out.push_str(&format!(
                "\n{} {}:\n",
                escape(&release.name),
                release.status
            ));
            let lines = escape_lines(&release.reason);
            lines
                .iter()
                .for_each(|line| out.push_str(&format!("  {line}\n")));
        }
        let mut endpoints = Block::default();
        for endpoint in &self.endpoints {
            endpoints.row(&endpoint.name, &*endpoint.host);
        }
        if !endpoints.is_empty() {
            out.push_str(&format!("\nEndpoints:\n{}", endpoints.render()));
        }
        if !self.waiting.is_empty() {
            out.push_str("\nWaiting:\n");
            self.waiting
                .iter()
                .for_each(|waiting| out.push_str(&waiting.lines()));
        }
        out
    }

    fn properties(&self) -> Block {
        let environment = &self.environment;
        let previous = match self.previous_release_state {
            "none" => "None",
            _ => self.previous_release.as_deref().unwrap_or_default(),
        };
        let mut block = Block::default();
        block.row("name", &*environment.name);
        block.row("status", &*environment.status);
        block.row("whitelist", &*self.whitelist);
        block.row("ssl certificate", &*environment.ssl_certificate);
        block.row("created", &*environment.created_text);
        block.row("updated", &*environment.updated_text);
        block.row("health check", on_off(self.recycling));
        block.row("tracked branches", self.tracked_branches.join(", "));
        block.row("previous release", previous);
        block.row("autoscaling min", self.autoscaling_min.to_string());
        block.row("autoscaling max", self.autoscaling_max.to_string());
        let settings = self.autoscaling.as_ref();
        if let Some(settings) = settings.filter(|settings| settings.out_of_the_ordinary()) {
            settings.rows(&mut block);
        }
        if environment.protected {
            block.row("protected", "ON");
        }
        if self.maintenance {
            block.row("maintenance mode", "ON");
        }
        if !self.redirect {
            block.row("redirect to https", "OFF");
        }
        if let Some(limit) = &self.requests {
            block.row("request limits", limit.text());
        }
        if let Some(limit) = &self.address_requests {
            block.row("limits by address", limit.text());
        }
        if let Some(rollout) = &self.rollout {
            block.row("rollout", rollout.line());
        }
        block
    }

    fn releases_table(&self) -> Columns {
        let mut table = Columns::new(&[
            ("name", Align::Left),
            ("status", Align::Left),
            ("loaded", Align::Left),
            ("updated", Align::Left),
            ("frontends", Align::Right),
        ]);
        for release in &self.releases {
            let status = match release.status.as_str() {
                "ACTIVE" => "* ACTIVE *",
                other => other,
            };
            table.row(vec![
                release.name.clone(),
                status.to_owned(),
                release.loaded_text.clone(),
                release.updated_text.clone(),
                release.frontends.to_string(),
            ]);
        }
        table
    }
}

impl WaitingView {
    fn lines(&self) -> String {
        let since = match self.since_text.as_str() {
            "" => String::new(),
            since => format!(" (since {since})"),
        };
        let hint = match self.hint.as_str() {
            "" => String::new(),
            hint => format!("   {}\n", escape(hint)),
        };
        format!(" - {}{since}\n{hint}", escape(&self.text))
    }
}

impl RolloutView {
    fn line(&self) -> String {
        match (self.outgoing.as_str(), self.incoming.as_str()) {
            ("", incoming) => format!("{}: {incoming}", self.phase),
            (outgoing, "") => format!("{}: {outgoing} leaves", self.phase),
            (outgoing, incoming) => format!("{}: {incoming} replaces {outgoing}", self.phase),
        }
    }
}

impl From<&EnvironmentDescription> for DescriptionView {
    fn from(description: &EnvironmentDescription) -> Self {
        let previous = description.previous_release.clone().unwrap_or_default();
        let state = match previous.state() {
            PreviousReleaseState::None => "none",
            PreviousReleaseState::Release => "release",
            PreviousReleaseState::Never | PreviousReleaseState::Unspecified => "never",
        };
        let environment = description.environment.clone().unwrap_or_default();
        Self {
            environment: EnvironmentView::from(&environment),
            whitelist: description.whitelist.clone(),
            recycling: description.recycling,
            maintenance: description.maintenance,
            redirect: !description.no_redirect,
            requests: description.requests.as_ref().map(LimitView::from),
            address_requests: description.address_requests.as_ref().map(LimitView::from),
            tracked_branches: description.tracked_branches.clone(),
            previous_release_state: state,
            previous_release: (state == "release").then_some(previous.release),
            autoscaling_min: description.autoscaling_min,
            autoscaling_max: description.autoscaling_max,
            autoscaling: description.autoscaling.as_ref().map(SettingsView::from),
            rollout: description.rollout.as_ref().map(RolloutView::from),
            releases: description
                .releases
                .iter()
                .map(LoadedReleaseView::from)
                .collect(),
            endpoints: description
                .endpoints
                .iter()
                .map(EndpointView::from)
                .collect(),
            waiting: description.waiting.iter().map(WaitingView::from).collect(),
        }
    }
}

impl From<&LoadedRelease> for LoadedReleaseView {
    fn from(release: &LoadedRelease) -> Self {
        let service = |service: &fleet_proto::v1::LoadedService| ServiceView {
            name: service.name.clone(),
            healthy: service.healthy,
            desired: service.desired,
            pinned: service.pinned,
        };
        Self {
            name: release.name.clone(),
            release_id: release.release_id.clone(),
            build_id: release.build_id.clone(),
            status: word(release.status, "LOADED_STATUS_", LoadedStatus::as_str_name),
            active: release.active,
            frontends: release.frontends,
            frontends_desired: release.frontends_desired,
            reason: release.reason.clone(),
            services: release.services.iter().map(service).collect(),
            endpoints: release.endpoints.iter().map(EndpointView::from).collect(),
            loaded: rfc3339(release.loaded.as_ref()),
            updated: rfc3339(release.updated.as_ref()),
            loaded_text: stamp(release.loaded.as_ref()),
            updated_text: stamp(release.updated.as_ref()),
        }
    }
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        Self {
            name: endpoint.name.clone(),
            host: endpoint.host.clone(),
        }
    }
}

impl From<&Waiting> for WaitingView {
    fn from(waiting: &Waiting) -> Self {
        Self {
            text: waiting.text.clone(),
            reason: waiting.reason.clone(),
            hint: waiting.hint.clone(),
            since: rfc3339(waiting.since.as_ref()),
            since_text: stamp(waiting.since.as_ref()),
        }
    }
}

impl From<&Rollout> for RolloutView {
    fn from(rollout: &Rollout) -> Self {
        Self {
            id: rollout.id,
            phase: word(rollout.phase, "ROLLOUT_PHASE_", RolloutPhase::as_str_name),
            incoming: rollout.incoming.clone(),
            outgoing: rollout.outgoing.clone(),
            started: rfc3339(rollout.started.as_ref()),
            deadline: rfc3339(rollout.deadline.as_ref()),
        }
    }
}
