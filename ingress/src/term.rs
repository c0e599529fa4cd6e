//! How long a tunnel may last.
//!
//! A WebSocket has no end of its own, so it would keep a client at a release that was replaced for
//! as long as that runs. It lasts while its host leads to its frontend, and the drain time of its
//! service longer. Routes that change otherwise, and back within that time, leave it alone: only
//! the tunnels of an environment look, and only when its routes change.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::lifecycle::{Phase, reached};
use super::routes::Routes;
use super::slot::{Connections, FrontendId};

/// What a tunnel's end depends on.
#[derive(Debug)]
pub(super) struct Term<C> {
    pub(super) routes: Arc<Routes<C>>,
    pub(super) phase: watch::Receiver<Phase>,
    /// As the table spells it.
    pub(super) host: String,
    pub(super) frontend: FrontendId,
    pub(super) drain: Duration,
}

impl<C: Connections> Term<C> {
    /// Returns when the tunnel is to be ended.
    pub(super) async fn over(mut self) {
        let mut phase = self.phase.clone();
        tokio::select! {
            () = reached(&mut phase, Phase::Ending) => {}
            () = self.left_behind() => {}
        }
    }

    /// Returns when the host has led elsewhere for the drain time.
    async fn left_behind(&mut self) {
        let mut since = None;
        loop {
            // Before the look: a table that comes after it is not missed.
            let mut tables = self.routes.changes();
            let (here, version) = self.routes.leads(&self.host, self.frontend);
            since = match here {
                true => None,
                false => since.or_else(|| Some(Instant::now())),
            };
            let changed = async {
                match &version {
                    Some(version) => version.replaced().await,
                    // The sender lives as long as the process.
                    None => drop(tables.changed().await),
                }
            };
            match since {
                None => changed.await,
                Some(since) => {
                    if tokio::time::timeout_at(since + self.drain, changed)
                        .await
                        .is_err()
                    {
                        return;
                    }
                }
            }
        }
    }
}
