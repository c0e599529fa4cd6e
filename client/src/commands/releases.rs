//! `releases`: builds with variables, in one environment.

use fleet_proto::v1::releases_client::ReleasesClient;
use fleet_proto::v1::{
    CreateFromRequest, GetReleaseRequest, ListReleasesRequest, Release, RollbackRequest,
};

use super::promotion::{self, promote_and_show};
use crate::args::{CreateFrom, PromoteOptions, ReleasesVerb};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{CreatedReleaseView, Masking, PromotionView, ReleaseList, ReleaseView};

pub(super) async fn run(session: &mut Session, verb: ReleasesVerb) -> Result<(), Failure> {
    match verb {
        ReleasesVerb::List { limit } => list(session, limit).await,
        ReleasesVerb::Info { release, reveal } => info(session, release, reveal).await,
        ReleasesVerb::Manifest { release } => manifest(session, release).await,
        ReleasesVerb::Promote { release, options } => {
            promote_and_show(session, release.unwrap_or_default(), options).await
        }
        ReleasesVerb::Rollback {
            release,
            options,
            id,
        } => {
            session.console.id_only = id;
            rollback(session, release.unwrap_or_default(), options).await
        }
        ReleasesVerb::CreateFrom(options) => {
            session.console.id_only = options.id;
            create_from(session, options).await
        }
    }
}

async fn list(session: &mut Session, limit: u32) -> Result<(), Failure> {
    let app = session.app().await?;
    let (environment, stale) = (session.environment(), session.globals.stale);
    let question = |page_size, page_token| ListReleasesRequest {
        app: app.clone(),
        environment: environment.clone(),
        stale,
        page_size,
        page_token,
    };
    let releases = session
        .pages(
            Some(limit),
            question,
            |c, r| async move { ReleasesClient::new(c).list(r).await },
            |page| (page.releases, page.next_page_token),
        )
        .await?;
    let now_ms = session.surroundings.now_ms;
    session
        .console
        .result(&ReleaseList::new(&releases), |view| view.text(now_ms))
}

async fn asked(session: &mut Session, release: String) -> Result<Release, Failure> {
    let question = GetReleaseRequest {
        app: session.app().await?,
        environment: session.environment(),
        release,
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            ReleasesClient::new(c).get(r).await
        })
        .await?;
    Ok(answer.release.unwrap_or_default())
}

async fn info(session: &mut Session, release: String, reveal: bool) -> Result<(), Failure> {
    let release = asked(session, release).await?;
    let masking = Masking::on(&session.console, &release.masked, reveal);
    session
        .console
        .result(&ReleaseView::from(&release), |view| view.text(&masking))
}

/// The manifest as it was written: in a pipe it is a file again.
async fn manifest(session: &mut Session, release: String) -> Result<(), Failure> {
    let release = asked(session, release).await?;
    let view = serde_json::json!({ "release_id": release.id, "manifest": release.manifest });
    if session.console.is_json() {
        return session.console.document(&view);
    }
    session.console.write_file(&release.manifest)
}

async fn rollback(
    session: &mut Session,
    release: String,
    options: PromoteOptions,
) -> Result<(), Failure> {
    let command = RollbackRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment: session.environment(),
        release,
    };
    let answer = session
        .write(command, |c, r| async move {
            ReleasesClient::new(c).rollback(r).await
        })
        .await?;
    let receipt = answer.receipt.unwrap_or_default();
    let (source, copy) = (answer.source_id, receipt.release_id.clone());
    session
        .console
        .line(&format!("Rolling back to {source}... OK, {copy}"))?;
    session.console.id(&copy)?;
    let mut view = PromotionView::begun(&receipt, false);
    view.source_id = Some(source);
    let view = promotion::see_through(session, receipt, view, options).await?;
    session.console.document(&view)
}

async fn create_from(session: &mut Session, options: CreateFrom) -> Result<(), Failure> {
    let active = || "active".to_owned();
    let command = CreateFromRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment: session.environment(),
        build_from: options.build_from.unwrap_or_else(active),
        variables_from: options.env_from.unwrap_or_else(active),
    };
    session.console.step("Creating release... ")?;
    let answer = session
        .write(command, |c, r| async move {
            ReleasesClient::new(c).create_from(r).await
        })
        .await;
    session.console.end_step(&answer)?;
    let answer = answer?;
    let mut view = CreatedReleaseView::from(&answer);
    session
        .console
        .line(&format!("Release: {}", view.release_id))?;
    session.console.id(&view.release_id)?;
    if options.promote {
        let id = view.release_id.clone();
        view.promotion = Some(promotion::promote(session, id, PromoteOptions::default()).await?);
    }
    session.console.document(&view)
}
