//! `fleet.v1.Builds`: the release library.

mod logs;

use std::{collections::BTreeSet, sync::Arc};

use fleet_model::{
    Command, Detail, State,
    build::{Build, BuildStatus},
    command::NewBuild,
    ids::Digest,
    manifest::Manifest,
    reference,
};
use fleet_proto::v1::{self, WaitGoal, builds_server::Builds};
use tonic::{Request, Response, Status};

use super::{ACTOR, instant, message, page, request_id, resolve};
use crate::{
    blobs::{self, archive},
    control::{
        Context, copies,
        refusal::{detail, invalid, refused, rejected, unread, with_detail},
    },
    manifest,
};

pub(crate) struct Api(pub(super) Arc<Context>);

#[tonic::async_trait]
impl Builds for Api {
    async fn create(
        &self,
        request: Request<v1::CreateBuildRequest>,
    ) -> Result<Response<v1::CreateBuildResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let digest = Digest::parse(&asked.sha256).ok_or_else(|| {
            invalid(
                format!("{:?} is no sha256", asked.sha256),
                "64 lowercase hexadecimal digits",
            )
        })?;
        let environment = match &asked.environment {
            None => None,
            Some(name) => Some(resolve::environment_or_default(&state, app.as_str(), name)?),
        };
        let (size, manifest) = self.inspect(&state, &digest, &asked.manifest_path).await?;
        let command = Command::CreateBuild(NewBuild {
            app: app.clone(),
            name: asked.name,
            message: asked.message,
            digest,
            size,
            manifest: Arc::new(manifest),
            holder: self.0.id(),
            environment: environment.as_ref().map(|key| key.name.clone()),
            description: asked.description,
        });
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let Detail::Build { id, name, release } = outcome.detail else {
            return Err(Status::internal("a build was answered with something else"));
        };
        let wait = v1::WaitTarget {
            goal: WaitGoal::BuildAvailable.into(),
            app: app.to_string(),
            release: id.to_string(),
            since_index: outcome.index.saturating_sub(1),
            ..v1::WaitTarget::default()
        };
        Ok(Response::new(v1::CreateBuildResponse {
            receipt: Some(v1::Receipt {
                log_index: outcome.index,
                repeated_request: outcome.repeated,
                app: app.to_string(),
                environment: environment.map_or_else(String::new, |key| key.name.to_string()),
                release: name,
                release_id: release
                    .as_ref()
                    .map(ToString::to_string)
                    .unwrap_or_default(),
                wait: Some(wait),
                ..v1::Receipt::default()
            }),
            build: state.builds.get(&id).map(|found| build(&state, found)),
            release_id: release.map(|id| id.to_string()).unwrap_or_default(),
        }))
    }

    async fn list(
        &self,
        request: Request<v1::ListBuildsRequest>,
    ) -> Result<Response<v1::ListBuildsResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let mut builds: Vec<&Build> = state.builds.values().filter(|b| b.app == app).collect();
        builds.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        // Newest first, so the key counts down.
        let rows = builds.into_iter().map(|found| {
            let key = page::key(u64::MAX - found.created.0);
            (format!("{key}{}", found.id), build(&state, found))
        });
        let mut rows: Vec<_> = rows.collect();
        rows.sort_by(|(a, _), (b, _)| a.cmp(b));
        let (builds, next_page_token) =
            page::cut(rows.into_iter(), asked.page_size, &asked.page_token);
        Ok(Response::new(v1::ListBuildsResponse {
            builds,
            next_page_token,
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetBuildRequest>,
    ) -> Result<Response<v1::GetBuildResponse>, Status> {
        let asked = message(request);
        let state = self.0.read(asked.stale).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let found = reference::build(&state, &app, &asked.build).map_err(|r| rejected(&r))?;
        Ok(Response::new(v1::GetBuildResponse {
            build: Some(build(&state, found)),
        }))
    }

    type LogsStream = logs::Lines;

    async fn logs(
        &self,
        request: Request<v1::BuildLogsRequest>,
    ) -> Result<Response<Self::LogsStream>, Status> {
        let lines = logs::follow(&self.0, message(request)).await?;
        Ok(Response::new(lines))
    }

    async fn destroy(
        &self,
        request: Request<v1::DestroyBuildRequest>,
    ) -> Result<Response<v1::DestroyBuildResponse>, Status> {
        let asked = message(request);
        let id = request_id(&asked.request_id)?;
        let state = self.0.read(false).await.map_err(unread)?;
        let app = resolve::app(&state, &asked.app)?;
        let command = Command::DestroyBuild {
            app: app.clone(),
            reference: asked.build,
        };
        let outcome = self.0.ask(&id, ACTOR, &command).await.map_err(refused)?;
        let (build_id, name) = match outcome.detail {
            Detail::Build { id, name, .. } => (id.to_string(), name),
            _ => Default::default(),
        };
        Ok(Response::new(v1::DestroyBuildResponse {
            receipt: Some(v1::Receipt {
                log_index: outcome.index,
                repeated_request: outcome.repeated,
                app: app.to_string(),
                release: name.clone(),
                ..v1::Receipt::default()
            }),
            build_id,
            name,
        }))
    }
}

impl Api {
    /// Reads the artefact without trusting it. It is fetched first if the upload went to another
    /// control node.
    async fn inspect(
        &self,
        state: &State,
        digest: &Digest,
        manifest: &str,
    ) -> Result<(u64, Manifest), Status> {
        if !self.0.blobs.has(digest) {
            copies::fetch(&self.0, state, digest)
                .await
                .map_err(|error| {
                    let hint = "upload it again: fleet release create does both";
                    let detail = detail("BLOB_MISSING", hint);
                    let message = format!("the artefact {digest} is not here: {error}");
                    with_detail(tonic::Code::FailedPrecondition, &message, &detail)
                })?;
        }
        let (store, digest) = (self.0.blobs.clone(), digest.clone());
        let manifest = manifest.trim_start_matches("./").to_owned();
        let inspected =
            tokio::task::spawn_blocking(move || inspect(&store, &digest, &manifest)).await;
        inspected.map_err(|_| Status::internal("inspecting the artefact panicked"))?
    }
}

fn inspect(store: &blobs::Store, digest: &Digest, wanted: &str) -> Result<(u64, Manifest), Status> {
    let missing = || Status::failed_precondition(format!("the artefact {digest} is not here"));
    let internal = |error: blobs::store::Error| {
        tracing::error!(%error, %digest, "an artefact cannot be read");
        Status::internal(error.to_string())
    };
    let size = store.size(digest).map_err(internal)?.ok_or_else(missing)?;
    let file = store
        .open_verified(digest)
        .map_err(internal)?
        .ok_or_else(missing)?;
    let inspection = archive::inspect(file, &archive::Limits::default()).map_err(|error| {
        invalid(
            error.to_string(),
            "make the archive anew without that entry",
        )
    })?;
    let name = inspection.manifest_name;
    if !wanted.is_empty() && wanted != name {
        let text = format!("the manifest would be {name}, not {wanted}");
        let hint = "it is fleet.yml at the top of the archive, or convox.yml where there is none";
        return Err(invalid(text, hint));
    }
    let manifest = manifest::parse(&inspection.manifest)
        .map_err(|error| invalid(format!("{name}: {error}"), "see docs/manifest.md"))?;
    Ok((size, manifest))
}

fn build(state: &State, build: &Build) -> v1::Build {
    // The one made with the build; those made of it later are younger.
    let release = state
        .releases
        .values()
        .filter(|release| release.build.as_ref() == Some(&build.id))
        .min_by_key(|release| (release.created, &release.id));
    let described = release.and_then(|release| release.description.strip_prefix("build "));
    let (status, reason) = match &build.status {
        BuildStatus::Running => (v1::BuildStatus::Creating, ""),
        BuildStatus::Complete => (v1::BuildStatus::Available, ""),
        BuildStatus::Failed { reason } => (v1::BuildStatus::Failed, reason.as_str()),
    };
    let loaded_in: BTreeSet<String> = state
        .loaded
        .iter()
        .filter(|(_, loaded)| loaded.build == build.id)
        .map(|(key, _)| key.environment.name.to_string())
        .collect();
    v1::Build {
        id: build.id.to_string(),
        name: build.name.clone(),
        status: status.into(),
        reason: reason.to_owned(),
        message: build.message.clone(),
        created: Some(instant(build.created)),
        updated: Some(instant(build.updated)),
        sha256: build.digest.to_string(),
        size: build.size,
        loaded_in: loaded_in.into_iter().collect(),
        commit: String::new(),
        manifest: build.manifest.text.clone(),
        release_id: release
            .map(|release| release.id.to_string())
            .unwrap_or_default(),
        description: described.unwrap_or(&build.message).to_owned(),
    }
}
