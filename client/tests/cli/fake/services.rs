//! The services of the fake node; each mutation answers with a receipt that names what was asked.

use std::pin::Pin;

use fleet_proto::v1::*;
use futures::{Stream, StreamExt as _};
use tonic::{Request, Response, Status};

use super::{Fake, Seen};

pub(super) type Answer<T> = Result<Response<T>, Status>;
pub(super) type Lines<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl Fake {
    /// Remembers a call and refuses it if that is next in the script.
    pub(super) fn note<T>(&self, request: &Request<T>, mut seen: Seen) -> Result<(), Status> {
        let token = request.metadata().get("authorization");
        seen.authorization = token.map_or("", |t| t.to_str().unwrap()).to_owned();
        let mut script = self.script.lock().unwrap();
        script.seen.push(seen);
        script.refusals.pop_front().map_or(Ok(()), Err)
    }

    /// Answers a mutation of an environment.
    fn mutate<T>(
        &self,
        request: &Request<T>,
        seen: Seen,
        goal: WaitGoal,
    ) -> Answer<EnvironmentResponse> {
        self.note(request, seen.clone())?;
        let receipt = Some(self.receipt(&seen, goal));
        Ok(Response::new(EnvironmentResponse { receipt }))
    }

    pub(super) fn receipt(&self, seen: &Seen, goal: WaitGoal) -> Receipt {
        let environment = match seen.environment.as_str() {
            "" => "prod".to_owned(),
            name => name.to_owned(),
        };
        Receipt {
            log_index: 40 + self.script.lock().unwrap().seen.len() as u64,
            app: "shop".to_owned(),
            environment: environment.clone(),
            release: seen.release.clone(),
            release_id: "RCDEFGHIJK".to_owned(),
            wait: Some(WaitTarget {
                goal: goal.into(),
                app: "shop".to_owned(),
                environment,
                release: seen.release.clone(),
                rollout: 0,
                since_index: 41,
                log_offset: 0,
                node: String::new(),
            }),
            ..Default::default()
        }
    }
}

#[tonic::async_trait]
impl environments_server::Environments for Fake {
    async fn load(&self, request: Request<LoadRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen("load", &asked.request_id, &asked.app, &asked.environment);
        let release = asked.release.clone();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Loaded)
    }

    async fn activate(&self, request: Request<ActivateRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "activate",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        let release = asked.release.clone();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Active)
    }

    async fn unload(&self, request: Request<UnloadRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen("unload", &asked.request_id, &asked.app, &asked.environment);
        let release = asked.release.clone();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Unloaded)
    }

    async fn destroy(&self, request: Request<EnvironmentRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen("destroy", &asked.request_id, &asked.app, &asked.environment);
        let release = String::new();
        self.mutate(
            &request,
            Seen { release, ..call },
            WaitGoal::EnvironmentGone,
        )
    }

    async fn deactivate(
        &self,
        request: Request<EnvironmentRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "deactivate",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        let release = "8ef9d2f".to_owned();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Inactive)
    }

    async fn cancel(&self, request: Request<EnvironmentRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen("cancel", &asked.request_id, &asked.app, &asked.environment);
        let release = String::new();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Active)
    }

    async fn set_autoscaling_limits(
        &self,
        request: Request<SetAutoscalingLimitsRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "set_autoscaling_limits",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        let release = String::new();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::CountReached)
    }

    async fn set_autoscaling_desired(
        &self,
        request: Request<SetAutoscalingDesiredRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "set_autoscaling_desired",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        let release = format!("{}*{}", asked.release, asked.count);
        self.mutate(&request, Seen { release, ..call }, WaitGoal::CountReached)
    }

    async fn set_autoscaling(
        &self,
        request: Request<SetAutoscalingRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "set_autoscaling",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        self.script.lock().unwrap().changes.extend(asked.change);
        self.mutate(&request, call, WaitGoal::Unspecified)
    }

    async fn describe_autoscaling(
        &self,
        request: Request<DescribeAutoscalingRequest>,
    ) -> Answer<DescribeAutoscalingResponse> {
        let asked = request.get_ref();
        let call = seen("describe_autoscaling", "", &asked.app, &asked.environment);
        let release = asked.release.clone();
        self.note(&request, Seen { release, ..call })?;
        Ok(Response::new(DescribeAutoscalingResponse {
            app: "shop".to_owned(),
            environment: asked.environment.clone(),
            releases: vec![ScaledRelease {
                name: "8ef9d2f".to_owned(),
                services: ["admin", "web"].map(scaled).to_vec(),
                ..Default::default()
            }],
            ..Default::default()
        }))
    }

    async fn set_protected(&self, request: Request<SwitchRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "set_protected",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        let release = String::new();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Unspecified)
    }

    async fn set_recycling(&self, request: Request<SwitchRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "set_recycling",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        let release = String::new();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Unspecified)
    }

    async fn set_redirect(&self, request: Request<SwitchRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let (id, app, environment) = (&asked.request_id, &asked.app, &asked.environment);
        let call = seen("set_redirect", id, app, environment);
        self.mutate(&request, call, WaitGoal::Unspecified)
    }

    async fn set_whitelist(
        &self,
        request: Request<SetWhitelistRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let (id, app, environment) = (&asked.request_id, &asked.app, &asked.environment);
        let call = seen("set_whitelist", id, app, environment);
        let release = asked.whitelist.clone();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Unspecified)
    }

    async fn set_request_limits(
        &self,
        request: Request<SetRequestLimitsRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let (id, app, environment) = (&asked.request_id, &asked.app, &asked.environment);
        let call = seen("set_request_limits", id, app, environment);
        self.script.lock().unwrap().limits.push(asked.clone());
        self.mutate(&request, call, WaitGoal::Unspecified)
    }

    async fn set_certificate(
        &self,
        request: Request<SetCertificateRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let (id, app, environment) = (&asked.request_id, &asked.app, &asked.environment);
        let call = seen("set_certificate", id, app, environment);
        // What it was given stands where other commands have their release.
        let release = asked.certificate.clone();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Unspecified)
    }

    async fn set_guard(&self, request: Request<SetGuardRequest>) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "set_guard",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        self.mutate(&request, call, WaitGoal::Unspecified)
    }

    async fn set_maintenance(
        &self,
        request: Request<SwitchRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let call = seen(
            "set_maintenance",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        let release = String::new();
        self.mutate(&request, Seen { release, ..call }, WaitGoal::Unspecified)
    }

    async fn create(
        &self,
        request: Request<CreateEnvironmentRequest>,
    ) -> Answer<EnvironmentResponse> {
        let asked = request.get_ref();
        let seen = seen("create", &asked.request_id, &asked.app, &asked.name);
        self.note(&request, seen.clone())?;
        let receipt = Some(self.receipt(&seen, WaitGoal::EnvironmentRunning));
        Ok(Response::new(EnvironmentResponse { receipt }))
    }

    async fn list(
        &self,
        request: Request<ListEnvironmentsRequest>,
    ) -> Answer<ListEnvironmentsResponse> {
        self.note(&request, seen("list", "", &request.get_ref().app, ""))?;
        // Two pages, so that the client must ask again.
        let (name, next) = match request.get_ref().page_token.as_str() {
            "" => ("prod", "more"),
            _ => ("qa\x1b[2J", ""),
        };
        let environment = Environment {
            app: "shop".to_owned(),
            name: name.to_owned(),
            status: EnvironmentStatus::Running.into(),
            ..Default::default()
        };
        Ok(Response::new(ListEnvironmentsResponse {
            environments: vec![environment],
            next_page_token: next.to_owned(),
        }))
    }

    async fn describe(
        &self,
        request: Request<DescribeEnvironmentRequest>,
    ) -> Answer<DescribeEnvironmentResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("describe", "", &asked.app, &asked.environment),
        )?;
        let environment = Environment {
            name: asked.environment.clone(),
            status: EnvironmentStatus::Running.into(),
            ..Default::default()
        };
        let description = EnvironmentDescription {
            environment: Some(environment),
            ..Default::default()
        };
        Ok(Response::new(DescribeEnvironmentResponse {
            description: Some(description),
            log_index: 1,
        }))
    }
}

#[tonic::async_trait]
impl apps_server::Apps for Fake {
    async fn get(&self, request: Request<GetAppRequest>) -> Answer<GetAppResponse> {
        let name = request.into_inner().app;
        if !self.script.lock().unwrap().apps.contains(&name) {
            return Err(Status::not_found(format!("no app {name}")));
        }
        Ok(Response::new(GetAppResponse {
            app: Some(App {
                name,
                ..Default::default()
            }),
        }))
    }

    async fn create(&self, request: Request<CreateAppRequest>) -> Answer<CreateAppResponse> {
        let asked = request.get_ref();
        let seen = seen("create_app", &asked.request_id, &asked.name, "");
        self.note(&request, seen)?;
        Ok(Response::new(CreateAppResponse::default()))
    }

    async fn list(&self, _: Request<ListAppsRequest>) -> Answer<ListAppsResponse> {
        Ok(Response::new(ListAppsResponse::default()))
    }

    async fn delete(&self, _: Request<DeleteAppRequest>) -> Answer<DeleteAppResponse> {
        Err(Status::unimplemented("not here"))
    }

    async fn set_locked(&self, request: Request<SetLockedRequest>) -> Answer<SetLockedResponse> {
        let asked = request.get_ref();
        let mut seen = seen("set_locked", &asked.request_id, &asked.app, "");
        seen.release = asked.on.to_string();
        self.note(&request, seen.clone())?;
        let mut receipt = self.receipt(&seen, WaitGoal::Unspecified);
        receipt.wait = None;
        Ok(Response::new(SetLockedResponse {
            receipt: Some(receipt),
        }))
    }

    async fn cancel(
        &self,
        request: Request<CancelRolloutRequest>,
    ) -> Answer<CancelRolloutResponse> {
        let asked = request.get_ref();
        let seen = seen(
            "cancel_rollout",
            &asked.request_id,
            &asked.app,
            &asked.environment,
        );
        self.note(&request, seen.clone())?;
        let receipt = Some(self.receipt(&seen, WaitGoal::Promoted));
        Ok(Response::new(CancelRolloutResponse { receipt }))
    }
}

#[tonic::async_trait]
impl variables_server::Variables for Fake {
    async fn list(&self, request: Request<ListVariablesRequest>) -> Answer<ListVariablesResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("list_variables", "", &asked.app, &asked.environment),
        )?;
        Ok(Response::new(ListVariablesResponse {
            app: "shop".to_owned(),
            environment: "prod".to_owned(),
            release_id: "RCDEFGHIJK".to_owned(),
            variables: [("FOO", "bar"), ("KEY", "a\x1b\nb")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into(),
            masked: self.script.lock().unwrap().masked.clone(),
        }))
    }

    async fn set(&self, request: Request<SetVariablesRequest>) -> Answer<ChangeVariablesResponse> {
        let asked = request.get_ref();
        let set = asked.variables.iter().map(|(k, v)| format!("{k}={v}"));
        let unset = asked.unset.iter().map(|name| format!("-{name}"));
        let pairs: Vec<String> = set.chain(unset).collect();
        let mut seen = seen("set", &asked.request_id, &asked.app, &asked.environment);
        seen.release = pairs.join(" ");
        self.note(&request, seen.clone())?;
        let mut receipt = self.receipt(&seen, WaitGoal::Unspecified);
        receipt.notices = vec!["the newest release was never active".to_owned()];
        Ok(Response::new(ChangeVariablesResponse {
            receipt: Some(receipt),
            description: "env add:FOO".to_owned(),
        }))
    }

    async fn unset(
        &self,
        request: Request<UnsetVariablesRequest>,
    ) -> Answer<ChangeVariablesResponse> {
        let asked = request.get_ref();
        self.note(
            &request,
            seen("unset", &asked.request_id, &asked.app, &asked.environment),
        )?;
        Ok(Response::new(ChangeVariablesResponse::default()))
    }

    async fn mask(&self, request: Request<MaskVariablesRequest>) -> Answer<MaskVariablesResponse> {
        let asked = request.get_ref();
        let mut seen = seen("mask", &asked.request_id, &asked.app, &asked.environment);
        seen.release = format!("+{} -{}", asked.mask.join(","), asked.unmask.join(","));
        self.note(&request, seen)?;
        Ok(Response::new(MaskVariablesResponse::default()))
    }
}

#[tonic::async_trait]
impl progress_server::Progress for Fake {
    type WaitStream = Lines<ProgressLine>;

    async fn wait(&self, request: Request<WaitRequest>) -> Answer<Self::WaitStream> {
        let mut script = self.script.lock().unwrap();
        script.waits.push(request.into_inner());
        let lines = script.streams.pop_front().unwrap_or_default();
        Ok(Response::new(Box::pin(
            futures::stream::iter(lines).map(Ok),
        )))
    }
}

#[tonic::async_trait]
impl local_server::Local for Fake {
    type LeaveStream = Lines<LocalProgress>;
    type ReplaceIngressStream = Lines<LocalProgress>;

    async fn init(&self, request: Request<InitRequest>) -> Answer<InitResponse> {
        Ok(Response::new(InitResponse {
            cluster_id: "c0ffee".to_owned(),
            node_id: 1,
            name: request.into_inner().name,
            address: "127.0.0.1:7400".to_owned(),
            operator_token: "hush".to_owned(),
            authority: super::fingerprint(),
            domain: "localhost".to_owned(),
        }))
    }

    async fn join(&self, request: Request<JoinRequest>) -> Answer<JoinResponse> {
        let asked = request.into_inner();
        assert_eq!(asked.token, "fj1.token");
        let cluster_id = asked.addresses.join("+");
        Ok(Response::new(JoinResponse {
            cluster_id,
            node_id: 2,
            ..Default::default()
        }))
    }

    async fn leave(&self, _: Request<LeaveRequest>) -> Answer<Self::LeaveStream> {
        Err(Status::unimplemented("not here"))
    }

    async fn status(&self, _: Request<LocalStatusRequest>) -> Answer<LocalStatusResponse> {
        let script = self.script.lock().unwrap();
        Ok(Response::new(LocalStatusResponse {
            initialised: !script.apps.is_empty(),
            addresses: script.apps.clone(),
            operator_token: "from the daemon".to_owned(),
            authorities: vec![super::fingerprint()],
            ..Default::default()
        }))
    }

    async fn restore(
        &self,
        request: Request<tonic::Streaming<RestoreRequest>>,
    ) -> Answer<RestoreResponse> {
        super::backups::restore(request.into_inner()).await
    }

    async fn recover(&self, _: Request<RecoverRequest>) -> Answer<RecoverResponse> {
        super::backups::recover()
    }

    async fn replace_ingress(
        &self,
        _: Request<ReplaceIngressRequest>,
    ) -> Answer<Self::ReplaceIngressStream> {
        let line = LocalProgress {
            text: "the new ingress listens".to_owned(),
        };
        Ok(Response::new(Box::pin(futures::stream::iter([Ok(line)]))))
    }
}

fn scaled(name: &str) -> ScaledService {
    ScaledService {
        name: name.to_owned(),
        ..Default::default()
    }
}

pub(super) fn seen(method: &'static str, request_id: &str, app: &str, environment: &str) -> Seen {
    Seen {
        method,
        request_id: request_id.to_owned(),
        app: app.to_owned(),
        environment: environment.to_owned(),
        release: String::new(),
        authorization: String::new(),
    }
}
