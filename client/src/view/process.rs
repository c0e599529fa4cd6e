use fleet_proto::v1::{Instant, Process, ProcessStatus};
use serde::Serialize;

use super::word;
use crate::output::{Plain, ago, rfc3339};

/// `ps`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct ProcessList(Vec<ProcessView>);

#[derive(Debug, Serialize)]
struct ProcessView {
    id: String,
    app: String,
    environment: String,
    service: String,
    status: String,
    release: String,
    release_id: String,
    started: Option<String>,
    command: String,
    node_id: u64,
    node: String,
    slot: u32,
    incarnation: u32,
    address: String,
    reason: String,
    /// What it requests of its node; 0: nothing.
    cpu_millicores: u32,
    memory_bytes: u64,
    #[serde(skip)]
    started_at: Option<Instant>,
}

impl From<&Process> for ProcessView {
    fn from(process: &Process) -> Self {
        Self {
            id: process.id.clone(),
            app: process.app.clone(),
            environment: process.environment.clone(),
            service: process.service.clone(),
            status: word(
                process.status,
                "PROCESS_STATUS_",
                ProcessStatus::as_str_name,
            )
            .to_lowercase(),
            release: process.release.clone(),
            release_id: process.release_id.clone(),
            started: rfc3339(process.started.as_ref()),
            command: process.command.clone(),
            node_id: process.node_id,
            node: process.node.clone(),
            slot: process.slot,
            incarnation: process.incarnation,
            address: process.address.clone(),
            reason: process.reason.clone(),
            cpu_millicores: process.cpu_millicores,
            memory_bytes: process.memory_bytes,
            started_at: process.started,
        }
    }
}

impl ProcessList {
    pub(crate) fn new(processes: &[Process]) -> Self {
        Self(processes.iter().map(ProcessView::from).collect())
    }

    /// The predecessor's columns; JSON has environment and node too.
    pub(crate) fn text(&self, now_ms: u64) -> String {
        let header = ["ID", "SERVICE", "STATUS", "RELEASE", "STARTED", "COMMAND"];
        let mut table = Plain::new(&header);
        for process in &self.0 {
            table.row(vec![
                process.id.clone(),
                process.service.clone(),
                process.status.clone(),
                process.release_id.clone(),
                ago(process.started_at.as_ref(), now_ms),
                process.command.clone(),
            ]);
        }
        table.render()
    }
}
