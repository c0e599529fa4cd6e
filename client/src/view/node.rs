use std::collections::BTreeMap;

use fleet_proto::v1::{
    Capability, CapabilityLevel, IngressState, Node, NodeDescription, NodeRole, NodeState, RaftRole,
};
use serde::Serialize;

use super::word;
use crate::output::{Align, Block, Columns, escape, rfc3339, stamp};

/// `node list`.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct NodeList(Vec<NodeView>);

#[derive(Debug, Serialize)]
struct NodeView {
    id: u64,
    name: String,
    address: String,
    state: String,
    roles: Vec<String>,
    raft_role: String,
    frontends: u32,
    version: String,
    labels: BTreeMap<String, String>,
    /// "promoted", "demoted", or empty: as the cluster finds best.
    vote: String,
    last_seen: Option<String>,
    joined: Option<String>,
    #[serde(skip)]
    last_seen_text: String,
    #[serde(skip)]
    joined_text: String,
}

impl From<&Node> for NodeView {
    fn from(node: &Node) -> Self {
        let role = |role: &i32| word(*role, "NODE_ROLE_", NodeRole::as_str_name).to_lowercase();
        Self {
            id: node.id,
            name: node.name.clone(),
            address: node.address.clone(),
            state: word(node.state, "NODE_STATE_", NodeState::as_str_name),
            roles: node.roles.iter().map(role).collect(),
            raft_role: word(node.raft_role, "RAFT_ROLE_", RaftRole::as_str_name).to_lowercase(),
            frontends: node.frontends,
            version: node.version.clone(),
            labels: node.labels.clone(),
            vote: node.vote.clone(),
            last_seen: rfc3339(node.last_seen.as_ref()),
            joined: rfc3339(node.joined.as_ref()),
            last_seen_text: stamp(node.last_seen.as_ref()),
            joined_text: stamp(node.joined.as_ref()),
        }
    }
}

impl NodeList {
    pub(crate) fn new(nodes: &[Node]) -> Self {
        Self(nodes.iter().map(NodeView::from).collect())
    }

    pub(crate) fn text(&self) -> String {
        let mut table = Columns::new(&[
            ("id", Align::Right),
            ("name", Align::Left),
            ("state", Align::Left),
            ("raft", Align::Left),
            ("roles", Align::Left),
            ("frontends", Align::Right),
            ("address", Align::Left),
            ("last seen", Align::Left),
        ]);
        for node in &self.0 {
            table.row(vec![
                node.id.to_string(),
                node.name.clone(),
                node.state.clone(),
                node.raft_role.clone(),
                node.roles.join(", "),
                node.frontends.to_string(),
                node.address.clone(),
                node.last_seen_text.clone(),
            ]);
        }
        table.render()
    }
}

/// `node describe`.
#[derive(Debug, Serialize)]
pub(crate) struct NodeDescriptionView {
    #[serde(flatten)]
    node: NodeView,
    hostname: String,
    architecture: String,
    kernel: String,
    advertise_host: String,
    cpu_millicores: u32,
    cpu_millicores_placed: u32,
    memory_bytes: u64,
    memory_bytes_placed: u64,
    capabilities: Vec<CapabilityView>,
    ingress: Option<IngressView>,
    problems: Vec<String>,
    /// Of a node that is drained: what is left on it, and what that waits for.
    left: Vec<String>,
    drain_until: Option<String>,
    #[serde(skip)]
    drain_until_text: String,
    certificate_expires: Option<String>,
    #[serde(skip)]
    certificate_until: String,
}

#[derive(Debug, Serialize)]
struct CapabilityView {
    name: String,
    level: String,
    text: String,
}

#[derive(Debug, Serialize)]
struct IngressView {
    applied_generation: u64,
    connected: bool,
    listen: Vec<String>,
    last_seen: Option<String>,
}

impl From<&Capability> for CapabilityView {
    fn from(capability: &Capability) -> Self {
        let level = word(
            capability.level,
            "CAPABILITY_LEVEL_",
            CapabilityLevel::as_str_name,
        )
        .to_lowercase();
        Self {
            name: capability.name.clone(),
            level,
            text: capability.text.clone(),
        }
    }
}

impl From<&IngressState> for IngressView {
    fn from(ingress: &IngressState) -> Self {
        Self {
            applied_generation: ingress.applied_generation,
            connected: ingress.connected,
            listen: ingress.listen.clone(),
            last_seen: rfc3339(ingress.last_seen.as_ref()),
        }
    }
}

impl From<&NodeDescription> for NodeDescriptionView {
    fn from(description: &NodeDescription) -> Self {
        Self {
            node: NodeView::from(&description.node.clone().unwrap_or_default()),
            hostname: description.hostname.clone(),
            architecture: description.architecture.clone(),
            kernel: description.kernel.clone(),
            advertise_host: description.advertise_host.clone(),
            cpu_millicores: description.cpu_millicores,
            cpu_millicores_placed: description.cpu_millicores_placed,
            memory_bytes: description.memory_bytes,
            memory_bytes_placed: description.memory_bytes_placed,
            capabilities: description
                .capabilities
                .iter()
                .map(CapabilityView::from)
                .collect(),
            ingress: description.ingress.as_ref().map(IngressView::from),
            problems: description.problems.clone(),
            left: description.left.clone(),
            drain_until: rfc3339(description.drain_until.as_ref()),
            drain_until_text: stamp(description.drain_until.as_ref()),
            certificate_expires: rfc3339(description.certificate_expires.as_ref()),
            certificate_until: stamp(description.certificate_expires.as_ref()),
        }
    }
}

impl NodeDescriptionView {
    pub(crate) fn text(&self) -> String {
        let mut out = self.properties().render();
        let mut ladder = Block::default();
        for capability in &self.capabilities {
            ladder.row(
                &capability.name,
                format!("{}: {}", capability.level, capability.text),
            );
        }
        if !ladder.is_empty() {
            out.push_str(&format!("\nCapabilities:\n{}", ladder.render()));
        }
        if !self.left.is_empty() {
            out.push_str("\nLeft on it:\n");
            self.left
                .iter()
                .for_each(|left| out.push_str(&format!(" - {}\n", escape(left))));
        }
        if !self.problems.is_empty() {
            out.push_str("\nProblems:\n");
            self.problems
                .iter()
                .for_each(|p| out.push_str(&format!(" - {}\n", escape(p))));
        }
        out
    }

    fn properties(&self) -> Block {
        let node = &self.node;
        let labels: Vec<String> = node
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        let (cpu, memory) = (self.cpu_millicores_placed, self.memory_bytes_placed >> 20);
        let mut block = Block::default();
        block.row("id", node.id.to_string());
        block.row("name", &*node.name);
        block.row("state", &*node.state);
        block.row("roles", node.roles.join(", "));
        if self.drain_until.is_some() {
            block.row("deadline", &*self.drain_until_text);
        }
        let wish = match node.vote.as_str() {
            "" => String::new(),
            wish => format!(" ({wish})"),
        };
        block.row("raft", format!("{}{wish}", node.raft_role));
        block.row("address", &*node.address);
        block.row("frontends reached at", &*self.advertise_host);
        block.row("labels", labels.join(", "));
        let about = [&*self.kernel, &*self.architecture];
        let about: Vec<&str> = about.into_iter().filter(|word| !word.is_empty()).collect();
        block.row("host", format!("{} ({})", self.hostname, about.join(", ")));
        block.row("version", &*node.version);
        block.row("joined", &*node.joined_text);
        block.row("last seen", &*node.last_seen_text);
        block.row("certificate until", &*self.certificate_until);
        block.row("frontends", node.frontends.to_string());
        block.row(
            "cpu",
            format!("{cpu} of {} millicores placed", self.cpu_millicores),
        );
        block.row(
            "memory",
            format!("{memory} of {} MiB placed", self.memory_bytes >> 20),
        );
        if let Some(ingress) = &self.ingress {
            let session = if ingress.connected {
                ""
            } else {
                ", not connected"
            };
            let listen = ingress.listen.join(", ");
            let generation = ingress.applied_generation;
            block.row(
                "ingress",
                format!("{listen}, route generation {generation}{session}"),
            );
        }
        block
    }
}
