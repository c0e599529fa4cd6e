//! `build` and `deploy`: a directory becomes a build and a release, and is promoted.

use std::path::PathBuf;

use fleet_proto::v1::CreateBuildRequest;
use fleet_proto::v1::builds_client::BuildsClient;

use super::promotion;
use super::receipt::notices;
use super::source::{Steps, packed, uploaded};
use crate::args::{BuildArgs, DeployArgs};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::package::{Clean, Package, Source};
use crate::progress;
use crate::session::Session;
use crate::view::BuiltView;

pub(super) async fn build(session: &mut Session, options: BuildArgs) -> Result<(), Failure> {
    let built = made(session, options).await?;
    session.console.document(&built)
}

pub(super) async fn deploy(session: &mut Session, options: DeployArgs) -> Result<(), Failure> {
    let mut built = made(session, options.build).await?;
    let release = built.release_id.clone();
    built.promotion = Some(promotion::promote(session, release, options.promote).await?);
    session.console.document(&built)
}

/// Packs, uploads, builds; tells every step, and at the end the two ids.
async fn made(session: &mut Session, options: BuildArgs) -> Result<BuiltView, Failure> {
    session.console.id_only = options.id;
    let directory = session.surroundings.directory.join(&options.dir);
    if !directory.is_dir() {
        return Err(Failure::new(
            Exit::NotFound,
            "UNKNOWN_SOURCE",
            format!("{} is no directory", options.dir),
        )
        .hint("a git object or an archive: fleet release create OBJECT|FILE"));
    }
    let (package, clean) = directory_packed(session, directory).await?;
    let app = session.app().await?;
    uploaded(session, &package, Steps::Result).await?;
    let command = request(session, app, &package, clean, options);
    session.console.step("Starting build... ")?;
    let answer = session
        .write(command, |c, r| async move {
            BuildsClient::new(c).create(r).await
        })
        .await;
    session.console.end_step(&answer)?;
    let answer = answer?;
    let receipt = answer.receipt.clone().unwrap_or_default();
    if !session.console.is_json() {
        notices(session, &receipt);
    }
    if let Some(target) = receipt.wait.clone() {
        // A release may be promoted only once its artefact can survive the loss of a machine.
        progress::log(session, target).await?;
    }
    let built = BuiltView::from(&answer);
    session
        .console
        .line(&format!("Build: {}", built.build_id))?;
    session
        .console
        .line(&format!("Release: {}", built.release_id))?;
    session.console.id(&built.release_id)?;
    Ok(built)
}

/// The directory's artefact, named by its commit if nothing in it was changed since.
async fn directory_packed(
    session: &mut Session,
    directory: PathBuf,
) -> Result<(Package, Option<Clean>), Failure> {
    let clean = Clean::at(&directory)?;
    let mut package = packed(session, Source::Directory(directory), Steps::Result).await?;
    if let Some(clean) = &clean {
        package.name.clone_from(&clean.name);
        package.commit.clone_from(&clean.hash);
        package.subject.clone_from(&clean.subject);
    }
    Ok((package, clean))
}

fn request(
    session: &Session,
    app: String,
    package: &Package,
    clean: Option<Clean>,
    options: BuildArgs,
) -> CreateBuildRequest {
    // surface.md B.2: the hash has 12 digits in descriptions.
    let commit = || clean.map(|clean| format!("{} {}", &clean.hash[..12], clean.subject));
    let description = options.description.clone().or_else(commit);
    CreateBuildRequest {
        request_id: Connection::request_id(),
        app,
        sha256: package.sha256.clone(),
        name: package.name.clone(),
        commit: package.commit.clone(),
        message: options
            .description
            .unwrap_or_else(|| package.subject.clone()),
        manifest_path: options.manifest.unwrap_or_default(),
        environment: Some(session.environment()),
        description: Some(description.map_or_else(String::new, |said| format!("build {said}"))),
    }
}
