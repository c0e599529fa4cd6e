//! Twice as many busy loops as processors beside a cluster that has nothing to do: its leader is heard
//! in time, so nobody is elected. Twenty seconds, or five minutes with `FLEET_LONG=1`.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};
use fleet_cluster_tests::cluster::Cluster;
use fleet_cluster_tests::wait;

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_machine_elects_nobody() -> Result<()> {
    let span = match std::env::var_os("FLEET_LONG") {
        Some(_) => Duration::from_secs(300),
        None => Duration::from_secs(20),
    };
    let cluster = Cluster::start(3).await?;
    let leader = cluster.ready().await?;
    let processors = std::thread::available_parallelism()?.get();
    let mut hogs: Vec<Hog> = (0..2 * processors)
        .map(|_| Hog::start())
        .collect::<Result<_>>()?;
    let before = cluster.api(leader)?.status().await?;
    let held = wait::holds_for("one term", span, async || {
        for index in 0..3 {
            let status = cluster.api(index)?.status().await?;
            let (term, leader) = (status.term, status.leader_id);
            ensure!(
                (term, leader) == (before.term, before.leader_id),
                "node {} is in term {term} under {leader}, it was {} under {}",
                status.node_id,
                before.term,
                before.leader_id
            );
        }
        Ok(())
    })
    .await;
    for hog in &mut hogs {
        ensure!(hog.runs()?, "a hog ended early: nothing was shown");
    }
    drop(hogs);
    held?;
    cluster.end()
}

/// A process that does nothing but compute; ends with the value.
struct Hog(Child);

impl Hog {
    fn start() -> Result<Hog> {
        let child = Command::new("sh")
            .args(["-c", "while :; do :; done"])
            .stdin(Stdio::null())
            .spawn()?;
        Ok(Hog(child))
    }

    fn runs(&mut self) -> Result<bool> {
        Ok(self.0.try_wait()?.is_none())
    }
}

impl Drop for Hog {
    fn drop(&mut self) {
        // It computes for ever: there is nothing to wait for but its end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
