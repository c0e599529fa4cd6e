//! `builds`: the library by id, in the words of the predecessor that had ids.

use fleet_proto::v1::builds_client::BuildsClient;
use fleet_proto::v1::{BuildLogsRequest, BuildLogsResponse, GetBuildRequest, ListBuildsRequest};

use crate::args::BuildVerb;
use crate::connection::Next;
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

/// What making it said, and goes on to say until it is made.
async fn logs(session: &mut Session, build: String) -> Result<(), Failure> {
    let app = session.app().await?;
    let stale = session.globals.stale;
    let connection = session.connection().await?;
    let mut told = Told {
        session,
        offset: 0,
        all: BuildLogView::default(),
    };
    connection
        .follow(
            &mut told,
            |told: &Told<'_>| BuildLogsRequest {
                app: app.clone(),
                build: build.clone(),
                stale,
                offset: told.offset,
            },
            |c, r| async move { BuildsClient::new(c).logs(r).await },
            |told, answer: BuildLogsResponse| told.tell(answer),
        )
        .await?;
    let Told { session, all, .. } = told;
    session.console.document(&all)
}

/// Lines that have come: printed at once for people, gathered for programs.
struct Told<'a> {
    session: &'a mut Session,
    offset: u64,
    all: BuildLogView,
}

impl Told<'_> {
    fn tell(&mut self, answer: BuildLogsResponse) -> Result<Next<()>, Failure> {
        self.offset = self.offset.max(answer.offset);
        if self.session.console.is_json() {
            self.all.add(&answer);
        } else {
            for line in &answer.lines {
                self.session.console.line(&line.text)?;
            }
        }
        Ok(if answer.r#final {
            Next::Stop(())
        } else {
            Next::More
        })
    }
}

async fn question(session: &mut Session, build: String) -> Result<GetBuildRequest, Failure> {
    Ok(GetBuildRequest {
        app: session.app().await?,
        build,
        stale: session.globals.stale,
    })
}
