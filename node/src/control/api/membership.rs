//! `fleet.internal.Membership`: nodes that join and leave.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use fleet_model::{
    Command, Detail,
    command::Registration,
    ids::{NodeId, RequestId},
    node::Role,
};
use fleet_proto::internal::{
    LeaveRequest, LeaveResponse, NodeRole, RegisterRequest, RegisterResponse,
    membership_server::Membership,
};
use tonic::{Request, Response, Status};

use super::{message, request_id};
use crate::control::{
    Context,
    context::control_addresses,
    refusal::{detail, invalid, refused, unread, with_detail},
};

/// How long a leaving node's frontends may take to be replaced elsewhere.
const DRAIN: Duration = Duration::from_secs(300);

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Membership for Api {
    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let roles: BTreeSet<Role> = asked.roles().filter_map(role).collect();
        if roles.is_empty() {
            return Err(invalid(
                "a node needs a role",
                "control, worker, ingress: all three by default",
            ));
        }
        let actor = format!("node {}", asked.name);
        let command = Command::RegisterNode(Registration {
            name: asked.name,
            address: asked.advertise,
            roles,
            labels: asked.labels,
            architecture: asked.architecture,
            id: None,
        });
        let outcome = self.0.ask(&id, &actor, &command).await.map_err(refused)?;
        let Detail::Node(node) = outcome.detail else {
            return Err(Status::internal("a node was answered with something else"));
        };
        let state = self.0.read(false).await.map_err(unread)?;
        Ok(Response::new(RegisterResponse {
            cluster_id: state.cluster.id.clone(),
            node_id: node.0,
            domain: state.cluster.domain.clone(),
            control_addresses: control_addresses(&state),
            cluster_name: state.cluster.name.clone(),
            generation: state.cluster.generation,
        }))
    }

    async fn leave(
        &self,
        request: Request<LeaveRequest>,
    ) -> Result<Response<LeaveResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let node = NodeId(asked.node_id);
        let draining = Command::SetDraining {
            node,
            draining: true,
        };
        // One request, two commands: each needs a name of its own.
        let first = RequestId(format!("{}+d", asked.request_id).into());
        self.0
            .ask(&first, "node", &draining)
            .await
            .map_err(refused)?;
        self.emptied(node).await?;
        let command = Command::RemoveNode { node };
        self.0.ask(&id, "node", &command).await.map_err(refused)?;
        Ok(Response::new(LeaveResponse {}))
    }
}

impl Api {
    /// Waits until no frontend is left on a node.
    async fn emptied(&self, node: NodeId) -> Result<(), Status> {
        let mut states = self.0.state.clone();
        let empty = states.wait_for(|state| state.frontends_on(node).next().is_none());
        match tokio::time::timeout(DRAIN, empty).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err(Status::unavailable("this node is stopping")),
            Err(_) => {
                let left = self.0.snapshot().frontends_on(node).count();
                Err(with_detail(
                    tonic::Code::FailedPrecondition,
                    &format!("{left} frontends could not be moved elsewhere in {DRAIN:?}"),
                    &detail("IN_USE", "fleet env describe says what they wait for"),
                ))
            }
        }
    }
}

fn role(role: NodeRole) -> Option<Role> {
    match role {
        NodeRole::Unspecified => None,
        NodeRole::Control => Some(Role::Control),
        NodeRole::Worker => Some(Role::Worker),
        NodeRole::Ingress => Some(Role::Ingress),
    }
}
