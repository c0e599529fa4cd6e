use std::collections::BTreeMap;

use fleet_proto::v1::{ChangeVariablesResponse, ListVariablesResponse};
use serde::Serialize;

use super::{Masking, PromotionView};
use crate::output::escape;

/// Bare `env`.
#[derive(Debug, Serialize)]
pub(crate) struct VariablesView {
    app: String,
    environment: String,
    release_id: String,
    variables: BTreeMap<String, String>,
    masked: Vec<String>,
}

impl From<&ListVariablesResponse> for VariablesView {
    fn from(answer: &ListVariablesResponse) -> Self {
        Self {
            app: answer.app.clone(),
            environment: answer.environment.clone(),
            release_id: answer.release_id.clone(),
            variables: answer.variables.clone().into_iter().collect(),
            masked: answer.masked.clone(),
        }
    }
}

impl VariablesView {
    pub(crate) fn text(&self, masking: &Masking) -> String {
        let line = |(name, value): (&String, &String)| escape(&masking.pair(name, value)) + "\n";
        self.variables.iter().map(line).collect()
    }
}

/// `env set`, `env unset`, `env edit`.
#[derive(Debug, Serialize)]
pub(crate) struct VariableChangeView {
    app: String,
    environment: String,
    pub(crate) release_id: String,
    description: String,
    changed: bool,
    log_index: u64,
    notices: Vec<String>,
    pub(crate) promotion: Option<PromotionView>,
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
            promotion: None,
        }
    }
}
