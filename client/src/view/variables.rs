use std::collections::BTreeMap;

use fleet_proto::v1::{ChangeVariablesResponse, ListVariablesResponse};
use serde::Serialize;

use crate::output::escape;

/// Bare `env`.
#[derive(Debug, Serialize)]
pub(crate) struct VariablesView {
    app: String,
    environment: String,
    release_id: String,
    variables: BTreeMap<String, String>,
}

impl From<&ListVariablesResponse> for VariablesView {
    fn from(answer: &ListVariablesResponse) -> Self {
        Self {
            app: answer.app.clone(),
            environment: answer.environment.clone(),
            release_id: answer.release_id.clone(),
            variables: answer.variables.clone(),
        }
    }
}

impl VariablesView {
    pub(crate) fn text(&self) -> String {
        let line = |(name, value): (&String, &String)| escape(&format!("{name}={value}")) + "\n";
        self.variables.iter().map(line).collect()
    }
}

/// End of `env set` and `env unset`, after `Setting FOO... `.
#[derive(Debug, Serialize)]
pub(crate) struct VariableChangeView {
    app: String,
    environment: String,
    release_id: String,
    description: String,
    changed: bool,
    log_index: u64,
    notices: Vec<String>,
}

impl From<&ChangeVariablesResponse> for VariableChangeView {
    fn from(answer: &ChangeVariablesResponse) -> Self {
        let receipt = answer.receipt.clone().unwrap_or_default();
        Self {
            app: receipt.app,
            environment: receipt.environment,
            release_id: receipt.release_id,
            description: answer.description.clone(),
            changed: !receipt.unchanged,
            log_index: receipt.log_index,
            notices: receipt.notices,
        }
    }
}

impl VariableChangeView {
    pub(crate) fn text(&self) -> String {
        match self.release_id.as_str() {
            "" => "OK\n".to_owned(),
            id => format!("OK\nRelease: {}\n", escape(id)),
        }
    }
}
