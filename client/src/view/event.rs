use fleet_proto::v1::Event;
use serde::Serialize;

use crate::output::{escape, rfc3339, to_the_second};

/// One line of `events`.
#[derive(Debug, Serialize)]
pub(crate) struct EventView {
    log_index: u64,
    ordinal: u32,
    at: Option<String>,
    kind: String,
    actor: String,
    text: String,
    app: String,
    environment: String,
    release: String,
    node_id: u64,
    frontend: String,
    #[serde(skip)]
    at_text: String,
}

impl From<&Event> for EventView {
    fn from(event: &Event) -> Self {
        Self {
            log_index: event.log_index,
            ordinal: event.ordinal,
            at: rfc3339(event.at.as_ref()),
            kind: event.kind.clone(),
            actor: event.actor.clone(),
            text: event.text.clone(),
            app: event.app.clone(),
            environment: event.environment.clone(),
            release: event.release.clone(),
            node_id: event.node_id,
            frontend: event.frontend.clone(),
            at_text: to_the_second(event.at.as_ref()),
        }
    }
}

impl EventView {
    /// `2019-01-01T00:00:49Z app/environment text`, by whom in brackets.
    pub(crate) fn line(&self) -> String {
        let scope = match (self.app.as_str(), self.environment.as_str()) {
            ("", _) => "cluster".to_owned(),
            (app, "") => app.to_owned(),
            (app, environment) => format!("{app}/{environment}"),
        };
        let actor = if self.actor.is_empty() {
            String::new()
        } else {
            format!(" [{}]", self.actor)
        };
        let line = format!("{} {scope} {}{actor}", self.at_text, self.text);
        escape(&line) + "\n"
    }
}
