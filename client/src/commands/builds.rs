//! `builds`: the library by id, in the words of the predecessor that had ids.

use fleet_proto::v1::builds_client::BuildsClient;
use fleet_proto::v1::{GetBuildRequest, ListBuildsRequest};

use crate::args::BuildVerb;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{BuildList, BuildLogView, BuildView};

pub(super) async fn run(session: &mut Session, verb: BuildVerb) -> Result<(), Failure> {
    match verb {
        BuildVerb::List { limit } => {
            let builds = list(session, Some(limit)).await?;
            let now_ms = session.surroundings.now_ms;
            session.console.result(&builds, |view| view.table(now_ms))
        }
        BuildVerb::Info { build } => info(session, build).await,
        BuildVerb::Logs { build } => logs(session, build).await,
    }
}

/// The newest builds, or all.
pub(super) async fn list(session: &mut Session, most: Option<u32>) -> Result<BuildList, Failure> {
    let app = session.app().await?;
    let stale = session.globals.stale;
    let question = |page_size, page_token| ListBuildsRequest {
        app: app.clone(),
        stale,
        page_size,
        page_token,
    };
    let builds = session
        .pages(
            most,
            question,
            |c, r| async move { BuildsClient::new(c).list(r).await },
            |page| (page.builds, page.next_page_token),
        )
        .await?;
    Ok(BuildList::new(&builds))
}

async fn info(session: &mut Session, build: String) -> Result<(), Failure> {
    let question = question(session, build).await?;
    let answer = session
        .read(
            question,
            |c, r| async move { BuildsClient::new(c).get(r).await },
        )
        .await?;
    let view = BuildView::from(&answer.build.unwrap_or_default());
    session.console.result(&view, BuildView::text)
}

async fn logs(session: &mut Session, build: String) -> Result<(), Failure> {
    let question = question(session, build).await?;
    let answer = session
        .read(question, |c, r| async move {
            BuildsClient::new(c).logs(r).await
        })
        .await?;
    session
        .console
        .result(&BuildLogView::from(&answer), BuildLogView::text)
}

async fn question(session: &mut Session, build: String) -> Result<GetBuildRequest, Failure> {
    Ok(GetBuildRequest {
        app: session.app().await?,
        build,
        stale: session.globals.stale,
    })
}
