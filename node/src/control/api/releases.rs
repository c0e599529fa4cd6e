//! `fleet.v1.Releases`: what was made in an environment, and how it takes over there.

use std::sync::Arc;

use fleet_model::{
    Command, Detail, State,
    environment::Environment,
    ids::{EnvironmentKey, ReleaseId, RolloutId},
    reference,
    release::Release,
    rollout::Rollout,
};
use fleet_proto::v1::{self, WaitGoal, releases_server::Releases};
use tonic::{Request, Response, Status};

use super::{ACTOR, describe, instant, message, page, request_id, resolve};
use crate::control::{
    Context,
    context::Done,
    refusal::{refused, rejected, unread},
};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Releases for Api {
    async fn list(
        &self,
        request: Request<v1::ListReleasesRequest>,
    ) -> Result<Response<v1::ListReleasesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let environment = reference::environment(&state, &key).map_err(|r| rejected(&r))?;
        // Newest first, so the key counts down.
        let mut rows: Vec<(String, v1::Release)> = state
            .releases
            .values()
            .filter(|release| release.environment == key)
            .map(|found| {
                let age = page::key(u64::MAX - found.created.0);
                (
                    format!("{age}{}", found.id),
                    release(&state, environment, found),
                )
            })
            .collect();
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (releases, next_page_token) =
            page::cut(rows.into_iter(), asked.page_size, &asked.page_token);
        Ok(Response::new(v1::ListReleasesResponse {
            releases,
            next_page_token,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetReleaseRequest>,
    ) -> Result<Response<v1::GetReleaseResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let environment = reference::environment(&state, &key).map_err(|r| rejected(&r))?;
        let id =
            reference::release(&state, environment, &asked.release).map_err(|r| rejected(&r))?;
        let found = state.releases.get(&id);
        Ok(Response::new(v1::GetReleaseResponse {
            release: found.map(|found| in_full(&state, environment, found)),
        }))
    }

    async fn promote(
        &self,
        request: Request<v1::PromoteRequest>,
    ) -> Result<Response<v1::PromoteResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let named = Some(asked.release).filter(|release| !release.is_empty());
        if !asked.force
            && let Some(rollout) = seen_through(&state, &key, named.as_deref())?
        {
            return Ok(Response::new(attached(&state, &key, rollout)));
        }
        let before = state.rollouts.get(&key).map(|rollout| rollout.id);
        let command = Command::Promote {
            environment: key.clone(),
            reference: named,
            force: asked.force,
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let mut receipt = resolve::of_release(&key, &outcome, WaitGoal::Promoted);
        let mut attached = false;
        match &outcome.detail {
            // Somebody else asked for the same in this very moment.
            Detail::Rollout { id, .. } => attached = Some(*id) == before,
            _ => restarted(&state, &key, &outcome, &mut receipt),
        }
        Ok(Response::new(v1::PromoteResponse {
            receipt: Some(receipt),
            attached,
        }))
    }

    async fn rollback(
        &self,
        request: Request<v1::RollbackRequest>,
    ) -> Result<Response<v1::RollbackResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let command = Command::Rollback {
            environment: key.clone(),
            reference: Some(asked.release).filter(|release| !release.is_empty()),
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let Detail::RolledBack {
            source,
            copy,
            rollout,
        } = &outcome.detail
        else {
            return Err(Status::internal(
                "a rollback was answered with something else",
            ));
        };
        let since = outcome.index.saturating_sub(1);
        let wait = promoted(&key, copy, *rollout, since);
        Ok(Response::new(v1::RollbackResponse {
            receipt: Some(v1::Receipt {
                release_id: copy.to_string(),
                wait: Some(wait),
                ..resolve::receipt(&outcome, &key)
            }),
            source_id: source.to_string(),
        }))
    }

    async fn create_from(
        &self,
        request: Request<v1::CreateFromRequest>,
    ) -> Result<Response<v1::CreateFromResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let command = Command::CreateFrom {
            environment: key.clone(),
            build_from: asked.build_from,
            variables_from: asked.variables_from,
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let Detail::Release {
            release,
            description,
        } = &outcome.detail
        else {
            return Err(Status::internal(
                "a release was answered with something else",
            ));
        };
        Ok(Response::new(v1::CreateFromResponse {
            receipt: Some(v1::Receipt {
                release_id: release.to_string(),
                ..resolve::receipt(&outcome, &key)
            }),
            description: description.clone(),
        }))
    }
}

/// The promotion that is asked for again, if it is one: nothing has to be committed for it.
fn seen_through<'a>(
    state: &'a State,
    key: &EnvironmentKey,
    named: Option<&str>,
) -> Result<Option<&'a Rollout>, Status> {
    let environment = reference::environment(state, key).map_err(|r| rejected(&r))?;
    let wanted = match named {
        None => environment.newest.clone(),
        Some(named) => reference::release(state, environment, named).ok(),
    };
    let means = |rollout: &&Rollout| {
        wanted
            .as_ref()
            .is_some_and(|wanted| rollout.answers(wanted, environment.active.as_ref()))
    };
    Ok(state.rollouts.get(key).filter(means))
}

/// Nothing is committed: the rollout stands in the log already.
fn attached(state: &State, key: &EnvironmentKey, rollout: &Rollout) -> v1::PromoteResponse {
    let over = rollout.phase.over();
    let notice = if over {
        "it is active already; to start its frontends anew: --force"
    } else {
        "this rollout is under way already; what follows is the rest of it"
    };
    let wait = rollout
        .incoming
        .as_ref()
        .map(|release| promoted(key, release, rollout.id, 0));
    v1::PromoteResponse {
        receipt: Some(v1::Receipt {
            log_index: state.index,
            app: key.app.to_string(),
            environment: key.name.to_string(),
            release_id: wait.as_ref().map(|w| w.release.clone()).unwrap_or_default(),
            notices: vec![notice.to_owned()],
            unchanged: over,
            wait,
            ..v1::Receipt::default()
        }),
        attached: !over,
    }
}

/// Promoted by force although active: its frontends are replaced by new ones of the same release.
fn restarted(state: &State, key: &EnvironmentKey, outcome: &Done, receipt: &mut v1::Receipt) {
    let active = state.environments.get(key).and_then(|e| e.active.as_ref());
    receipt.release_id = active.map(ToString::to_string).unwrap_or_default();
    receipt.wait = Some(resolve::wait(
        WaitGoal::Restarted,
        key,
        &receipt.release_id,
        0,
        outcome.index.saturating_sub(1),
    ));
}

fn promoted(
    key: &EnvironmentKey,
    release: &ReleaseId,
    rollout: RolloutId,
    since: u64,
) -> v1::WaitTarget {
    resolve::wait(WaitGoal::Promoted, key, release.as_str(), rollout.0, since)
}

fn release(state: &State, environment: &Environment, release: &Release) -> v1::Release {
    let build = release.build.as_ref();
    v1::Release {
        id: release.id.to_string(),
        app: environment.key.app.to_string(),
        environment: environment.key.name.to_string(),
        build_id: build.map(ToString::to_string).unwrap_or_default(),
        build: describe::build_name(state, release),
        created: Some(instant(release.created)),
        description: release.description.clone(),
        active: environment.active.as_ref() == Some(&release.id),
        ..v1::Release::default()
    }
}

fn in_full(state: &State, environment: &Environment, found: &Release) -> v1::Release {
    let build = found.build.as_ref().and_then(|id| state.builds.get(id));
    v1::Release {
        variables: found
            .variables
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect(),
        masked: environment.masked.iter().map(ToString::to_string).collect(),
        manifest: build.map(|b| b.manifest.text.clone()).unwrap_or_default(),
        ..release(state, environment, found)
    }
}
