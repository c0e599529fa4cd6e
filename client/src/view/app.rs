use fleet_proto::v1::{App, AppStatus};
use serde::Serialize;

use super::word;
use crate::output::{Plain, rfc3339};

/// `apps list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct AppList(Vec<AppView>);

/// `apps info`.
#[derive(Debug, Serialize)]
pub(crate) struct AppView {
    name: String,
    status: String,
    release_id: String,
    environments: Vec<String>,
    locked: bool,
    generation: u32,
    builds: u32,
    created: Option<String>,
    updated: Option<String>,
}

impl From<&App> for AppView {
    fn from(app: &App) -> Self {
        Self {
            name: app.name.clone(),
            status: word(app.status, "APP_STATUS_", AppStatus::as_str_name).to_lowercase(),
            release_id: app.release_id.clone(),
            environments: app.environments.clone(),
            locked: app.locked,
            generation: app.generation,
            builds: app.builds,
            created: rfc3339(app.created.as_ref()),
            updated: rfc3339(app.updated.as_ref()),
        }
    }
}

impl AppView {
    pub(crate) fn text(&self) -> String {
        let mut table = Plain::new(&[]);
        for (name, value) in [
            ("Name", self.name.clone()),
            ("Status", self.status.clone()),
            ("Generation", self.generation.to_string()),
            ("Locked", self.locked.to_string()),
            ("Release", self.release_id.clone()),
        ] {
            table.row(vec![name.to_owned(), value]);
        }
        table.render()
    }
}

impl AppList {
    pub(crate) fn new(apps: &[App]) -> Self {
        Self(apps.iter().map(AppView::from).collect())
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Plain::new(&["APP", "STATUS", "RELEASE"]);
        for app in &self.0 {
            table.row(vec![
                app.name.clone(),
                app.status.clone(),
                app.release_id.clone(),
            ]);
        }
        table.render()
    }
}
