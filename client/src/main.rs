//! The `fleet` binary.

use std::process::ExitCode;

use fleet_client::{Exit, Surroundings, run};

fn main() -> ExitCode {
    let exit = match (arguments(), Surroundings::of_this_process(), runtime()) {
        (Some(argv), Ok(surroundings), Ok(runtime)) => runtime.block_on(run(&argv, surroundings)),
        (None, ..) => complain("arguments must be UTF-8", Exit::Usage),
        (_, Err(error), _) => complain(&format!("no working directory: {error}"), Exit::Failed),
        (_, _, Err(error)) => complain(&format!("cannot start: {error}"), Exit::Failed),
    };
    ExitCode::from(exit.code())
}

fn arguments() -> Option<Vec<String>> {
    std::env::args_os()
        .skip(1)
        .map(|word| word.into_string().ok())
        .collect()
}

/// One thread is plenty for one command, and starts sooner.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
}

#[allow(clippy::print_stderr, reason = "there is no console yet")]
fn complain(what: &str, exit: Exit) -> Exit {
    eprintln!("error: {what}");
    exit
}
