//! What is asked of a node through the public API.

use fleet_model::{Command, State, command::NodeChange, ids::NodeId};
use fleet_proto::v1::{self, WaitGoal};
use tonic::{Response, Status};

use super::{Api, resolve};
use crate::control::{
    api::{ACTOR, request_id},
    refusal::{refused, unread},
};

impl Api {
    /// Commits a change and answers with its receipt.
    pub(super) async fn change(
        &self,
        request: &str,
        asked: &str,
        change: NodeChange,
    ) -> Result<v1::Receipt, Status> {
        let id = request_id(request)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let node = named(&state, asked)?;
        let wait = matches!(change, NodeChange::Drain { .. }).then(|| v1::WaitTarget {
            goal: WaitGoal::NodeDrained.into(),
            node: node.to_string(),
            since_index: state.index,
            ..v1::WaitTarget::default()
        });
        let command = Command::ChangeNode { node, change };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        Ok(v1::Receipt {
            log_index: outcome.index,
            repeated_request: outcome.repeated,
            wait,
            ..v1::Receipt::default()
        })
    }

    pub(super) async fn moves(&self, asked: v1::SetMovesRequest) -> Result<v1::Receipt, Status> {
        let id = request_id(&asked.request_id)?;
        let command = Command::SetMoves {
            per_minute: asked.per_minute,
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        Ok(v1::Receipt {
            log_index: outcome.index,
            repeated_request: outcome.repeated,
            ..v1::Receipt::default()
        })
    }

    pub(super) async fn changed(
        &self,
        asked: v1::ChangeNodeRequest,
        change: NodeChange,
    ) -> Result<Response<v1::ChangeNodeResponse>, Status> {
        let receipt = self.change(&asked.request_id, &asked.node, change).await?;
        Ok(answered(receipt))
    }
}

pub(super) fn answered(receipt: v1::Receipt) -> Response<v1::ChangeNodeResponse> {
    Response::new(v1::ChangeNodeResponse {
        receipt: Some(receipt),
    })
}

/// A removed node cannot be found by its name; by its id the answer of a first request can.
fn named(state: &State, asked: &str) -> Result<NodeId, Status> {
    match (asked.parse(), resolve::node(state, asked)) {
        (_, Ok(node)) => Ok(node),
        (Ok(id), Err(_)) => Ok(NodeId(id)),
        (Err(_), Err(status)) => Err(status),
    }
}
