//! Founding a cluster with this node as its first.

use std::sync::Arc;

use fleet_model::node::Role;

use super::Agent;
use super::change::{ChangeError, become_member};
use crate::config::{FirstStart, Identity, IdentityError, Node, Secret};

/// Of the first node of every cluster.
const FIRST_NODE: u64 = 1;

/// Makes the node the first of a new cluster; empty `name` and `domain` leave what the settings
/// say. Repeated with the same arguments it answers the same.
pub(super) async fn found(
    agent: &Agent,
    name: &str,
    domain: &str,
) -> Result<Arc<Node>, ChangeError> {
    let _changing = agent.changing.lock().await;
    let settings = &agent.settings;
    let or = |given: &str, default: &str| match given {
        "" => default.to_owned(),
        given => given.to_owned(),
    };
    let (name, domain) = (or(name, &settings.name), or(domain, &settings.domain));
    if let Some(node) = agent.node.borrow().clone() {
        let same = node.identity.node_id == FIRST_NODE
            && node.identity.name == name
            && node.identity.domain == domain;
        return if same { Ok(node) } else { Err(taken(&node)) };
    }
    if !settings.roles.has(Role::Control) {
        return Err(ChangeError::NeedsControl);
    }
    let identity = Identity {
        version: Identity::VERSION,
        cluster_id: new_cluster_id(),
        cluster_name: settings.cluster_name.clone(),
        node_id: FIRST_NODE,
        name,
        domain,
        roles: settings
            .roles
            .iter()
            .map(|role| role.as_str().to_owned())
            .collect(),
        generation: 0,
    };
    let control = vec![settings.advertise.clone()];
    become_member(
        agent,
        identity,
        &Secret::generate(),
        control,
        FirstStart::Bootstrap,
    )
}

pub(super) fn taken(node: &Node) -> ChangeError {
    IdentityError::Taken {
        cluster_id: node.identity.cluster_id.clone(),
        node_id: node.identity.node_id,
    }
    .into()
}

/// 80 random bits: told apart by people from its first letters, by machines for ever.
pub(super) fn new_cluster_id() -> String {
    let bytes: [u8; 10] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
