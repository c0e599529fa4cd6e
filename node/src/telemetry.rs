//! Where the node's own log lines go: standard error, which the holder keeps in bounded files.

use tracing_subscriber::EnvFilter;

/// What is logged unless `FLEETD_LOG` says otherwise. The consensus library tells of each step of
/// an election at `info`; what an operator needs of that, the consensus room says itself.
const FILTER: &str = "info,openraft=warn";

/// Starts logging for one process of the node; filtered by `FLEETD_LOG`.
///
/// Lines are text on a terminal and JSON elsewhere, so that files and journals can be searched
/// by field.
pub fn init() {
    use std::io::IsTerminal as _;
    let filter = EnvFilter::try_from_env("FLEETD_LOG").unwrap_or_else(|_| EnvFilter::new(FILTER));
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // Only the first call of a process counts; a test may have set its own subscriber.
    let _ = if std::io::stderr().is_terminal() {
        lines.with_target(false).try_init()
    } else {
        lines.json().flatten_event(true).try_init()
    };
}

/// Resolves when the process is asked to end, by SIGTERM or from the terminal.
pub async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    let asked = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(error) => {
            tracing::error!(%error, "could not listen for signals");
            std::future::pending().await
        }
    };
    tokio::select! {
        () = asked(SignalKind::terminate()) => {}
        () = asked(SignalKind::interrupt()) => {}
    }
}
