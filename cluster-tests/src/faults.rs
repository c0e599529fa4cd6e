//! What can be done to the processes of a node.

use anyhow::{Result, anyhow};
use rustix::process::Signal;

use crate::node::Node;
use crate::process::{Process, Role};
use crate::wait;

/// Kills the node's process of that role and waits until it is gone. Returns what was killed.
pub async fn kill(node: &Node, role: Role) -> Result<Process> {
    let victim = node.process(role)?;
    victim.kill()?;
    gone(&victim).await?;
    Ok(victim)
}

/// Kills every process of the node, frontends and all: the machine loses power.
pub async fn power_off(node: &Node) -> Result<()> {
    wait::until(
        &format!("the end of {}", node.name),
        wait::GENEROUS,
        async || {
            let running = node.processes();
            for process in &running {
                // What ended between the list and the signal is what was wanted.
                drop(process.kill());
            }
            if running.is_empty() {
                Ok(())
            } else {
                Err(anyhow!("still alive: {running:?}"))
            }
        },
    )
    .await
}

/// Stops a process in its tracks until the value is dropped or [`Frozen::thaw`]ed.
pub fn freeze(node: &Node, role: Role) -> Result<Frozen> {
    let process = node.process(role)?;
    process.signal(Signal::STOP)?;
    Ok(Frozen { process })
}

/// A process under SIGSTOP.
#[derive(Debug)]
pub struct Frozen {
    pub process: Process,
}

impl Frozen {
    pub fn thaw(self) {}
}

impl Drop for Frozen {
    fn drop(&mut self) {
        // It may have been killed while it was frozen.
        drop(self.process.signal(Signal::CONT));
    }
}

/// Waits until the very process has ended.
pub async fn gone(process: &Process) -> Result<()> {
    wait::until_true(&format!("the end of process {}", process.pid), async || {
        !process.is_alive()
    })
    .await
}

/// Waits for another process in the role of one that ended.
pub async fn replaced(node: &Node, before: &Process) -> Result<Process> {
    let what = format!("a new {:?} process on {}", before.role, node.name);
    wait::until(&what, wait::GENEROUS, async || {
        let now = node.process(before.role)?;
        if now.pid == before.pid && now.started == before.started {
            return Err(anyhow!("process {} still runs", now.pid));
        }
        Ok(now)
    })
    .await
}
