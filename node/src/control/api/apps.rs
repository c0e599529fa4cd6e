//! `fleet.v1.Apps`.

use std::sync::Arc;

use fleet_model::{
    Command, State, app::App, environment::LoadedStatus, ids::AppName, rollout::Phase,
};
use fleet_proto::v1::{self, AppStatus, WaitGoal, apps_server::Apps};
use tonic::{Request, Response, Status};

use super::{ACTOR, instant, message, page, request_id, resolve};
use crate::control::{
    Context,
    refusal::{refused, unread},
};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Apps for Api {
    async fn create(
        &self,
        request: Request<v1::CreateAppRequest>,
    ) -> Result<Response<v1::CreateAppResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let command = Command::CreateApp {
            name: asked.name.clone(),
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let created = state
            .apps
            .values()
            .find(|app| app.name.as_str() == asked.name);
        Ok(Response::new(v1::CreateAppResponse {
            receipt: Some(v1::Receipt {
                log_index: outcome.index,
                repeated_request: outcome.repeated,
                app: asked.name.clone(),
                ..v1::Receipt::default()
            }),
            app: created.map(|created| app(&state, created)),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListAppsRequest>,
    ) -> Result<Response<v1::ListAppsResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let rows = state
            .apps
            .values()
            .map(|a| (a.name.to_string(), app(&state, a)));
        let (apps, next_page_token) = page::cut(rows, asked.page_size, &asked.page_token);
        Ok(Response::new(v1::ListAppsResponse {
            apps,
            next_page_token,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetAppRequest>,
    ) -> Result<Response<v1::GetAppResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let name = resolve::app(&state, &asked.app)?;
        let found = state.apps.get(&name).map(|found| app(&state, found));
        Ok(Response::new(v1::GetAppResponse { app: found }))
    }

    async fn delete(
        &self,
        request: Request<v1::DeleteAppRequest>,
    ) -> Result<Response<v1::DeleteAppResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        // A repeated request finds the app gone, but what it was answered first stands in the log.
        let name = match AppName::parse(&asked.app) {
            Ok(name) => name,
            Err(_) => resolve::app(&state, &asked.app)?,
        };
        let command = Command::DeleteApp { app: name.clone() };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        Ok(Response::new(v1::DeleteAppResponse {
            receipt: Some(v1::Receipt {
                log_index: outcome.index,
                repeated_request: outcome.repeated,
                app: name.to_string(),
                ..v1::Receipt::default()
            }),
        }))
    }

    async fn set_locked(
        &self,
        request: Request<v1::SetLockedRequest>,
    ) -> Result<Response<v1::SetLockedResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let command = Command::SetLocked {
            app: app.clone(),
            on: asked.on,
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        Ok(Response::new(v1::SetLockedResponse {
            receipt: Some(v1::Receipt {
                log_index: outcome.index,
                repeated_request: outcome.repeated,
                app: app.to_string(),
                ..v1::Receipt::default()
            }),
        }))
    }

    async fn cancel(
        &self,
        request: Request<v1::CancelRolloutRequest>,
    ) -> Result<Response<v1::CancelRolloutResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let environment = key.clone();
        let command = Command::CancelRollout { environment };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        Ok(Response::new(v1::CancelRolloutResponse {
            receipt: Some(resolve::of_release(&key, &outcome, WaitGoal::RolloutOver)),
        }))
    }
}

/// The platform whose manifests this version reads (surface.md, B).
const GENERATION: u32 = 3;

fn app(state: &State, app: &App) -> v1::App {
    let environments: Vec<_> = state.environments_of(&app.name).collect();
    let default = environments
        .iter()
        .find(|environment| environment.key.name == app.default_environment);
    let updated = environments
        .iter()
        .map(|environment| environment.updated)
        .max();
    v1::App {
        name: app.name.to_string(),
        status: status(state, app).into(),
        release_id: default
            .and_then(|environment| environment.active.as_ref())
            .map(ToString::to_string)
            .unwrap_or_default(),
        environments: environments
            .iter()
            .map(|e| e.key.name.to_string())
            .collect(),
        created: Some(instant(app.created)),
        updated: Some(instant(updated.unwrap_or(app.created))),
        locked: app.locked,
        generation: GENERATION,
        builds: state
            .builds
            .values()
            .filter(|build| build.app == app.name)
            .count() as u32,
    }
}

fn status(state: &State, app: &App) -> AppStatus {
    let mut status = AppStatus::Running;
    for environment in state.environments_of(&app.name) {
        match state.rollouts.get(&environment.key).map(|r| &r.phase) {
            Some(Phase::Reverting { .. }) => return AppStatus::Rollback,
            // The first release there did not come up, and there is none to return to.
            Some(Phase::Failed { .. }) if environment.active.is_none() => {
                status = AppStatus::Failed;
            }
            Some(phase) if !phase.over() => return AppStatus::Updating,
            _ => {}
        }
    }
    let loading = state.loaded.iter().any(|(key, loaded)| {
        key.environment.app == app.name && loaded.status == LoadedStatus::Loading
    });
    if loading { AppStatus::Updating } else { status }
}
