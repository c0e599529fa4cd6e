//! `fleet.v1.Cluster`.

mod backup;

use std::sync::Arc;

use fleet_model::{Command, State, ids::EnvironmentName, node::Role};
use fleet_proto::v1::{self, cluster_server::Cluster};
use tonic::{Request, Response, Status};

use super::{ACTOR, message, request_id, resolve};
use crate::control::{
    Context,
    authority::fingerprints,
    codec, membership,
    refusal::{detail, refused, unread, with_detail},
};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Cluster for Api {
    async fn get_config(
        &self,
        request: Request<v1::GetConfigRequest>,
    ) -> Result<Response<v1::GetConfigResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let config = Some(config(&state, &asked.app)?);
        Ok(Response::new(v1::GetConfigResponse { config }))
    }

    async fn set_config(
        &self,
        request: Request<v1::SetConfigRequest>,
    ) -> Result<Response<v1::SetConfigResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        if asked.domain.is_some() {
            return Err(with_detail(
                tonic::Code::Unimplemented,
                "the domain of a cluster is chosen when it is made",
                &detail("NOT_IN_THIS_VERSION", "fleet node init --domain DOMAIN"),
            ));
        }
        let state = self.0.read(false).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let name = asked.default_environment.unwrap_or_default();
        let key = resolve::environment(&state, app.as_str(), &name)?;
        let environment: EnvironmentName = key.name.clone();
        let command = Command::SetDefaultEnvironment { app, environment };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let state = self.0.read(false).await.map_err(unread)?;
        Ok(Response::new(v1::SetConfigResponse {
            receipt: Some(resolve::receipt(&outcome, &key)),
            config: Some(config(&state, key.app.as_str())?),
        }))
    }

    async fn status(
        &self,
        _request: Request<v1::ClusterStatusRequest>,
    ) -> Result<Response<v1::ClusterStatusResponse>, Status> {
        let state = self.0.snapshot();
        let leadership = self.0.consensus.leadership().borrow().clone();
        let matched = self.0.consensus.members().matched;
        let member = |node: &fleet_model::node::Node| v1::ClusterMember {
            node_id: node.id.0,
            name: node.name.clone(),
            address: node.address.clone(),
            raft_role: membership::raft_role(&self.0, node.id).into(),
            matched_index: matched.get(&node.id.0).copied().unwrap_or_default(),
        };
        let members = state.nodes_with(Role::Control).map(member).collect();
        let hash = codec::hash(&state);
        let leader = leadership.leader;
        let problem = leader.is_none().then(|| "no control node leads".to_owned());
        let applied = *self.0.consensus.applied().borrow();
        Ok(Response::new(v1::ClusterStatusResponse {
            cluster_id: state.cluster.id.clone(),
            node_id: self.0.id().0,
            leader_id: leader.as_ref().map_or(0, |peer| peer.id),
            leader_address: leader.map(|peer| peer.address).unwrap_or_default(),
            term: leadership.term,
            committed_index: applied,
            applied_index: applied,
            snapshot_index: 0,
            state_hash: hash.iter().map(|byte| format!("{byte:02x}")).collect(),
            route_generation: state.generation,
            members,
            problems: problem.into_iter().collect(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            authorities: fingerprints(&state)
                .map(|(_, print)| print.to_string())
                .collect(),
            rotation: rotation(&state),
            generation: state.cluster.generation,
            restored_from: state
                .cluster
                .origin
                .map(|origin| origin.cluster)
                .unwrap_or_default(),
        }))
    }

    type BackupStream = backup::Parts;

    async fn backup(
        &self,
        request: Request<v1::BackupRequest>,
    ) -> Result<Response<Self::BackupStream>, Status> {
        let parts = backup::take(&self.0, message(request).with_artefacts).await?;
        Ok(Response::new(parts))
    }

    async fn set_backup_schedule(
        &self,
        request: Request<v1::SetBackupScheduleRequest>,
    ) -> Result<Response<v1::SetBackupScheduleResponse>, Status> {
        backup::set_schedule(&self.0, message(request)).await?;
        Ok(Response::new(v1::SetBackupScheduleResponse {}))
    }

    async fn list_backups(
        &self,
        request: Request<v1::ListBackupsRequest>,
    ) -> Result<Response<v1::ListBackupsResponse>, Status> {
        let state = self.0.read(message(request).stale).await.map_err(unread)?;
        Ok(Response::new(backup::list(&state)))
    }
}

/// How far the replacement of the authority is.
fn rotation(state: &State) -> String {
    let Some(rotation) = &state.trust.rotation else {
        return String::new();
    };
    let name = |id| state.nodes.get(id).map(|node| node.name.as_str());
    let awaited = state.rotation_awaits();
    let awaited: Vec<_> = awaited.iter().filter_map(name).collect();
    let stage = rotation.stage.as_str();
    match awaited.as_slice() {
        [] => format!("{stage}: every live node has gone along"),
        names => format!("{stage}: waiting for {}", names.join(", ")),
    }
}

fn config(state: &State, app: &str) -> Result<v1::ClusterConfig, Status> {
    let app = resolve::app(state, app)?;
    let default = state
        .apps
        .get(&app)
        .map(|app| app.default_environment.to_string());
    Ok(v1::ClusterConfig {
        default_environment: default.unwrap_or_default(),
        domain: state.cluster.domain.clone(),
    })
}
