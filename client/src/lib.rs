//! fleet's command line, as a library: the binary is a shell around [`run`].
//!
//! A line goes through `grammar` (word order, decided from word lists alone), `args` (options and
//! values), `commands` (what to ask of the cluster), `connection` (whom to ask, and again whom)
//! and `view` (the answer as text or JSON). No rule of the cluster is judged here: the client
//! sends what was asked and prints what was answered.

pub mod args;
mod commands;
mod connection;
mod context;
mod exit;
mod failure;
pub mod grammar;
mod output;
mod package;
mod progress;
mod session;
mod surroundings;
mod view;

use std::io::Write as _;

pub use exit::Exit;
pub use failure::Failure;
pub use output::sparkline;
pub use surroundings::Surroundings;

use args::Format;
use output::Console;

/// Runs one line (without the program's name) to its end.
pub async fn run(argv: &[String], mut surroundings: Surroundings) -> Exit {
    let words = match grammar::canonical(argv) {
        Ok(words) => words,
        Err(misuse) => {
            // The flags could not be read, so look for the one that matters here.
            let json = argv
                .iter()
                .any(|word| word == "json" || word.ends_with("=json"));
            let format = if json { Format::Json } else { Format::Text };
            Console::new(&mut surroundings, format).failure(&misuse.into());
            return Exit::Usage;
        }
    };
    let cli = match args::parse(&words) {
        Ok(cli) => cli,
        Err(error) => return show_page(&error, &mut surroundings),
    };
    let console = Console::new(&mut surroundings, cli.globals.output);
    let mut session = session::Session::new(cli.globals, console, surroundings);
    match commands::run(&mut session, cli.noun).await {
        Ok(()) => Exit::Done,
        Err(failure) => {
            session.console.failure(&failure);
            failure.exit
        }
    }
}

/// Prints a help page to the output, or what clap found wrong to the errors.
fn show_page(error: &clap::Error, surroundings: &mut Surroundings) -> Exit {
    let text = error.render();
    let written = if error.use_stderr() {
        write!(surroundings.errors, "{text}")
    } else {
        write!(surroundings.output, "{text}")
    };
    match (written, error.use_stderr()) {
        (_, true) => Exit::Usage,
        (Ok(()), false) => Exit::Done,
        (Err(_), false) => Exit::Failed,
    }
}
