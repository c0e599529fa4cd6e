//! `fleet.v1.Environments`.

use std::sync::Arc;

use fleet_model::{
    Command, Rejection, State,
    access::Rate,
    certificate::SELF_SIGNED,
    command::{AccessChange, CertificateChange, Code, LimitChange},
    environment::Limits,
    ids::EnvironmentKey,
    reference, route,
    time::Millis,
};
use fleet_proto::v1::{self, WaitGoal, environments_server::Environments};
use tonic::{Request, Response, Status};

use super::{ACTOR, autoscaling, describe, message, page, request_id, resolve, whitelists};
use crate::control::{
    Context,
    context::Done,
    refusal::{refused, rejected, unread},
};

pub(crate) struct Api(pub(super) Arc<Context>);

type Answer = Result<Response<v1::EnvironmentResponse>, Status>;

#[tonic::async_trait]
impl Environments for Api {
    async fn create(&self, request: Request<v1::CreateEnvironmentRequest>) -> Answer {
        let asked = message(request);
        let state = self.0.read(false).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let name = asked.name.clone();
        let command = Command::CreateEnvironment {
            app: app.clone(),
            name: name.clone(),
        };
        // Refused before anything is made, as far as can be told.
        let certificate = asked.certificate.as_str();
        if !certificate.is_empty() && !state.certificates.contains_key(certificate) {
            let names = state.certificates.keys().map(|name| &**name);
            let code = Code::UnknownCertificate;
            let unknown = Rejection::unknown(code, "certificate", certificate, names);
            return Err(rejected(&unknown));
        }
        if !asked.whitelist.is_empty() {
            whitelists::known(&state, &asked.whitelist)?;
        }
        let outcome = self.commit(&asked.request_id, &command).await?;
        let key = resolve::environment(&state, app.as_str(), &name)?;
        if asked.protected {
            // A name of its own, so that a retry of the whole is a retry of both.
            let second = format!("{}+p", asked.request_id);
            let environment = key.clone();
            let command = Command::SetProtected {
                environment,
                on: true,
            };
            self.commit(&second, &command).await?;
        }
        if !asked.certificate.is_empty() {
            self.choose(&format!("{}+c", asked.request_id), &key, &asked.certificate)
                .await?;
        }
        if !asked.whitelist.is_empty() {
            self.admit(&format!("{}+w", asked.request_id), &key, &asked.whitelist)
                .await?;
        }
        answer(resolve::receipt(&outcome, &key))
    }

    async fn list(
        &self,
        request: Request<v1::ListEnvironmentsRequest>,
    ) -> Result<Response<v1::ListEnvironmentsResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let rows = state
            .environments_of(&app)
            .map(|e| (e.key.name.to_string(), describe::environment(&state, e)));
        let (environments, next_page_token) = page::cut(rows, asked.page_size, &asked.page_token);
        Ok(Response::new(v1::ListEnvironmentsResponse {
            environments,
            next_page_token,
        }))
    }

    async fn describe(
        &self,
        request: Request<v1::DescribeEnvironmentRequest>,
    ) -> Result<Response<v1::DescribeEnvironmentResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let key = resolve::environment(&state, &asked.app, &asked.environment)?;
        let found = reference::environment(&state, &key).map_err(|r| rejected(&r))?;
        let waiting = describe::waiting_of(&self.0, &key, asked.stale).await;
        Ok(Response::new(v1::DescribeEnvironmentResponse {
            description: Some(describe::description(&state, found, waiting)),
            log_index: state.index,
        }))
    }

    async fn destroy(&self, request: Request<v1::EnvironmentRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let environment = key.clone();
        let command = Command::DestroyEnvironment { environment };
        let outcome = self.commit(&asked.request_id, &command).await?;
        let wait = resolve::wait(WaitGoal::EnvironmentGone, &key, "", 0, outcome.index);
        answer(v1::Receipt {
            wait: Some(wait),
            ..resolve::receipt(&outcome, &key)
        })
    }

    async fn load(&self, request: Request<v1::LoadRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::Load {
            environment: key.clone(),
            reference: asked.release,
        };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::of_release(&key, &outcome, WaitGoal::Loaded))
    }

    async fn activate(&self, request: Request<v1::ActivateRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::Activate {
            environment: key.clone(),
            reference: asked.release,
            now: asked.now,
        };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::of_release(&key, &outcome, WaitGoal::Active))
    }

    async fn deactivate(&self, request: Request<v1::EnvironmentRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let environment = key.clone();
        let command = Command::Deactivate { environment };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::of_release(&key, &outcome, WaitGoal::Inactive))
    }

    async fn unload(&self, request: Request<v1::UnloadRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::Unload {
            environment: key.clone(),
            reference: asked.release,
        };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::of_release(&key, &outcome, WaitGoal::Unloaded))
    }

    async fn cancel(&self, request: Request<v1::EnvironmentRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let environment = key.clone();
        let command = Command::CancelRollout { environment };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::of_release(&key, &outcome, WaitGoal::RolloutOver))
    }

    async fn set_autoscaling_limits(
        &self,
        request: Request<v1::SetAutoscalingLimitsRequest>,
    ) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::SetLimits {
            environment: key.clone(),
            limits: Limits {
                min: asked.min,
                max: asked.max,
            },
        };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::receipt(&outcome, &key))
    }

    async fn set_autoscaling_desired(
        &self,
        request: Request<v1::SetAutoscalingDesiredRequest>,
    ) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::SetDesired {
            environment: key.clone(),
            reference: Some(asked.release).filter(|release| !release.is_empty()),
            count: asked.count,
        };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::of_release(&key, &outcome, WaitGoal::CountReached))
    }

    async fn set_autoscaling(&self, request: Request<v1::SetAutoscalingRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::SetAutoscaling {
            environment: key.clone(),
            change: autoscaling::change(asked.change)?,
        };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::receipt(&outcome, &key))
    }

    async fn describe_autoscaling(
        &self,
        request: Request<v1::DescribeAutoscalingRequest>,
    ) -> Result<Response<v1::DescribeAutoscalingResponse>, Status> {
        autoscaling::describe(&self.0, message(request)).await
    }

    async fn set_protected(&self, request: Request<v1::SwitchRequest>) -> Answer {
        self.switch(request, |environment, on| Command::SetProtected {
            environment,
            on,
        })
        .await
    }

    async fn set_recycling(&self, request: Request<v1::SwitchRequest>) -> Answer {
        self.switch(request, |environment, on| Command::SetRecycling {
            environment,
            on,
        })
        .await
    }

    async fn set_certificate(&self, request: Request<v1::SetCertificateRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let outcome = self
            .choose(&asked.request_id, &key, &asked.certificate)
            .await?;
        let state = self.0.read(false).await.map_err(unread)?;
        answer(v1::Receipt {
            notices: uncovered(&state, &key, &asked.certificate)
                .into_iter()
                .collect(),
            ..resolve::routed(&outcome, &key)
        })
    }

    async fn set_redirect(&self, request: Request<v1::SwitchRequest>) -> Answer {
        self.switch(request, |environment, on| {
            Command::Certificate(Box::new(CertificateChange::Redirect { environment, on }))
        })
        .await
    }

    async fn set_whitelist(&self, request: Request<v1::SetWhitelistRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let outcome = self
            .admit(&asked.request_id, &key, &asked.whitelist)
            .await?;
        answer(resolve::routed(&outcome, &key))
    }

    async fn set_request_limits(&self, request: Request<v1::SetRequestLimitsRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let limit = AccessChange::Limit {
            environment: key.clone(),
            all: limit_change(asked.requests),
            address: limit_change(asked.address_requests),
        };
        let command = Command::Access(Box::new(limit));
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::routed(&outcome, &key))
    }

    async fn set_guard(&self, request: Request<v1::SetGuardRequest>) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = Command::SetGuard {
            environment: key.clone(),
            guard: Millis::seconds(u64::from(asked.seconds)),
        };
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(resolve::receipt(&outcome, &key))
    }

    async fn set_maintenance(&self, request: Request<v1::SwitchRequest>) -> Answer {
        self.switch(request, |environment, on| Command::SetMaintenance {
            environment,
            on,
        })
        .await
    }
}

impl Api {
    /// The environment a mutation means. Names are resolved on the state as applied here: whether
    /// they still mean something is decided when the command is applied.
    async fn key(&self, app: &str, environment: &str) -> Result<EnvironmentKey, Status> {
        if app.is_empty()
            || !self
                .0
                .snapshot()
                .apps
                .keys()
                .any(|name| name.as_str() == app)
        {
            let state = self.0.read(false).await.map_err(unread)?;
            return resolve::environment(&state, app, environment);
        }
        resolve::environment(&self.0.snapshot(), app, environment)
    }

    async fn commit(&self, request: &str, command: &Command) -> Result<Done, Status> {
        let id = request_id(request)?;
        self.0.ask(&id, ACTOR, command).await.map_err(refused)
    }

    async fn choose(
        &self,
        request: &str,
        key: &EnvironmentKey,
        certificate: &str,
    ) -> Result<Done, Status> {
        let choose = CertificateChange::Choose {
            environment: key.clone(),
            name: certificate.into(),
        };
        self.commit(request, &Command::Certificate(Box::new(choose)))
            .await
    }

    async fn admit(
        &self,
        request: &str,
        key: &EnvironmentKey,
        whitelist: &str,
    ) -> Result<Done, Status> {
        let choose = AccessChange::Choose {
            environment: key.clone(),
            name: whitelist.into(),
        };
        self.commit(request, &Command::Access(Box::new(choose)))
            .await
    }

    async fn switch(
        &self,
        request: Request<v1::SwitchRequest>,
        command: impl FnOnce(EnvironmentKey, bool) -> Command + Send,
    ) -> Answer {
        let asked = message(request);
        let key = self.key(&asked.app, &asked.environment).await?;
        let command = command(key.clone(), asked.on);
        let outcome = self.commit(&asked.request_id, &command).await?;
        answer(match command {
            Command::SetMaintenance { .. } | Command::Certificate(_) => {
                resolve::routed(&outcome, &key)
            }
            _ => resolve::receipt(&outcome, &key),
        })
    }
}

fn limit_change(asked: Option<v1::RequestLimit>) -> LimitChange {
    let v1::RequestLimit { in_flight, rate } = asked.unwrap_or_default();
    LimitChange {
        in_flight,
        rate: rate.map(|rate| Rate {
            per_second: rate.per_second,
            burst: rate.burst,
        }),
    }
}

/// A remark when clients will not believe a certificate because none of the environment's hosts is in it.
fn uncovered(state: &State, key: &EnvironmentKey, certificate: &str) -> Option<String> {
    let issued = state.certificates.get(certificate)?.issued.as_deref()?;
    let hosts = route::environment(state, key)?.hosts;
    let mut hosts = hosts.keys().filter(|host| !host.starts_with("*."));
    let first = hosts.clone().next()?;
    let covered = certificate == SELF_SIGNED || hosts.any(|host| issued.covers(host));
    let names = issued.names.join(", ");
    (!covered).then(|| format!("it is for {names}, and so for no host of {key} such as {first}"))
}

fn answer(receipt: v1::Receipt) -> Answer {
    Ok(Response::new(v1::EnvironmentResponse {
        receipt: Some(receipt),
    }))
}
