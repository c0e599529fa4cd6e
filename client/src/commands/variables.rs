//! `env`, `env get|set|unset`: variables. Values are data: printed only when asked for.

use std::collections::BTreeMap;

use fleet_proto::v1::variables_client::VariablesClient;
use fleet_proto::v1::{
    ChangeVariablesResponse, ListVariablesRequest, ListVariablesResponse, SetVariablesRequest,
    UnsetVariablesRequest,
};

use super::receipt::notices;
use crate::args::VariableVerb;
use crate::connection::Connection;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::grammar::{is_environment_name, nearest};
use crate::output::escape;
use crate::progress;
use crate::session::Session;
use crate::view::{VariableChangeView, VariablesView};

pub(super) async fn run(session: &mut Session, verb: VariableVerb) -> Result<(), Failure> {
    match verb {
        VariableVerb::List { release, .. } => list(session, release).await,
        VariableVerb::Get { name } => get(session, name).await,
        VariableVerb::Set { pairs, replace } => set(session, pairs, replace).await,
        VariableVerb::Unset { names } => unset(session, names).await,
    }
}

async fn list(session: &mut Session, release: Option<String>) -> Result<(), Failure> {
    let answer = asked(session, release).await?;
    session
        .console
        .result(&VariablesView::from(&answer), VariablesView::text)?;
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
    let connection = session.connection().await?;
    connection
        .read(question, |c, r| async move {
            VariablesClient::new(c).list(r).await
        })
        .await
}

async fn get(session: &mut Session, name: String) -> Result<(), Failure> {
    let answer = asked(session, None).await?;
    let Some(value) = answer.variables.get(&name) else {
        let what = format!("no variable {name} in environment {}", answer.environment);
        let mut failure = Failure::new(Exit::NotFound, "UNKNOWN_VARIABLE", what);
        let near = nearest(&name, answer.variables.keys().map(String::as_str));
        failure.candidates = near.map(str::to_owned).into_iter().collect();
        return Err(failure);
    };
    if session.console.is_json() {
        let value = serde_json::json!({ "name": name, "value": value });
        return session.console.result(&value, |_| String::new());
    }
    // A pipe wants the value as it is, whatever is in it; a terminal must not.
    let shown = if session.console.output_is_terminal {
        escape(value)
    } else {
        value.clone()
    };
    session.console.write(&format!("{shown}\n"))
}

async fn set(session: &mut Session, pairs: Vec<String>, replace: bool) -> Result<(), Failure> {
    let variables = if pairs.is_empty() {
        parse_lines(&session.console.read_all()?)?
    } else {
        pairs
            .iter()
            .map(|pair| split_pair(pair))
            .collect::<Result<_, _>>()?
    };
    if variables.is_empty() && !replace {
        return Err(Failure::usage("no variable to set").hint("fleet env set NAME=VALUE..."));
    }
    let names = variables.keys().cloned().collect::<Vec<_>>().join(", ");
    let app = session.app().await?;
    let environment = session.environment();
    let connection = session.connection().await?;
    let request_id = Connection::request_id();
    let command = SetVariablesRequest {
        request_id,
        app,
        environment,
        variables,
        replace,
    };
    begin(session, &format!("Setting {names}... "))?;
    let answer = connection
        .write(command, |c, r| async move {
            VariablesClient::new(c).set(r).await
        })
        .await;
    finish(session, answer).await
}

async fn unset(session: &mut Session, names: Vec<String>) -> Result<(), Failure> {
    let app = session.app().await?;
    let environment = session.environment();
    let connection = session.connection().await?;
    let text = format!("Unsetting {}... ", names.join(", "));
    let request_id = Connection::request_id();
    let command = UnsetVariablesRequest {
        request_id,
        app,
        environment,
        names,
    };
    begin(session, &text)?;
    let answer = connection
        .write(command, |c, r| async move {
            VariablesClient::new(c).unset(r).await
        })
        .await;
    finish(session, answer).await
}

fn begin(session: &mut Session, text: &str) -> Result<(), Failure> {
    if session.console.is_json() {
        Ok(())
    } else {
        session.console.write(&escape(text))
    }
}

/// Ends the line that was begun, and names the release that holds the change.
async fn finish(
    session: &mut Session,
    answer: Result<ChangeVariablesResponse, Failure>,
) -> Result<(), Failure> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(failure) => {
            begin(session, "")?;
            if !session.console.is_json() {
                session.console.write("\n")?;
            }
            return Err(failure);
        }
    };
    let view = VariableChangeView::from(&answer);
    session.console.result(&view, VariableChangeView::text)?;
    if let Some(receipt) = &answer.receipt {
        notices(session, receipt);
        if let Some(target) = receipt.wait.clone().filter(|_| session.globals.wait) {
            progress::wait(session, target).await?;
        }
    }
    Ok(())
}

fn split_pair(pair: &str) -> Result<(String, String), Failure> {
    match pair.split_once('=') {
        Some(("", _)) => Err(Failure::usage(format!(
            "\"{pair}\" has no name before the ="
        ))),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None if is_environment_name(pair) => Err(Failure::usage(format!(
            "\"{pair}\" is no NAME=VALUE"
        ))
        .hint(format!(
            "for environment {pair}: fleet env {pair} set NAME=VALUE"
        ))),
        None => Err(Failure::usage(format!("\"{pair}\" is no NAME=VALUE"))),
    }
}

/// Lines NAME=VALUE; empty ones and those that begin with # are skipped. Values are taken as they
/// stand, quotes and all.
fn parse_lines(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let lines = text.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(split_pair)
        .collect()
}
