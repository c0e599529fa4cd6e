//! `apps list|create|delete|info`.

use fleet_proto::v1::apps_client::AppsClient;
use fleet_proto::v1::{App, CreateAppRequest, DeleteAppRequest, GetAppRequest, ListAppsRequest};

use super::{last_page, receipt};
use crate::args::AppVerb;
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{AppList, AppView};

pub(super) async fn run(session: &mut Session, verb: AppVerb) -> Result<(), Failure> {
    match verb {
        AppVerb::List => list(session).await,
        AppVerb::Create { name } => create(session, name).await,
        AppVerb::Delete { name, no_confirm } => delete(session, name, no_confirm).await,
        AppVerb::Info { name } => info(session, name).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let connection = session.connection().await?;
    let mut apps: Vec<App> = Vec::new();
    let mut page_token = String::new();
    loop {
        let question = ListAppsRequest {
            stale: session.globals.stale,
            page_size: 0,
            page_token: page_token.clone(),
        };
        let page = connection
            .read(
                question,
                |c, r| async move { AppsClient::new(c).list(r).await },
            )
            .await?;
        apps.extend(page.apps);
        if last_page(&mut page_token, page.next_page_token) {
            break;
        }
    }
    session.console.result(&AppList::new(&apps), AppList::text)
}

async fn create(session: &mut Session, name: Option<String>) -> Result<(), Failure> {
    let named = name
        .or_else(|| session.explicit_app())
        .or_else(|| session.directory_name());
    let name = named.ok_or_else(|| {
        Failure::usage("this directory's name cannot name an app").hint("fleet apps create NAME")
    })?;
    let connection = session.connection().await?;
    let command = CreateAppRequest {
        request_id: Connection::request_id(),
        name: name.clone(),
    };
    let answer = connection
        .write(
            command,
            |c, r| async move { AppsClient::new(c).create(r).await },
        )
        .await?;
    let wait = session.globals.wait;
    receipt::settle(
        session,
        answer.receipt,
        |_| format!("Creating {name}... OK"),
        wait,
    )
    .await
}

async fn delete(session: &mut Session, app: String, no_confirm: bool) -> Result<(), Failure> {
    if !no_confirm {
        info(session, Some(app.clone())).await?;
        session.confirm(&app, "Type the name of the app to delete it")?;
    }
    let connection = session.connection().await?;
    let command = DeleteAppRequest {
        request_id: Connection::request_id(),
        app: app.clone(),
    };
    let answer = connection
        .write(
            command,
            |c, r| async move { AppsClient::new(c).delete(r).await },
        )
        .await?;
    let wait = session.globals.wait;
    receipt::settle(
        session,
        answer.receipt,
        |_| format!("Deleting {app}... OK"),
        wait,
    )
    .await
}

async fn info(session: &mut Session, name: Option<String>) -> Result<(), Failure> {
    let app = match name {
        Some(name) => name,
        None => session.app().await?,
    };
    let connection = session.connection().await?;
    let question = GetAppRequest {
        app,
        stale: session.globals.stale,
    };
    let answer = connection
        .read(
            question,
            |c, r| async move { AppsClient::new(c).get(r).await },
        )
        .await?;
    session.console.result(
        &AppView::from(&answer.app.unwrap_or_default()),
        AppView::text,
    )
}
