//! `context list|add|use|remove`: which clusters this user knows. Asks no cluster.

use serde::Serialize;

use crate::args::ContextVerb;
use crate::context::{Context, ContextsFile, from_daemon};
use crate::failure::Failure;
use crate::output::{Align, Columns, escape};
use crate::session::Session;

pub(super) async fn run(session: &mut Session, verb: ContextVerb) -> Result<(), Failure> {
    match verb {
        ContextVerb::List => list(session),
        ContextVerb::Add {
            name,
            addresses,
            ca_fingerprints,
            token_file,
            local,
        } => {
            let app = session.globals.app.clone();
            let context = if local {
                let target = from_daemon(&session.surroundings).await?;
                Context {
                    name,
                    addresses: target.addresses,
                    token: target.token,
                    ca_fingerprints: target.ca_fingerprints,
                    app,
                }
            } else {
                let token = token(session, token_file.as_deref(), "FLEET_TOKEN")?;
                Context {
                    name,
                    addresses,
                    token: token.unwrap_or_default(),
                    ca_fingerprints,
                    app,
                }
            };
            change(session, "is added", context.name.clone(), |file| {
                file.put(context);
                Ok(())
            })
        }
        ContextVerb::Use { name } => change(session, "is in use", name.clone(), |file| {
            file.switch(&name)
        }),
        ContextVerb::Remove { name } => change(session, "is removed", name.clone(), |file| {
            file.remove(&name)
        }),
    }
}

/// A token: from a file (`-` is the standard input), or a variable.
pub(super) fn token(
    session: &mut Session,
    file: Option<&str>,
    variable: &str,
) -> Result<Option<String>, Failure> {
    let text = match file {
        Some("-") => session.console.read_all()?,
        Some(path) => {
            let path = session.surroundings.directory.join(path);
            std::fs::read_to_string(&path).map_err(|error| {
                Failure::failed(format!("cannot read {}: {error}", path.display()))
            })?
        }
        None => {
            return Ok(session.surroundings.variable(variable).map(str::to_owned));
        }
    };
    Ok(Some(text.trim().to_owned()))
}

/// One context without its token.
#[derive(Debug, Serialize)]
struct ContextView {
    name: String,
    in_use: bool,
    addresses: Vec<String>,
    ca_fingerprints: Vec<String>,
    app: Option<String>,
}

fn list(session: &mut Session) -> Result<(), Failure> {
    let file = ContextsFile::read(&session.surroundings)?;
    let view = |context: &Context| ContextView {
        name: context.name.clone(),
        in_use: file.current() == Some(context.name.as_str()),
        addresses: context.addresses.clone(),
        ca_fingerprints: context.ca_fingerprints.clone(),
        app: context.app.clone(),
    };
    let views: Vec<ContextView> = file.all().iter().map(view).collect();
    session.console.result(&views, |views| {
        let left = |name| (name, Align::Left);
        let mut table = Columns::new(&["name", "in use", "addresses", "app"].map(left));
        for view in views {
            let mark = if view.in_use { "*" } else { "" };
            let app = view.app.clone().unwrap_or_default();
            table.row(vec![
                view.name.clone(),
                mark.to_owned(),
                view.addresses.join(", "),
                app,
            ]);
        }
        table.render()
    })
}

fn change(
    session: &mut Session,
    done: &str,
    name: String,
    act: impl FnOnce(&mut ContextsFile) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut file = ContextsFile::read(&session.surroundings)?;
    act(&mut file)?;
    file.write()?;
    let view = serde_json::json!({ "context": name });
    session
        .console
        .result(&view, |_| format!("Context {} {done}\n", escape(&name)))
}
