//! `fleet.internal.Membership`: nodes that join and leave.

mod leave;

use std::{collections::BTreeSet, sync::Arc};

use fleet_model::{Command, Detail, command::Registration, node::Role};
use fleet_proto::internal::{
    LeaveRequest, LeaveResponse, NodeRole, RegisterRequest, RegisterResponse,
    membership_server::Membership,
};
use tonic::{Request, Response, Status};

use super::{message, request_id};
use crate::control::{
    Context,
    context::control_addresses,
    refusal::{invalid, refused, unread},
};

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
        }))
    }

    async fn leave(
        &self,
        request: Request<LeaveRequest>,
    ) -> Result<Response<LeaveResponse>, Status> {
        self.let_go(message(request)).await.map(Response::new)
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
