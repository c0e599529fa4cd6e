//! `fleetd`: one binary, the four processes of a node.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Parser as _;
use fleet_node::config::{Node, Process, Run, Settings};
use fleet_node::{agent, control, holder, telemetry};

fn main() -> ExitCode {
    let run = Run::parse();
    telemetry::init();
    match dispatch(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(run: Run) -> anyhow::Result<()> {
    let settings = Settings::load(&run.flags).context("the settings are not usable")?;
    match run.process {
        // Without a runtime: nothing may run between its clone and its exec but its own thread.
        Some(Process::Hold) => Ok(holder::run(holder::HoldArgs {
            data_dir: settings.data_dir,
        })?),
        Some(Process::Control) => with_runtime(control::run(&Node::load(settings)?)),
        Some(Process::Ingress) => with_runtime(fleet_ingress::run(&Node::load(settings)?)),
        Some(Process::Stop) => with_runtime(agent::stop(&settings)),
        Some(Process::Moved) => agent::moved(&settings),
        None => with_runtime(agent::run(settings)),
    }
}

fn with_runtime(process: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.context("failed starting the runtime")?;
    let outcome = runtime.block_on(process);
    // What is still running was told to end and is not waited for.
    runtime.shutdown_background();
    outcome
}
