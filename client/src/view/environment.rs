use fleet_proto::v1::{Environment, EnvironmentStatus};
use serde::Serialize;

use super::word;
use crate::output::{Align, Columns, rfc3339, stamp};

/// `env list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct EnvironmentList(Vec<EnvironmentView>);

/// One environment in a list.
#[derive(Debug, Serialize)]
pub(crate) struct EnvironmentView {
    pub(super) app: String,
    pub(super) name: String,
    pub(super) status: String,
    pub(super) active_release: String,
    pub(super) loaded_releases: u32,
    pub(super) ssl_certificate: String,
    pub(super) protected: bool,
    pub(super) created: Option<String>,
    pub(super) updated: Option<String>,
    #[serde(skip)]
    pub(super) created_text: String,
    #[serde(skip)]
    pub(super) updated_text: String,
}

impl From<&Environment> for EnvironmentView {
    fn from(environment: &Environment) -> Self {
        Self {
            app: environment.app.clone(),
            name: environment.name.clone(),
            status: word(
                environment.status,
                "ENVIRONMENT_STATUS_",
                EnvironmentStatus::as_str_name,
            ),
            active_release: environment.active_release.clone(),
            loaded_releases: environment.loaded_releases,
            ssl_certificate: environment.certificate.clone(),
            protected: environment.protected,
            created: rfc3339(environment.created.as_ref()),
            updated: rfc3339(environment.updated.as_ref()),
            created_text: stamp(environment.created.as_ref()),
            updated_text: stamp(environment.updated.as_ref()),
        }
    }
}

impl EnvironmentList {
    pub(crate) fn new(environments: &[Environment]) -> Self {
        Self(environments.iter().map(EnvironmentView::from).collect())
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Columns::new(&[
            ("name", Align::Left),
            ("status", Align::Left),
            ("release", Align::Left),
            ("releases", Align::Right),
            ("certificate", Align::Left),
            ("created", Align::Left),
            ("updated", Align::Left),
        ]);
        for environment in &self.0 {
            table.row(vec![
                environment.name.clone(),
                environment.status.clone(),
                environment.active_release.clone(),
                environment.loaded_releases.to_string(),
                environment.ssl_certificate.clone(),
                environment.created_text.clone(),
                environment.updated_text.clone(),
            ]);
        }
        table.render()
    }
}
