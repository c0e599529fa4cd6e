//! `release list|create|destroy`: the library.

mod create;

use fleet_proto::v1::builds_client::BuildsClient;
use fleet_proto::v1::{Build, DestroyBuildRequest, ListBuildsRequest};

use super::{last_page, receipt};
use crate::args::ReleaseVerb;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::BuildList;

pub(super) async fn run(session: &mut Session, verb: ReleaseVerb) -> Result<(), Failure> {
    match verb {
        ReleaseVerb::List => list(session).await,
        ReleaseVerb::Create(options) => create::run(session, options).await,
        ReleaseVerb::Destroy { release } => destroy(session, release).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let app = session.app().await?;
    let connection = session.connection().await?;
    let mut builds: Vec<Build> = Vec::new();
    let mut page_token = String::new();
    loop {
        let question = ListBuildsRequest {
            app: app.clone(),
            stale: session.globals.stale,
            page_size: 0,
            page_token: page_token.clone(),
        };
        let page = connection
            .read(question, |c, r| async move {
                BuildsClient::new(c).list(r).await
            })
            .await?;
        builds.extend(page.builds);
        if last_page(&mut page_token, page.next_page_token) {
            break;
        }
    }
    session
        .console
        .result(&BuildList::new(&builds), BuildList::text)
}

async fn destroy(session: &mut Session, build: String) -> Result<(), Failure> {
    let app = session.app().await?;
    let connection = session.connection().await?;
    let command = DestroyBuildRequest {
        request_id: Connection::request_id(),
        app,
        build,
    };
    let answer = connection
        .write(command, |c, r| async move {
            BuildsClient::new(c).destroy(r).await
        })
        .await?;
    let name = answer.name;
    let wait = session.globals.wait;
    receipt::settle(
        session,
        answer.receipt,
        |_| format!("Release {name} is destroyed"),
        wait,
    )
    .await
}
