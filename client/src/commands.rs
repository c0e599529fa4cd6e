//! One file for each noun; each verb asks the cluster one thing and shows the answer.

mod apps;
mod cluster;
mod config;
mod context;
mod environment;
mod events;
mod node;
mod processes;
mod receipt;
mod release;
mod variables;

use crate::args::{Noun, tree};
use crate::failure::Failure;
use crate::session::Session;

/// Runs one canonical command.
pub(crate) async fn run(session: &mut Session, noun: Noun) -> Result<(), Failure> {
    // Boxed: each of these is a large state machine, and only one ever runs.
    match noun {
        Noun::Apps(verb) => Box::pin(apps::run(session, verb)).await,
        Noun::Release(verb) => Box::pin(release::run(session, verb)).await,
        Noun::Envs(verb) => Box::pin(environment::run(session, verb)).await,
        Noun::Vars(verb) => Box::pin(variables::run(session, verb)).await,
        Noun::Config(verb) => Box::pin(config::run(session, verb)).await,
        Noun::Ps(options) => Box::pin(processes::list(session, options)).await,
        Noun::Events(options) => Box::pin(events::run(session, options)).await,
        Noun::Node(verb) => Box::pin(node::run(session, verb)).await,
        Noun::Cluster(_) => Box::pin(cluster::status(session)).await,
        Noun::Context(verb) => Box::pin(context::run(session, verb)).await,
        Noun::Version => version(session),
        Noun::Completion { shell } => completion(session, shell),
    }
}

fn version(session: &mut Session) -> Result<(), Failure> {
    let version = env!("CARGO_PKG_VERSION");
    session
        .console
        .result(&serde_json::json!({ "version": version }), |_| {
            format!("fleet {version}\n")
        })
}

fn completion(session: &mut Session, shell: clap_complete::Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut tree(), "fleet", &mut script);
    session.console.write(&String::from_utf8_lossy(&script))
}

/// Whether a page was the last: an empty token, or one that leads in a circle.
fn last_page(token: &mut String, next: String) -> bool {
    let last = next.is_empty() || next == *token;
    *token = next;
    last
}
