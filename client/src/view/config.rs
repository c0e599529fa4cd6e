use fleet_proto::v1::ClusterConfig;
use serde::Serialize;

use crate::output::Block;

/// `config`.
#[derive(Debug, Serialize)]
pub(crate) struct ConfigView {
    default_environment: String,
    domain: String,
}

impl From<&ClusterConfig> for ConfigView {
    fn from(config: &ClusterConfig) -> Self {
        Self {
            default_environment: config.default_environment.clone(),
            domain: config.domain.clone(),
        }
    }
}

impl ConfigView {
    pub(crate) fn text(&self) -> String {
        let mut block = Block::default();
        block.row("default environment", &*self.default_environment);
        block.row("domain", &*self.domain);
        block.render()
    }
}
