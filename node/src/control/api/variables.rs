//! `fleet.v1.Variables`.

use std::{collections::BTreeSet, sync::Arc};

use fleet_model::{Command, Detail, command::VariableChange, ids::EnvironmentKey, reference};
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
                let id =
                    reference::release(&state, environment, named).map_err(|r| rejected(&r))?;
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
            masked: environment.masked.iter().map(ToString::to_string).collect(),
        }))
    }

    async fn set(
        &self,
        request: Request<v1::SetVariablesRequest>,
    ) -> Result<Response<v1::ChangeVariablesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let change = VariableChange {
            set: asked
                .variables
                .iter()
                .map(|(k, v)| (k.as_str().into(), v.as_str().into()))
                .collect(),
            unset: names(&asked.unset),
            replace: asked.replace,
            base: base(asked.release),
        };
        self.change(&asked.request_id, key, change).await
    }

    async fn unset(
        &self,
        request: Request<v1::UnsetVariablesRequest>,
    ) -> Result<Response<v1::ChangeVariablesResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let change = VariableChange {
            unset: names(&asked.names),
            base: base(asked.release),
            ..VariableChange::default()
        };
        self.change(&asked.request_id, key, change).await
    }

    async fn mask(
        &self,
        request: Request<v1::MaskVariablesRequest>,
    ) -> Result<Response<v1::MaskVariablesResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let key = resolve::environment_or_default(&state, &asked.app, &asked.environment)?;
        let command = Command::SetMasked {
            environment: key.clone(),
            set: names(&asked.mask),
            unset: names(&asked.unmask),
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        Ok(Response::new(v1::MaskVariablesResponse {
            receipt: Some(resolve::receipt(&outcome, &key)),
        }))
    }
}

impl Api {
    async fn change(
        &self,
        request: &str,
        key: EnvironmentKey,
        change: VariableChange,
    ) -> Result<Response<v1::ChangeVariablesResponse>, Status> {
        let id = request_id(request)?;
        let command = Command::SetVariables {
            environment: key.clone(),
            change,
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
        let state = self.0.snapshot();
        let notices = forked_inactive.as_ref().map(|forked| {
            let served = state.releases.get(forked).and_then(|r| r.served);
            let since = match served {
                None => "was never active",
                Some(_) => "is not active any more",
            };
            format!(
                "this continues release {forked}, which {since} in {}",
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

fn names(asked: &[String]) -> BTreeSet<Arc<str>> {
    asked.iter().map(|name| name.as_str().into()).collect()
}

/// The release a change begins with; the newest when none is named.
fn base(asked: String) -> Option<String> {
    Some(asked).filter(|release| !release.is_empty())
}
