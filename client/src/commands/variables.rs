//! `env`, `env get|set|unset|edit|mask`: variables. Values are data: printed only when asked for.

mod edit;
mod mask;
mod text;

use std::collections::BTreeMap;

use fleet_proto::v1::variables_client::VariablesClient;
use fleet_proto::v1::{
    ChangeVariablesResponse, ListVariablesRequest, ListVariablesResponse, SetVariablesRequest,
    UnsetVariablesRequest,
};

use super::promotion;
use super::receipt::notices;
use crate::args::{ChangeOptions, PromoteOptions, SetArgs, VariableVerb};
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grammar::nearest;
use crate::session::Session;
use crate::view::{Masking, VariableChangeView, VariablesView};

pub(super) async fn run(session: &mut Session, verb: VariableVerb) -> Result<(), Failure> {
    match verb {
        VariableVerb::List { release, reveal } => list(session, release, reveal).await,
        VariableVerb::Get { name, release } => get(session, name, release).await,
        VariableVerb::Set(options) => set(session, options).await,
        VariableVerb::Unset { names, change } => unset(session, names, change).await,
        VariableVerb::Edit { change } => edit::run(session, change).await,
        VariableVerb::Mask { verb } => mask::run(session, verb).await,
    }
}

async fn list(session: &mut Session, release: Option<String>, reveal: bool) -> Result<(), Failure> {
    let answer = asked(session, release).await?;
    let masking = Masking::on(&session.console, &answer.masked, reveal);
    session
        .console
        .result(&VariablesView::from(&answer), |view| view.text(&masking))?;
    if session.console.output_is_terminal && !session.console.is_json() {
        session
            .console
            .remark("(these are variables; environments: fleet env list)");
    }
    Ok(())
}

async fn asked(
    session: &mut Session,
    release: Option<String>,
) -> Result<ListVariablesResponse, Failure> {
    let question = ListVariablesRequest {
        app: session.app().await?,
        environment: session.environment(),
        release: release.unwrap_or_default(),
        stale: session.globals.stale,
    };
    session
        .read(question, |c, r| async move {
            VariablesClient::new(c).list(r).await
        })
        .await
}

async fn get(session: &mut Session, name: String, release: Option<String>) -> Result<(), Failure> {
    let answer = asked(session, release).await?;
    let Some(value) = answer.variables.get(&name) else {
        let what = format!("no variable {name} in environment {}", answer.environment);
        let mut failure = Failure::new(Exit::NotFound, "UNKNOWN_VARIABLE", what);
        let near = nearest(&name, answer.variables.keys().map(String::as_str));
        failure.candidates = near.map(str::to_owned).into_iter().collect();
        return Err(failure);
    };
    if session.console.is_json() {
        let value = serde_json::json!({ "name": name, "value": value });
        return session.console.document(&value);
    }
    // A pipe wants the value as it is, whatever is in it; a terminal must not. Who asks for one
    // value by its name wants to see it: it is not masked.
    let shown = if session.console.output_is_terminal {
        crate::output::escape(value)
    } else {
        value.clone()
    };
    session.console.write(&format!("{shown}\n"))
}

async fn set(session: &mut Session, options: SetArgs) -> Result<(), Failure> {
    let SetArgs {
        pairs,
        replace,
        change,
    } = options;
    let variables = if !pairs.is_empty() {
        text::pairs(&pairs)?
    } else if session.console.input_is_terminal {
        BTreeMap::new()
    } else {
        text::lines(&session.console.read_all()?)?
    };
    if variables.is_empty() && !replace {
        return Err(Failure::usage("no variable to set").hint("fleet env set NAME=VALUE..."));
    }
    let mut command = SetVariablesRequest {
        variables,
        replace,
        ..SetVariablesRequest::default()
    };
    let names: Vec<&str> = command.variables.keys().map(String::as_str).collect();
    let step = if names.is_empty() {
        "Unsetting all... ".to_owned()
    } else {
        format!("Setting {}... ", names.join(", "))
    };
    begin(session, &mut command, &change).await?;
    send(session, command, &step, change).await
}

async fn unset(
    session: &mut Session,
    names: Vec<String>,
    change: ChangeOptions,
) -> Result<(), Failure> {
    let step = format!("Unsetting {}... ", names.join(", "));
    session.console.id_only = change.id;
    let command = UnsetVariablesRequest {
        request_id: Connection::request_id(),
        app: session.app().await?,
        environment: session.environment(),
        names,
        release: change.release.clone().unwrap_or_default(),
    };
    session.console.step(&step)?;
    let answer = session
        .write(command, |c, r| async move {
            VariablesClient::new(c).unset(r).await
        })
        .await;
    finish(session, answer, change).await
}

/// Fills in where a change goes.
async fn begin(
    session: &mut Session,
    command: &mut SetVariablesRequest,
    change: &ChangeOptions,
) -> Result<(), Failure> {
    session.console.id_only = change.id;
    command.request_id = Connection::request_id();
    command.app = session.app().await?;
    command.environment = session.environment();
    command.release = change.release.clone().unwrap_or_default();
    Ok(())
}

async fn send(
    session: &mut Session,
    command: SetVariablesRequest,
    step: &str,
    change: ChangeOptions,
) -> Result<(), Failure> {
    session.console.step(step)?;
    let answer = session
        .write(command, |c, r| async move {
            VariablesClient::new(c).set(r).await
        })
        .await;
    finish(session, answer, change).await
}

/// Ends the step, names the release that holds the change, and promotes it if that is wanted.
async fn finish(
    session: &mut Session,
    answer: Result<ChangeVariablesResponse, Failure>,
    change: ChangeOptions,
) -> Result<(), Failure> {
    session.console.end_step(&answer)?;
    let answer = answer?;
    let mut view = VariableChangeView::from(&answer);
    if !view.release_id.is_empty() {
        let id = view.release_id.clone();
        session.console.line(&format!("Release: {id}"))?;
        session.console.id(&id)?;
    }
    if let Some(receipt) = answer.receipt.filter(|_| !session.console.is_json()) {
        notices(session, &receipt);
    }
    if change.promote {
        let id = view.release_id.clone();
        view.promotion = Some(promotion::promote(session, id, PromoteOptions::default()).await?);
    }
    session.console.document(&view)
}
