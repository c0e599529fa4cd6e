use fleet_proto::v1::Receipt;
use serde::Serialize;

/// A promotion that was begun, and how it ended if that was awaited.
#[derive(Debug, Serialize)]
pub(crate) struct PromotionView {
    app: String,
    environment: String,
    release_id: String,
    /// The release that was copied, for a rollback.
    pub(crate) source_id: Option<String>,
    /// 0 when there was nothing to do.
    rollout: u64,
    /// It was under way before this command.
    attached: bool,
    changed: bool,
    log_index: u64,
    notices: Vec<String>,
    /// What it ended with; absent when it was not awaited.
    pub(crate) outcome: Option<String>,
}

impl PromotionView {
    pub(crate) fn begun(receipt: &Receipt, attached: bool) -> Self {
        Self {
            app: receipt.app.clone(),
            environment: receipt.environment.clone(),
            release_id: receipt.release_id.clone(),
            source_id: None,
            rollout: receipt.wait.as_ref().map_or(0, |wait| wait.rollout),
            attached,
            changed: !receipt.unchanged,
            log_index: receipt.log_index,
            notices: receipt.notices.clone(),
            outcome: None,
        }
    }
}
