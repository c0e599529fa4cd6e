//! `fleet.v1.Services`: the entries of a manifest, as they run in an environment.

use std::sync::Arc;

use fleet_model::{
    Command, Detail, State,
    command::Scale,
    environment::{Environment, Loaded},
    ids::{EnvironmentKey, LoadedKey, ServiceName},
    manifest, reference, route,
};
use fleet_proto::v1::{self, ServiceStatus, WaitGoal, services_server::Services};
use tonic::{Request, Response, Status};

use super::{ACTOR, message, request_id, resolve};
use crate::control::{
    Context,
    context::Done,
    refusal::{refused, rejected, unread},
};

/// Where hosts are reached from outside: the ingress speaks HTTP.
const PUBLIC_PORT: u32 = 80;

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Services for Api {
    async fn list(
        &self,
        request: Request<v1::ListServicesRequest>,
    ) -> Result<Response<v1::ListServicesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let environment = reference::environment(&state, &key).map_err(|r| rejected(&r))?;
        let shown = shown(&state, environment);
        let services = shown.iter().flat_map(|(loaded_key, loaded)| {
            let services = loaded.manifest.services.iter();
            services.map(|(name, found)| {
                service(&state, environment, (loaded_key, loaded), name, found)
            })
        });
        Ok(Response::new(v1::ListServicesResponse {
            services: services.collect(),
            app: key.app.to_string(),
            environment: key.name.to_string(),
            release_id: shown
                .map(|(key, _)| key.release.to_string())
                .unwrap_or_default(),
        }))
    }

    async fn scale(
        &self,
        request: Request<v1::ScaleRequest>,
    ) -> Result<Response<v1::ServicesResponse>, Status> {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::Scale(Scale {
            environment: key.clone(),
            service: asked.service,
            count: asked.count,
            min: asked.min,
            max: asked.max,
            cpu_millicores: asked.cpu_millicores,
            memory_bytes: asked.memory_bytes,
        });
        // A change of size starts frontends anew; the goal knows both.
        self.ask(&asked.request_id, key, &command, WaitGoal::Restarted)
            .await
    }

    async fn restart(
        &self,
        request: Request<v1::RestartRequest>,
    ) -> Result<Response<v1::ServicesResponse>, Status> {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::Restart {
            environment: key.clone(),
            service: Some(asked.service).filter(|service| !service.is_empty()),
        };
        self.ask(&asked.request_id, key, &command, WaitGoal::Restarted)
            .await
    }
}

impl Api {
    async fn key(&self, app: &str, environment: &str) -> Result<EnvironmentKey, Status> {
        let state = self.0.read(false).await.map_err(unread)?;
        resolve::environment_or_default(&state, app, environment)
    }

    async fn ask(
        &self,
        request: &str,
        key: EnvironmentKey,
        command: &Command,
        goal: WaitGoal,
    ) -> Result<Response<v1::ServicesResponse>, Status> {
        let id = request_id(request)?;
        let outcome = self.0.ask(&id, ACTOR, command).await.map_err(refused)?;
        let receipt = receipt(&self.0.snapshot(), &key, &outcome, goal);
        Ok(Response::new(v1::ServicesResponse {
            receipt: Some(receipt),
        }))
    }
}

fn receipt(state: &State, key: &EnvironmentKey, outcome: &Done, goal: WaitGoal) -> v1::Receipt {
    let active = state.environments.get(key).and_then(|e| e.active.as_ref());
    let release_id = active.map(ToString::to_string).unwrap_or_default();
    let since = outcome.index.saturating_sub(1);
    // Nothing active: nothing was to do and there is nothing to wait for.
    let wait = matches!(outcome.detail, Detail::Done)
        .then(|| resolve::wait(goal, key, &release_id, 0, since))
        .filter(|wait| !wait.release.is_empty());
    v1::Receipt {
        wait,
        release_id,
        ..resolve::receipt(outcome, key)
    }
}

/// The release whose services are meant: the active one, else what was loaded last.
fn shown<'a>(
    state: &'a State,
    environment: &'a Environment,
) -> Option<(&'a LoadedKey, &'a Loaded)> {
    let active = environment.active.as_ref();
    // An active one before all others, then by age.
    state
        .loaded_in(&environment.key)
        .max_by_key(|(key, loaded)| (Some(&key.release) == active, loaded.loaded, &key.release))
}

fn service(
    state: &State,
    environment: &Environment,
    (key, loaded): (&LoadedKey, &Loaded),
    name: &ServiceName,
    service: &manifest::Service,
) -> v1::Service {
    let settings = &environment.settings;
    let by_hand = settings.scale.get(name).copied().unwrap_or_default();
    let bounds = loaded.bounds(name, settings);
    let desired = loaded.desired.get(name).copied().unwrap_or(0);
    let healthy = |f: &&fleet_model::frontend::Frontend| f.service == *name && f.healthy();
    let running = state.frontends_of(key).filter(healthy).count() as u32;
    let (cpu, memory) = (
        service.requests.cpu_millicores,
        service.requests.memory_bytes,
    );
    let rolling = state
        .rollouts
        .get(&environment.key)
        .is_some_and(|rollout| !rollout.phase.over());
    let status = match (rolling, running < desired) {
        (true, _) => ServiceStatus::Updating,
        (false, true) => ServiceStatus::Pending,
        (false, false) => ServiceStatus::Running,
    };
    let public = service.public();
    v1::Service {
        name: name.to_string(),
        domain: if public {
            route::endpoint(state, environment, name)
        } else {
            String::new()
        },
        ports: service
            .port
            .iter()
            .map(|port| v1::ServicePort {
                outside: if public { PUBLIC_PORT } else { 0 },
                inside: u32::from(port.number),
            })
            .collect(),
        desired,
        running,
        cpu_millicores: by_hand.cpu_millicores.or(cpu).unwrap_or_default(),
        memory_bytes: by_hand.memory_bytes.or(memory).unwrap_or_default(),
        gpu: 0,
        min: bounds.min,
        max: bounds.max,
        status: status.into(),
    }
}
