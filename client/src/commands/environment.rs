//! `env` verbs about environments: what is in them, what runs, and their settings.

mod access;
mod autoscaling;
mod destroy;
mod settings;

use fleet_proto::v1::environments_client::EnvironmentsClient;
use fleet_proto::v1::{
    ActivateRequest, CreateEnvironmentRequest, DescribeEnvironmentRequest, EnvironmentDescription,
    EnvironmentRequest, ListEnvironmentsRequest, LoadRequest, Receipt, UnloadRequest,
};

use super::receipt;
use crate::args::{EnvironmentVerb, OnOff};
use crate::connection::Connection;
use crate::failure::Failure;
use crate::session::Session;
use crate::view::{DescriptionView, EnvironmentList};
use settings::Switch;

pub(super) async fn run(session: &mut Session, verb: EnvironmentVerb) -> Result<(), Failure> {
    match verb {
        EnvironmentVerb::List => list(session).await,
        EnvironmentVerb::Create {
            clone,
            environment,
            whitelist,
            ssl_certificate,
            protected,
        } => {
            if let Some(option) = clone.asked() {
                let what = format!("\"fleet env create {option}\" is not in this version");
                return Err(Failure::usage(what));
            }
            let command = CreateEnvironmentRequest {
                request_id: Connection::request_id(),
                app: session.app().await?,
                name: environment,
                whitelist: whitelist.unwrap_or_default(),
                certificate: ssl_certificate.unwrap_or_default(),
                protected,
            };
            create(session, command).await
        }
        EnvironmentVerb::Describe { environment } => {
            let view = DescriptionView::from(&described(session, environment).await?);
            session.console.result(&view, DescriptionView::text)
        }
        EnvironmentVerb::Destroy {
            environment,
            no_confirm,
            ..
        } => destroy::run(session, environment, no_confirm).await,
        EnvironmentVerb::Load {
            environment,
            release,
        } => load(session, environment, release).await,
        EnvironmentVerb::Activate {
            environment,
            release,
            now,
        } => activate(session, environment, release, now).await,
        EnvironmentVerb::Deactivate { environment } => deactivate(session, environment).await,
        EnvironmentVerb::Unload {
            environment,
            release,
            ..
        } => unload(session, environment, release).await,
        EnvironmentVerb::Cancel { environment } => cancel(session, environment).await,
        EnvironmentVerb::Autoscaling(verb) => autoscaling::run(session, verb).await,
        EnvironmentVerb::Recycling {
            environment,
            switch,
        } => settings::switch(session, Switch::Recycling, environment, switch == OnOff::On).await,
        EnvironmentVerb::Guard {
            environment,
            seconds,
        } => settings::guard(session, environment, seconds).await,
        EnvironmentVerb::Cert {
            environment,
            certificate,
        } => settings::certificate(session, environment, certificate).await,
        EnvironmentVerb::Whitelist {
            environment,
            whitelist,
        } => access::whitelist(session, environment, whitelist).await,
        EnvironmentVerb::Limits {
            environment,
            limits,
        } => access::limits(session, environment, limits).await,
        EnvironmentVerb::Redirect {
            environment,
            switch,
        } => settings::switch(session, Switch::Redirect, environment, switch == OnOff::On).await,
        EnvironmentVerb::Maintenance {
            environment,
            switch,
        } => {
            settings::switch(
                session,
                Switch::Maintenance,
                environment,
                switch == OnOff::On,
            )
            .await
        }
        EnvironmentVerb::Protected {
            environment,
            switch,
        } => settings::switch(session, Switch::Protected, environment, switch == OnOff::On).await,
    }
}

async fn list(session: &mut Session) -> Result<(), Failure> {
    let app = session.app().await?;
    let stale = session.globals.stale;
    let question = |page_size, page_token| ListEnvironmentsRequest {
        app: app.clone(),
        stale,
        page_size,
        page_token,
    };
    let environments = session
        .pages(
            None,
            question,
            |c, r| async move { EnvironmentsClient::new(c).list(r).await },
            |page| (page.environments, page.next_page_token),
        )
        .await?;
    session
        .console
        .result(&EnvironmentList::new(&environments), EnvironmentList::text)
}

/// Asks for everything about an environment.
async fn described(
    session: &mut Session,
    environment: String,
) -> Result<EnvironmentDescription, Failure> {
    let app = session.app().await?;
    let question = DescribeEnvironmentRequest {
        app,
        environment,
        stale: session.globals.stale,
    };
    let answer = session
        .read(question, |c, r| async move {
            EnvironmentsClient::new(c).describe(r).await
        })
        .await?;
    Ok(answer.description.unwrap_or_default())
}

async fn create(session: &mut Session, command: CreateEnvironmentRequest) -> Result<(), Failure> {
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).create(r).await
        })
        .await?;
    let message = |r: &_| format!("Environment {} is now being created", environment_of(r));
    receipt::tell(session, answer.receipt, message).await
}

async fn load(session: &mut Session, environment: String, release: String) -> Result<(), Failure> {
    let app = session.app().await?;
    let command = LoadRequest {
        request_id: Connection::request_id(),
        app,
        environment,
        release,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).load(r).await
        })
        .await?;
    // The wording of this and of activate is fixed: scripts of the predecessor look for it.
    let message = |r: &Receipt| {
        format!(
            "Release {} is now being loaded into environment {}",
            r.release, r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

async fn activate(
    session: &mut Session,
    environment: String,
    release: String,
    now: bool,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let command = ActivateRequest {
        request_id: Connection::request_id(),
        app,
        environment,
        release,
        now,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).activate(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Release {} is now being activated for environment {}",
            r.release, r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

async fn deactivate(session: &mut Session, environment: String) -> Result<(), Failure> {
    let command = named(session, environment).await?;
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).deactivate(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Release {} is now being deactivated in environment {}",
            r.release, r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

async fn unload(
    session: &mut Session,
    environment: String,
    release: String,
) -> Result<(), Failure> {
    let app = session.app().await?;
    let command = UnloadRequest {
        request_id: Connection::request_id(),
        app,
        environment,
        release,
    };
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).unload(r).await
        })
        .await?;
    let message = |r: &Receipt| {
        format!(
            "Release {} is now being unloaded from environment {}",
            r.release, r.environment
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

async fn cancel(session: &mut Session, environment: String) -> Result<(), Failure> {
    let command = named(session, environment).await?;
    let answer = session
        .write(command, |c, r| async move {
            EnvironmentsClient::new(c).cancel(r).await
        })
        .await?;
    let message = |r: &_| {
        format!(
            "The rollout in environment {} is now being reversed",
            environment_of(r)
        )
    };
    receipt::tell(session, answer.receipt, message).await
}

/// A command that needs an environment and nothing else.
async fn named(session: &mut Session, environment: String) -> Result<EnvironmentRequest, Failure> {
    let app = session.app().await?;
    Ok(EnvironmentRequest {
        request_id: Connection::request_id(),
        app,
        environment,
    })
}

fn environment_of(receipt: &Receipt) -> &str {
    &receipt.environment
}
