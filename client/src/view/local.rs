//! What the daemon of this machine answers.

use fleet_proto::v1::{InitResponse, JoinResponse, LocalProcess, LocalStatusResponse};
use serde::Serialize;

use crate::output::{Align, Block, Columns, escape, rfc3339, stamp};

/// `node init`. Shows the token: this is the one place where it is handed over.
#[derive(Debug, Serialize)]
pub(crate) struct FoundedView {
    cluster_id: String,
    node_id: u64,
    name: String,
    address: String,
    domain: String,
    ca_fingerprint: String,
    operator_token: String,
}

impl From<&InitResponse> for FoundedView {
    fn from(answer: &InitResponse) -> Self {
        Self {
            cluster_id: answer.cluster_id.clone(),
            node_id: answer.node_id,
            name: answer.name.clone(),
            address: answer.address.clone(),
            domain: answer.domain.clone(),
            ca_fingerprint: answer.authority.clone(),
            operator_token: answer.operator_token.clone(),
        }
    }
}

impl FoundedView {
    pub(crate) fn text(&self) -> String {
        let mut block = Block::default();
        block.row("cluster", &*self.cluster_id);
        block.row("node", format!("{} ({})", self.node_id, self.name));
        block.row("address", &*self.address);
        block.row("domain", &*self.domain);
        block.row("ca fingerprint", &*self.ca_fingerprint);
        block.row("operator token", &*self.operator_token);
        format!(
            "{}\nA token for the next machine: fleet node token create\n\
             On the next machine: fleet node join {} --token TOKEN\n",
            block.render(),
            escape(&self.address)
        )
    }
}

/// `node join`.
#[derive(Debug, Serialize)]
pub(crate) struct JoinedView {
    cluster_id: String,
    node_id: u64,
    name: String,
    address: String,
}

impl From<&JoinResponse> for JoinedView {
    fn from(answer: &JoinResponse) -> Self {
        Self {
            cluster_id: answer.cluster_id.clone(),
            node_id: answer.node_id,
            name: answer.name.clone(),
            address: answer.address.clone(),
        }
    }
}

impl JoinedView {
    pub(crate) fn text(&self) -> String {
        let line = format!(
            "Node {} ({}) has joined cluster {}",
            self.node_id, self.name, self.cluster_id
        );
        escape(&line) + "\n"
    }
}

/// `node status`. Without the token: it is looked at more often than it is needed.
#[derive(Debug, Serialize)]
pub(crate) struct LocalView {
    initialised: bool,
    cluster_id: String,
    node_id: u64,
    name: String,
    domain: String,
    addresses: Vec<String>,
    ca_fingerprints: Vec<String>,
    certificate_expires: Option<String>,
    #[serde(skip)]
    certificate_until: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    refused: String,
    version: String,
    data_dir: String,
    processes: Vec<LocalProcessView>,
}

#[derive(Debug, Serialize)]
struct LocalProcessView {
    name: String,
    pid: u32,
    state: String,
    restarts: u32,
}

impl From<&LocalProcess> for LocalProcessView {
    fn from(process: &LocalProcess) -> Self {
        Self {
            name: process.name.clone(),
            pid: process.pid,
            state: process.state.clone(),
            restarts: process.restarts,
        }
    }
}

impl From<&LocalStatusResponse> for LocalView {
    fn from(status: &LocalStatusResponse) -> Self {
        Self {
            initialised: status.initialised,
            cluster_id: status.cluster_id.clone(),
            node_id: status.node_id,
            name: status.name.clone(),
            domain: status.domain.clone(),
            addresses: status.addresses.clone(),
            ca_fingerprints: status.authorities.clone(),
            certificate_expires: rfc3339(status.certificate_expires.as_ref()),
            certificate_until: stamp(status.certificate_expires.as_ref()),
            refused: status.refused.clone(),
            version: status.version.clone(),
            data_dir: status.data_dir.clone(),
            processes: status
                .processes
                .iter()
                .map(LocalProcessView::from)
                .collect(),
        }
    }
}

impl LocalView {
    pub(crate) fn text(&self) -> String {
        let mut block = Block::default();
        if self.initialised {
            block.row("node", format!("{} ({})", self.node_id, self.name));
            block.row("cluster", &*self.cluster_id);
            block.row("domain", &*self.domain);
            block.row("addresses", self.addresses.join(", "));
            for fingerprint in &self.ca_fingerprints {
                block.row("ca fingerprint", &**fingerprint);
            }
            block.row("certificate until", &*self.certificate_until);
            if !self.refused.is_empty() {
                block.row("refused", &*self.refused);
            }
        } else {
            block.row(
                "node",
                "of no cluster: fleet node init, or fleet node join HOST:PORT",
            );
        }
        block.row("version", &*self.version);
        block.row("data", &*self.data_dir);
        let mut table = Columns::new(&[
            ("process", Align::Left),
            ("pid", Align::Right),
            ("state", Align::Left),
            ("restarts", Align::Right),
        ]);
        for process in &self.processes {
            table.row(vec![
                process.name.clone(),
                process.pid.to_string(),
                process.state.clone(),
                process.restarts.to_string(),
            ]);
        }
        format!("{}\nProcesses:\n{}", block.render(), table.render())
    }
}
