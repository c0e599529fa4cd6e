use fleet_proto::v1::{ClusterMember, ClusterStatusResponse, RaftRole};
use serde::Serialize;

use super::word;
use crate::output::{Align, Block, Columns, escape};

/// `cluster status`.
#[derive(Debug, Serialize)]
pub(crate) struct ClusterView {
    cluster_id: String,
    node_id: u64,
    leader_id: u64,
    leader_address: String,
    term: u64,
    committed_index: u64,
    applied_index: u64,
    snapshot_index: u64,
    state_hash: String,
    route_generation: u64,
    version: String,
    ca_fingerprints: Vec<String>,
    rotation: String,
    generation: u64,
    restored_from: String,
    members: Vec<MemberView>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct MemberView {
    node_id: u64,
    name: String,
    address: String,
    raft_role: String,
    matched_index: u64,
}

impl From<&ClusterMember> for MemberView {
    fn from(member: &ClusterMember) -> Self {
        Self {
            node_id: member.node_id,
            name: member.name.clone(),
            address: member.address.clone(),
            raft_role: word(member.raft_role, "RAFT_ROLE_", RaftRole::as_str_name).to_lowercase(),
            matched_index: member.matched_index,
        }
    }
}

impl From<&ClusterStatusResponse> for ClusterView {
    fn from(status: &ClusterStatusResponse) -> Self {
        Self {
            cluster_id: status.cluster_id.clone(),
            node_id: status.node_id,
            leader_id: status.leader_id,
            leader_address: status.leader_address.clone(),
            term: status.term,
            committed_index: status.committed_index,
            applied_index: status.applied_index,
            snapshot_index: status.snapshot_index,
            state_hash: status.state_hash.clone(),
            route_generation: status.route_generation,
            version: status.version.clone(),
            ca_fingerprints: status.authorities.clone(),
            rotation: status.rotation.clone(),
            generation: status.generation,
            restored_from: status.restored_from.clone(),
            members: status.members.iter().map(MemberView::from).collect(),
            problems: status.problems.clone(),
        }
    }
}

impl ClusterView {
    pub(crate) fn text(&self) -> String {
        let leader = match self.leader_id {
            0 => "none".to_owned(),
            id => format!("node {id} at {}", self.leader_address),
        };
        let mut block = Block::default();
        block.row("cluster", &*self.cluster_id);
        if !self.restored_from.is_empty() {
            block.row("restored from", format!("cluster {}", self.restored_from));
        }
        if self.generation > 0 {
            block.row("generation", self.generation.to_string());
        }
        block.row("leader", leader);
        block.row("term", self.term.to_string());
        block.row("committed", self.committed_index.to_string());
        block.row("applied", self.applied_index.to_string());
        block.row("snapshot", self.snapshot_index.to_string());
        block.row("state hash", &*self.state_hash);
        for fingerprint in &self.ca_fingerprints {
            block.row("ca fingerprint", &**fingerprint);
        }
        if !self.rotation.is_empty() {
            block.row("ca rotation", &*self.rotation);
        }
        block.row("route generation", self.route_generation.to_string());
        block.row(
            "answered by",
            format!("node {}, version {}", self.node_id, self.version),
        );
        let mut members = Columns::new(&[
            ("node", Align::Right),
            ("name", Align::Left),
            ("address", Align::Left),
            ("role", Align::Left),
            ("matched", Align::Right),
        ]);
        for member in &self.members {
            let matched = if member.matched_index == 0 {
                String::new()
            } else {
                member.matched_index.to_string()
            };
            members.row(vec![
                member.node_id.to_string(),
                member.name.clone(),
                member.address.clone(),
                member.raft_role.clone(),
                matched,
            ]);
        }
        let mut out = format!("{}\nMembers:\n{}", block.render(), members.render());
        if !self.problems.is_empty() {
            out.push_str("\nProblems:\n");
            self.problems
                .iter()
                .for_each(|p| out.push_str(&format!(" - {}\n", escape(p))));
        }
        out
    }
}
