//! `fleet-attack ATTACK ADDRESS HOST`: one attack, until standard input ends. Says `standing` once all its
//! connections have come about.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use fleet_cluster_tests::attack::Attack;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::io::AsyncReadExt as _;

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [attack, address, host] = arguments.as_slice() else {
        anyhow::bail!("fleet-attack ATTACK ADDRESS HOST");
    };
    let (attack, address) = (Attack::named(attack)?, address.parse()?);
    rustix::process::setpriority_process(None, attack.nice()).context("becoming nice")?;
    // A descriptor for each connection.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let all = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, all).context("taking descriptors")?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let ended = runtime.block_on(until_told(attack, address, host));
    // A runtime waits for its read of standard input otherwise, which may not end.
    runtime.shutdown_background();
    ended
}

async fn until_told(attack: Attack, address: SocketAddr, host: &str) -> Result<()> {
    let standing = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&standing);
    let said = async {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        while seen.load(Ordering::Relaxed) < attack.connections() {
            look.tick().await;
        }
        let mut out = std::io::stdout();
        writeln!(out, "standing")?;
        out.flush()?;
        std::future::pending::<Result<()>>().await
    };
    tokio::select! {
        () = attack.go_on(address, host, standing) => Ok(()),
        said = said => said,
        _ = async { tokio::io::stdin().read_to_end(&mut Vec::new()).await } => Ok(()),
    }
}
