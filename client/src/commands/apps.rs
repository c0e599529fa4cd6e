//! `apps`: the things that are released.

use fleet_proto::v1::apps_client::AppsClient;
use fleet_proto::v1::{
    CancelRolloutRequest, CreateAppRequest, DeleteAppRequest, GetAppRequest, ListAppsRequest,
    SetLockedRequest,
};

use super::receipt;
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
        AppVerb::Cancel { name } => cancel(session, name).await,
        AppVerb::Lock { name } => lock(session, name, true).await,
        AppVerb::Unlock { name } => lock(session, name, false).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let stale = session.globals.stale;
    let question = |page_size, page_token| ListAppsRequest {
        stale,
        page_size,
        page_token,
    };
    let apps = session
        .pages(
            None,
            question,
            |c, r| async move { AppsClient::new(c).list(r).await },
            |page| (page.apps, page.next_page_token),
        )
        .await?;
    session.console.result(&AppList::new(&apps), AppList::text)
}

async fn create(session: &mut Session, name: Option<String>) -> Result<(), Failure> {
    let named = name
        .or_else(|| session.explicit_app())
        .or_else(|| session.directory_name());
    let name = named.ok_or_else(|| {
        Failure::usage("this directory's name cannot name an app").hint("fleet apps create NAME")
    })?;
    let command = CreateAppRequest {
        request_id: Connection::request_id(),
        name: name.clone(),
    };
    let answer = session
        .write(
            command,
            |c, r| async move { AppsClient::new(c).create(r).await },
        )
        .await?;
    let message = |_: &_| format!("Creating {name}... OK");
    receipt::tell(session, answer.receipt, message).await
}

async fn delete(session: &mut Session, app: String, no_confirm: bool) -> Result<(), Failure> {
    if !no_confirm {
        info(session, Some(app.clone())).await?;
        session.confirm(&app, "Type the name of the app to delete it")?;
    }
    let command = DeleteAppRequest {
        request_id: Connection::request_id(),
        app: app.clone(),
    };
    let answer = session
        .write(
            command,
            |c, r| async move { AppsClient::new(c).delete(r).await },
        )
        .await?;
    let message = |_: &_| format!("Deleting {app}... OK");
    receipt::tell(session, answer.receipt, message).await
}

async fn info(session: &mut Session, name: Option<String>) -> Result<(), Failure> {
    let question = GetAppRequest {
        app: app_or(session, name).await?,
        stale: session.globals.stale,
    };
    let answer = session
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

async fn cancel(session: &mut Session, name: Option<String>) -> Result<(), Failure> {
    let command = CancelRolloutRequest {
        request_id: Connection::request_id(),
        app: app_or(session, name).await?,
        environment: session.environment(),
    };
    let answer = session
        .write(
            command,
            |c, r| async move { AppsClient::new(c).cancel(r).await },
        )
        .await?;
    let message =
        |r: &fleet_proto::v1::Receipt| format!("Cancelling deployment of {}... OK", r.app);
    receipt::tell(session, answer.receipt, message).await
}

async fn lock(session: &mut Session, name: Option<String>, on: bool) -> Result<(), Failure> {
    let command = SetLockedRequest {
        request_id: Connection::request_id(),
        app: app_or(session, name).await?,
        on,
    };
    let answer = session
        .write(command, |c, r| async move {
            AppsClient::new(c).set_locked(r).await
        })
        .await?;
    let verb = if on { "Locking" } else { "Unlocking" };
    let message = |r: &fleet_proto::v1::Receipt| format!("{verb} {}... OK", r.app);
    receipt::tell(session, answer.receipt, message).await
}

/// The app that is named here, or the one in question.
async fn app_or(session: &mut Session, name: Option<String>) -> Result<String, Failure> {
    match name {
        Some(name) => Ok(name),
        None => session.app().await,
    }
}
