//! Founding a cluster with this node as its first.

use std::sync::Arc;
use std::time::SystemTime;

use fleet_model::node::Role;
use fleet_trust::{Authority, NodeKey, Seal};

use super::Agent;
use super::change::{ChangeError, become_member};
use crate::config::{FirstStart, Identity, IdentityError, Node};
use crate::trust::{AUTHORITY_KEY, Certified, Founding, write_cluster_key, write_operator_token};

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
    let (certified, authority) = certify(agent, &identity, &Seal::generate())?;
    become_member(
        agent,
        identity,
        &certified,
        &[authority.certificate().clone()],
        control,
        FirstStart::Bootstrap,
    )
}

/// Makes the authority of the cluster, this node's certificate, and what goes with them. The key of
/// the authority is sealed before it is written: control puts it into the replicated state. `seal` is
/// the cluster's key from now on.
pub(super) fn certify(
    agent: &Agent,
    identity: &Identity,
    seal: &Seal,
) -> Result<(Certified, Authority), ChangeError> {
    let now = SystemTime::now();
    let authority = Authority::found(&identity.cluster_id, now)?;
    let key = NodeKey::generate().map_err(fleet_trust::AuthorityError::from)?;
    let roles = identity.roles.iter().cloned();
    let signed = authority.sign(identity.node_id, roles, &key.public(), now)?;
    let sealed_key = seal.seal(AUTHORITY_KEY, &authority.to_pkcs8());
    write_cluster_key(&agent.paths, seal)?;
    write_operator_token(&agent.paths, &operator_token())?;
    Founding::new(authority.certificate(), &sealed_key).write(&agent.paths)?;
    let certified = Certified {
        certificate: signed.certificate,
        key,
        begins: signed.begins,
        expires: signed.expires,
    };
    Ok((certified, authority))
}

/// 256 random bits.
fn operator_token() -> String {
    let bytes: [u8; 32] = rand::random();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
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
