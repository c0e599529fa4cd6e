//! `fleet.v1.Variables`.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use fleet_model::{
    Command, Detail, Rejection, State,
    command::{Code, VariableChange},
    ids::{EnvironmentKey, ReleaseId},
    reference,
};
use fleet_proto::v1::{self, variables_server::Variables};
use tonic::{Request, Response, Status};

use super::{ACTOR, message, request_id, resolve};
use crate::control::{
    Context,
    refusal::{refused, rejected, unread},
};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Variables for Api {
    async fn list(
        &self,
        request: Request<v1::ListVariablesRequest>,
    ) -> Result<Response<v1::ListVariablesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let environment = reference::environment(&state, &key).map_err(|r| rejected(&r))?;
        let (release, variables) = match asked.release.as_str() {
            "" => (environment.newest.clone(), &environment.variables),
            named => {
                let id = release(&state, &key, named)?;
                let found = state.releases.get(&id);
                let found = found.ok_or_else(|| Status::not_found("the release is gone"))?;
                (Some(id), &found.variables)
            }
        };
        Ok(Response::new(v1::ListVariablesResponse {
            app: key.app.to_string(),
            environment: key.name.to_string(),
            release_id: release
                .as_ref()
                .map(ToString::to_string)
                .unwrap_or_default(),
            variables: variables
                .iter()
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
        }))
    }

    async fn set(
        &self,
        request: Request<v1::SetVariablesRequest>,
    ) -> Result<Response<v1::ChangeVariablesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let set: BTreeMap<Arc<str>, Arc<str>> = asked
            .variables
            .iter()
            .map(|(k, v)| (k.as_str().into(), v.as_str().into()))
            .collect();
        let mut unset = BTreeSet::new();
        if asked.replace {
            let environment = reference::environment(&state, &key).map_err(|r| rejected(&r))?;
            let there = environment.variables.keys();
            unset = there
                .filter(|name| !set.contains_key(*name))
                .cloned()
                .collect();
        }
        self.change(&asked.request_id, key, set, unset).await
    }

    async fn unset(
        &self,
        request: Request<v1::UnsetVariablesRequest>,
    ) -> Result<Response<v1::ChangeVariablesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let unset = asked
            .names
            .iter()
            .map(|name| name.as_str().into())
            .collect();
        self.change(&asked.request_id, key, BTreeMap::new(), unset)
            .await
    }
}

impl Api {
    async fn change(
        &self,
        request: &str,
        key: EnvironmentKey,
        set: BTreeMap<Arc<str>, Arc<str>>,
        unset: BTreeSet<Arc<str>>,
    ) -> Result<Response<v1::ChangeVariablesResponse>, Status> {
        let id = request_id(request)?;
        let command = Command::SetVariables {
            environment: key.clone(),
            change: VariableChange {
                set,
                unset,
                ..VariableChange::default()
            },
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let Detail::Variables {
            release,
            description,
            forked_inactive,
        } = &outcome.detail
        else {
            return Err(Status::internal(
                "a change was answered with something else",
            ));
        };
        let notices = forked_inactive.as_ref().map(|forked| {
            format!(
                "this continues release {forked}, which is not active in {}",
                key.name
            )
        });
        Ok(Response::new(v1::ChangeVariablesResponse {
            receipt: Some(v1::Receipt {
                release_id: release.to_string(),
                notices: notices.into_iter().collect(),
                ..resolve::receipt(&outcome, &key)
            }),
            description: description.clone(),
        }))
    }
}

/// A release of the environment, by id or by what it is called there.
fn release(state: &State, key: &EnvironmentKey, named: &str) -> Result<ReleaseId, Status> {
    let id = resolve::loaded(state, key, named)?.release;
    let known = state
        .releases
        .get(&id)
        .is_some_and(|release| release.environment == *key);
    if known {
        return Ok(id);
    }
    let message = format!("there is no release {named} in {}", key.name);
    Err(rejected(&Rejection::new(Code::UnknownRelease, message)))
}
