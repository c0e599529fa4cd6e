//! Stopping a whole node on purpose, which is the one thing that ends its frontends.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::lock::Lock;
use crate::config::Settings;
use crate::holder;

/// For frontends and ingress to end their requests.
const GRACE: Duration = Duration::from_secs(35);

/// For the agent, which has nothing to finish.
const AGENT_WITHIN: Duration = Duration::from_secs(10);

/// For the holder, once nothing is left that it holds.
const HOLDER_WITHIN: Duration = Duration::from_secs(10);

const LOOK: Duration = Duration::from_millis(20);

/// Ends the agent, every frontend and tenant with their graces, and the holder. Works as well
/// when the agent is already gone.
///
/// # Errors
/// When the agent does not end or the holder cannot be asked.
pub async fn stop(settings: &Settings) -> anyhow::Result<()> {
    let paths = settings.paths();
    // The agent first: it would start again what is stopped.
    end_agent(settings).await?;
    match holder::Client::connect(&paths.run()).await {
        Ok(holder) => {
            holder
                .shutdown_all(GRACE)
                .await
                .context("the holder could not end everything")?;
            // It answers before it ends, and whoever asked for the stop may look at once.
            ended(&paths.holder_lock(), HOLDER_WITHIN, "holder", |_| Ok(())).await?;
            tracing::info!("everything on this node has ended");
        }
        Err(holder::Error::Unreachable { .. }) => tracing::info!("nothing was running"),
        Err(error) => return Err(error).context("the holder could not be asked"),
    }
    Ok(())
}

async fn end_agent(settings: &Settings) -> anyhow::Result<()> {
    let mut told = None;
    let tell = |pid: u32| {
        if told != Some(pid) {
            let raw = i32::try_from(pid).ok().and_then(Pid::from_raw);
            let process = raw.context("the lock of the agent names no process")?;
            kill_process(process, Signal::TERM).context("the agent could not be told to end")?;
            told = Some(pid);
        }
        Ok(())
    };
    ended(&settings.paths().agent_lock(), AGENT_WITHIN, "agent", tell).await
}

/// Waits until nobody holds a lock; `tell` hears at every look who does.
async fn ended(
    lock: &Path,
    within: Duration,
    who: &str,
    mut tell: impl FnMut(u32) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    let deadline = Instant::now() + within;
    while let Some(pid) = Lock::holder(lock)? {
        anyhow::ensure!(
            Instant::now() < deadline,
            "the {who} (pid {pid}) does not end"
        );
        tell(pid)?;
        sleep(LOOK).await;
    }
    Ok(())
}
