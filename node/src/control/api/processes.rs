//! `fleet.v1.Processes`: frontends, one by one.

use std::sync::Arc;

use fleet_model::{
    State,
    frontend::{Desired, Frontend, Phase},
    manifest::Run,
    plan::placement::capacity,
};
use fleet_proto::v1::{self, ProcessStatus, processes_server::Processes};
use tonic::{Request, Response, Status};

use super::{instant, message, page, resolve};
use crate::control::{Context, refusal::unread};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Processes for Api {
    async fn list(
        &self,
        request: Request<v1::ListProcessesRequest>,
    ) -> Result<Response<v1::ListProcessesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let environment = match asked.environment.as_str() {
            "" => None,
            name => Some(resolve::environment(&state, app.as_str(), name)?),
        };
        let release = match (&environment, asked.release.as_str()) {
            (_, "") => None,
            (Some(key), release) => Some(resolve::loaded(&state, key, release)?.release),
            (None, release) => {
                let key = resolve::environment_or_default(&state, app.as_str(), "")?;
                Some(resolve::loaded(&state, &key, release)?.release)
            }
        };
        let wanted = |frontend: &&Frontend| {
            let key = &frontend.loaded.environment;
            key.app == app
                && environment
                    .as_ref()
                    .is_none_or(|environment| key == environment)
                && release
                    .as_ref()
                    .is_none_or(|release| frontend.loaded.release == *release)
                && (asked.service.is_empty() || frontend.service.as_str() == asked.service)
        };
        let mut rows: Vec<(String, v1::Process)> = state
            .frontends
            .values()
            .filter(wanted)
            .map(|frontend| (sort_key(frontend), process(&state, frontend)))
            .collect();
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (processes, next_page_token) =
            page::cut(rows.into_iter(), asked.page_size, &asked.page_token);
        Ok(Response::new(v1::ListProcessesResponse {
            processes,
            next_page_token,
        }))
    }
}

/// By environment, release, service and slot; an id at the end makes it unique.
fn sort_key(frontend: &Frontend) -> String {
    format!(
        "{}\u{1}{}\u{1}{}\u{1}{:05}\u{1}{}",
        frontend.loaded.environment.name,
        frontend.loaded.release,
        frontend.service,
        frontend.slot,
        page::key(frontend.id.0)
    )
}

fn process(state: &State, frontend: &Frontend) -> v1::Process {
    let loaded = state.loaded.get(&frontend.loaded);
    let service = loaded.and_then(|l| l.manifest.services.get(&frontend.service));
    let started = frontend.observed.pid.is_some() && frontend.observed.phase >= Phase::Starting;
    let requests = capacity::request(state, &frontend.loaded, &frontend.service);
    v1::Process {
        id: frontend.name(),
        app: frontend.loaded.environment.app.to_string(),
        environment: frontend.loaded.environment.name.to_string(),
        service: frontend.service.to_string(),
        status: status(frontend).into(),
        release: loaded.map(|loaded| loaded.name.clone()).unwrap_or_default(),
        release_id: frontend.loaded.release.to_string(),
        started: started.then(|| instant(frontend.placed)),
        command: service
            .and_then(|service| service.command.as_ref())
            .map(Run::to_string)
            .unwrap_or_default(),
        node_id: frontend.node.0,
        node: state
            .nodes
            .get(&frontend.node)
            .map(|n| n.name.clone())
            .unwrap_or_default(),
        slot: frontend.slot,
        incarnation: u32::try_from(frontend.incarnation).unwrap_or(u32::MAX),
        address: frontend.observed.address.clone().unwrap_or_default(),
        reason: frontend.observed.reason.clone(),
        cpu_millicores: requests.cpu_millicores.unwrap_or(0),
        memory_bytes: requests.memory_bytes.unwrap_or(0),
    }
}

fn status(frontend: &Frontend) -> ProcessStatus {
    match (frontend.observed.phase, frontend.desired) {
        (Phase::Failed, _) => ProcessStatus::Failed,
        (Phase::Stopped, _) => ProcessStatus::Complete,
        (Phase::Lost, _) => ProcessStatus::Lost,
        (Phase::Stopping, _) | (_, Desired::Withdrawn { .. } | Desired::Stop) => {
            ProcessStatus::Stopping
        }
        (Phase::Assigned | Phase::Fetching, _) => ProcessStatus::Pending,
        (Phase::Starting, _) => ProcessStatus::Starting,
        (Phase::Healthy, _) => ProcessStatus::Running,
        (Phase::Unhealthy, _) => ProcessStatus::Unhealthy,
    }
}
