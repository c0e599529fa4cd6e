//! Turns the library's metrics into what the rest of the node watches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use openraft::ServerState;
use openraft::async_runtime::watch::WatchReceiver;
use openraft::metrics::RaftMetrics;
use tokio::sync::watch;

use super::error::FailedReason;
use super::membership::{Leadership, Peer};
use super::types::{Raft, TypeConfig};

/// The receiving ends.
pub(super) struct Status {
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) failed: watch::Receiver<Option<FailedReason>>,
}

/// Watches until consensus stops. A stop is a failure unless `closing` is set.
pub(super) fn watch_status(raft: &Raft, closing: Arc<AtomicBool>) -> Status {
    let mut metrics = raft.metrics();
    let (leadership_tx, leadership) = watch::channel(Leadership::default());
    let (failed_tx, failed) = watch::channel(None);
    tokio::spawn(async move {
        let reason = loop {
            let now = metrics.borrow_watched().clone();
            if let Err(fatal) = &now.running_state {
                break fatal.to_string();
            }
            let next = leadership_of(&now);
            leadership_tx.send_if_modified(|current| {
                let changed = *current != next;
                *current = next;
                changed
            });
            if metrics.changed().await.is_err() {
                break "its task ended".to_owned();
            }
        };
        leadership_tx.send_modify(|last| {
            *last = Leadership {
                term: last.term,
                ..Leadership::default()
            }
        });
        if !closing.load(Ordering::SeqCst) {
            tracing::error!(reason, "consensus stopped");
            failed_tx.send_replace(Some(FailedReason(reason)));
        }
    });
    Status { leadership, failed }
}

fn leadership_of(metrics: &RaftMetrics<TypeConfig>) -> Leadership {
    let leader = metrics.current_leader.map(|id| {
        let node = metrics.membership_config.membership().get_node(&id);
        Peer {
            id,
            address: node.map(|node| node.addr.clone()).unwrap_or_default(),
        }
    });
    let is_self =
        metrics.state == ServerState::Leader && metrics.current_leader == Some(metrics.id);
    Leadership {
        term: metrics.current_term,
        leader,
        is_self,
    }
}
