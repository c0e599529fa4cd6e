//! Sessions of workers and ingresses with the leader.
//!
//! A session lives as long as the leadership it was opened under: a node that no longer leads ends
//! its sessions and names the leader, if it knows one.

mod ingress;
mod worker;

use std::sync::Arc;

use fleet_model::{State, ids::NodeId, node::Role};
use fleet_proto::internal::{
    ingress_sessions_server::IngressSessionsServer, worker_sessions_server::WorkerSessionsServer,
};
use fleet_trust::Caller;
use tonic::{Request, Status, metadata::MetadataValue};

use super::{
    Context,
    guard::{impostor, stranger},
};
use crate::consensus::Leadership;

/// Metadata that names the leader in a refusal.
const LEADER: &str = "fleet-leader";

/// How many orders may wait for a slow receiver before the session rests.
const QUEUE: usize = 16;

pub(super) fn workers(context: Arc<Context>) -> WorkerSessionsServer<worker::Sessions> {
    WorkerSessionsServer::new(worker::Sessions(context))
        .max_decoding_message_size(super::server::LARGEST_MESSAGE)
}

pub(super) fn ingresses(context: Arc<Context>) -> IngressSessionsServer<ingress::Sessions> {
    IngressSessionsServer::new(ingress::Sessions(context))
        .max_decoding_message_size(super::server::LARGEST_MESSAGE)
}

/// The term this node leads in, or the refusal that says who leads.
fn leading(context: &Context) -> Result<u64, Status> {
    let leadership = context.consensus.leadership().borrow().clone();
    if leadership.is_self {
        return Ok(leadership.term);
    }
    Err(not_leading(&leadership))
}

fn not_leading(leadership: &Leadership) -> Status {
    let mut status = Status::failed_precondition("this node does not lead");
    let address = leadership
        .leader
        .as_ref()
        .filter(|_| !leadership.is_self)
        .and_then(|peer| MetadataValue::try_from(&peer.address).ok());
    if let Some(address) = address {
        status.metadata_mut().insert(LEADER, address);
    }
    status
}

/// Resolves with the refusal to end a session with, once this node no longer leads in `term`.
async fn deposed(context: &Context, term: u64) -> Status {
    let mut leadership = context.consensus.leadership();
    let lost = leadership.wait_for(|l| !l.is_self || l.term != term).await;
    match lost {
        Ok(leadership) => not_leading(&leadership),
        Err(_) => Status::unavailable("this node is stopping"),
    }
}

/// Resolves with the refusal to end a session with, once its node was removed from the cluster.
async fn removed(context: &Context, node: NodeId) -> Status {
    let mut states = context.state.clone();
    match states.wait_for(|state| !state.may_call(node)).await {
        Ok(state) => stranger(&state, node),
        Err(_) => Status::unavailable("this node is stopping"),
    }
}

/// Whose certificate a session was opened with. The guard lets nobody come so far without one.
fn shown<M>(request: &Request<M>) -> Result<u64, Status> {
    let peer = request.extensions().get::<Caller>();
    peer.and_then(|caller| caller.peer.as_ref())
        .map(|peer| peer.name.node)
        .ok_or_else(|| Status::unauthenticated("a session needs the certificate of a node"))
}

/// Checks that whoever says hello is who its certificate says and who the cluster knows.
fn admit(
    context: &Context,
    state: &State,
    shown: u64,
    cluster: &str,
    node: u64,
    role: Role,
) -> Result<NodeId, Status> {
    if cluster != context.node.identity.cluster_id {
        return Err(Status::permission_denied(format!(
            "this is cluster {}, not {cluster}",
            context.node.identity.cluster_id
        )));
    }
    if node != shown {
        return Err(impostor(shown));
    }
    let id = NodeId(node);
    match state.nodes.get(&id) {
        None => Err(stranger(state, id)),
        Some(known) if !known.has(role) => Err(Status::permission_denied(format!(
            "node {} does not have the role {}",
            known.name,
            role.as_str()
        ))),
        Some(_) => Ok(id),
    }
}
