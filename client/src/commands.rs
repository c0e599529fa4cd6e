//! One file for each noun; each verb asks the cluster one thing and shows the answer.

mod apps;
mod build;
mod builds;
mod certificate;
mod cluster;
mod config;
mod context;
mod environment;
mod events;
mod log;
mod node;
mod processes;
mod promotion;
mod receipt;
mod release;
mod releases;
mod services;
mod source;
mod variables;
mod whitelist;

use crate::args::{Noun, tree};
use crate::failure::Failure;
use crate::session::Session;

/// Runs one canonical command.
pub(crate) async fn run(session: &mut Session, noun: Noun) -> Result<(), Failure> {
    // Boxed: each of these is a large state machine, and only one ever runs.
    match noun {
        Noun::Apps(verb) => Box::pin(apps::run(session, verb)).await,
        Noun::Release(verb) => Box::pin(release::run(session, verb)).await,
        Noun::Build(options) => Box::pin(build::build(session, options)).await,
        Noun::Builds(verb) => Box::pin(builds::run(session, verb)).await,
        Noun::Deploy(options) => Box::pin(build::deploy(session, options)).await,
        Noun::Releases(verb) => Box::pin(releases::run(session, verb)).await,
        Noun::Scale(options) => Box::pin(services::scale(session, options)).await,
        Noun::Restart => Box::pin(services::restart(session, None)).await,
        Noun::Services(verb) => Box::pin(services::run(session, verb)).await,
        Noun::Envs(verb) => Box::pin(environment::run(session, verb)).await,
        Noun::Vars(verb) => Box::pin(variables::run(session, verb)).await,
        Noun::Cert(verb) => Box::pin(certificate::run(session, verb)).await,
        Noun::Whitelist(verb) => Box::pin(whitelist::run(session, verb)).await,
        Noun::Config(verb) => Box::pin(config::run(session, verb)).await,
        Noun::Ps(options) => Box::pin(processes::list(session, options)).await,
        Noun::Events(options) => Box::pin(events::run(session, options)).await,
        Noun::Log(verb) => Box::pin(log::run(session, verb)).await,
        Noun::Node(verb) => Box::pin(node::run(session, verb)).await,
        Noun::Cluster(verb) => Box::pin(cluster::run(session, verb)).await,
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
