//! `fleet.v1.Nodes`.

mod change;

use std::sync::Arc;

use fleet_model::{
    State,
    command::NodeChange,
    node::{Lease, Node, Role, Vote},
    plan::{drain, placement::capacity::Requested},
    time::Millis,
};
use fleet_proto::v1::{self, CapabilityLevel, NodeRole, NodeState, nodes_server::Nodes};
use tonic::{Request, Response, Status};

use super::{instant, message, page, resolve};
use crate::control::{Context, forward, membership, refusal::unread};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Nodes for Api {
    async fn list(
        &self,
        request: Request<v1::ListNodesRequest>,
    ) -> Result<Response<v1::ListNodesResponse>, Status> {
        let asked = message(request);
        // When a node was last heard is known to the leader alone.
        if !asked.stale
            && let Some(peer) = forward::leader(&self.0).await?
        {
            let mut client = v1::nodes_client::NodesClient::new(peer);
            return client.list(asked).await.map_err(forward::relayed);
        }
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let rows = state
            .nodes
            .values()
            .map(|n| (page::key(n.id.0), self.node(&state, n)));
        let (nodes, next_page_token) = page::cut(rows, asked.page_size, &asked.page_token);
        Ok(Response::new(v1::ListNodesResponse {
            nodes,
            next_page_token,
        }))
    }

    async fn describe(
        &self,
        request: Request<v1::DescribeNodeRequest>,
    ) -> Result<Response<v1::DescribeNodeResponse>, Status> {
        let asked = message(request);
        if !asked.stale
            && let Some(peer) = forward::leader(&self.0).await?
        {
            let mut client = v1::nodes_client::NodesClient::new(peer);
            return client.describe(asked).await.map_err(forward::relayed);
        }
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let id = resolve::node(&state, &asked.node)?;
        let found = state.nodes.get(&id);
        Ok(Response::new(v1::DescribeNodeResponse {
            description: found.map(|node| self.description(&state, node)),
        }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveNodeRequest>,
    ) -> Result<Response<v1::RemoveNodeResponse>, Status> {
        let asked = message(request);
        let change = NodeChange::Remove { force: asked.force };
        let receipt = self.change(&asked.request_id, &asked.node, change).await?;
        Ok(Response::new(v1::RemoveNodeResponse {
            receipt: Some(receipt),
        }))
    }

    async fn drain(
        &self,
        request: Request<v1::DrainNodeRequest>,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        let asked = message(request);
        let deadline = asked.deadline_ms.map(Millis);
        let change = NodeChange::Drain { deadline };
        let receipt = self.change(&asked.request_id, &asked.node, change).await?;
        Ok(change::answered(receipt))
    }

    async fn undrain(
        &self,
        request: Request<v1::ChangeNodeRequest>,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        self.changed(message(request), NodeChange::Undrain).await
    }

    async fn promote(
        &self,
        request: Request<v1::ChangeNodeRequest>,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        self.vote(message(request), Vote::Always).await
    }

    async fn demote(
        &self,
        request: Request<v1::ChangeNodeRequest>,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        self.vote(message(request), Vote::Never).await
    }

    async fn set_moves(
        &self,
        request: Request<v1::SetMovesRequest>,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        self.moves(message(request)).await.map(change::answered)
    }

    async fn set_labels(
        &self,
        request: Request<v1::SetNodeLabelsRequest>,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        let asked = message(request);
        let change = NodeChange::SetLabels {
            set: asked.set,
            unset: asked.unset.into_iter().collect(),
        };
        let receipt = self.change(&asked.request_id, &asked.node, change).await?;
        Ok(change::answered(receipt))
    }
}

impl Api {
    fn node(&self, state: &State, node: &Node) -> v1::Node {
        let facts = node.facts.as_ref();
        v1::Node {
            id: node.id.0,
            name: node.name.clone(),
            address: node.address.clone(),
            roles: node
                .roles
                .iter()
                .map(|role| role_of(*role).into())
                .collect(),
            state: state_of(node).into(),
            raft_role: membership::raft_role(&self.0, node.id).into(),
            last_seen: self.0.board.worker_heard(node.id).map(instant),
            joined: Some(instant(node.joined)),
            frontends: state.frontends_on(node.id).count() as u32,
            version: facts.map(|facts| facts.version.clone()).unwrap_or_default(),
            labels: node.labels.clone(),
            vote: match node.vote {
                Vote::Automatic => String::new(),
                wish => wish.as_str().to_owned(),
            },
        }
    }

    async fn vote(
        &self,
        asked: v1::ChangeNodeRequest,
        wish: Vote,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        let wish = if asked.undo { Vote::Automatic } else { wish };
        self.changed(asked, NodeChange::Vote(wish)).await
    }

    fn description(&self, state: &State, node: &Node) -> v1::NodeDescription {
        let facts = node.facts.clone().unwrap_or_default();
        let requested = Requested::on(state, node.id);
        let ingress = self.0.board.ingress_facts(node.id);
        let advisory = facts
            .capabilities
            .iter()
            .filter(|capability| !capability.enforced);
        v1::NodeDescription {
            node: Some(self.node(state, node)),
            hostname: node.name.clone(),
            architecture: node.architecture.clone(),
            kernel: String::new(),
            cpu_millicores: u32::try_from(facts.cpu_millicores).unwrap_or(u32::MAX),
            memory_bytes: facts.memory_bytes,
            cpu_millicores_placed: u32::try_from(requested.cpu_millicores).unwrap_or(u32::MAX),
            memory_bytes_placed: requested.memory_bytes,
            problems: advisory
                .map(|c| format!("{} is advisory: {}", c.name, c.detail))
                .collect(),
            capabilities: facts.capabilities.iter().map(capability).collect(),
            ingress: ingress.map(|(facts, connected)| v1::IngressState {
                applied_generation: facts.applied,
                connected,
                listen: Vec::new(),
                last_seen: Some(instant(facts.heard)),
            }),
            left: match node.draining {
                true => left(state, node),
                false => Vec::new(),
            },
            drain_until: node.drain_until.map(instant),
            certificate_expires: state
                .trust
                .held
                .get(&node.id)
                .map(|held| instant(held.expires)),
            advertise_host: node
                .address
                .rsplit_once(':')
                .map_or("", |(host, _)| host)
                .to_owned(),
        }
    }
}

fn left(state: &State, node: &Node) -> Vec<String> {
    let left = drain::left(state, node.id);
    left.iter().map(ToString::to_string).collect()
}

pub(super) fn role_of(role: Role) -> NodeRole {
    match role {
        Role::Control => NodeRole::Control,
        Role::Worker => NodeRole::Worker,
        Role::Ingress => NodeRole::Ingress,
    }
}

fn state_of(node: &Node) -> NodeState {
    match (node.draining, node.lease) {
        (_, Lease::Lost) => NodeState::Lost,
        (true, _) if node.leaving => NodeState::Leaving,
        (true, _) => NodeState::Draining,
        (_, Lease::New) => NodeState::Joining,
        (_, Lease::Ready) => NodeState::Ready,
        (_, Lease::Suspect) => NodeState::Suspect,
    }
}

fn capability(capability: &fleet_model::node::Capability) -> v1::Capability {
    let level = if capability.enforced {
        CapabilityLevel::Enforced
    } else {
        CapabilityLevel::Advisory
    };
    v1::Capability {
        name: capability.name.clone(),
        level: level.into(),
        text: capability.detail.clone(),
    }
}
