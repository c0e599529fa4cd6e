//! What the rest of the node holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use fleet_proto::internal::raft_server::RaftServer;
use tokio::sync::watch;

use super::error::{FailedReason, ReadError};
use super::log_store::{Counters, LogMeter};
use super::membership::Leadership;
use super::options::{Clock, Expelled, Timers};
use super::snapshot::SnapshotDir;
use super::transport::{Credentials, MAX_MESSAGE_BYTES, Pool, Service};
use super::types::Raft;

/// A proposal that was committed and applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// Its index in the log.
    pub index: u64,
    /// What the leader's state machine answered.
    pub answer: Bytes,
}

/// Proposes, reads, and changes members. Clones share one node.
#[derive(Clone)]
pub struct Handle(Arc<Core>);

/// A running consensus node.
pub(super) struct Core {
    pub(super) raft: Raft,
    pub(super) node_id: u64,
    pub(super) advertise: String,
    pub(super) timers: Timers,
    pub(super) clock: Clock,
    pub(super) expelled: Expelled,
    pub(super) credentials: Credentials,
    pub(super) pool: Pool,
    pub(super) snapshots: SnapshotDir,
    pub(super) meter: LogMeter,
    pub(super) applied: watch::Receiver<u64>,
    pub(super) leadership: watch::Receiver<Leadership>,
    pub(super) failed: watch::Receiver<Option<FailedReason>>,
    pub(super) closing: Arc<AtomicBool>,
    /// Held while a leader that may have died is looked after.
    pub(super) vigil: super::vigil::Watch,
}

impl Handle {
    pub(super) fn new(core: Core) -> Self {
        Self(Arc::new(core))
    }

    pub(super) fn core(&self) -> &Core {
        &self.0
    }

    /// This node's id.
    pub fn node_id(&self) -> u64 {
        self.0.node_id
    }

    /// The gRPC service to mount in the node's server, which should ping silent connections
    /// (HTTP/2 keepalive) and have `tcp_nodelay` set.
    pub fn service(&self) -> RaftServer<Service> {
        RaftServer::new(Service::new(self.clone()))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Who leads, now and from now on.
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.0.leadership.clone()
    }

    /// Index of the last entry applied here, now and from now on. It counts all entries, also those
    /// the state machine never sees. Whoever sees an index here sees the state it belongs to.
    pub fn applied(&self) -> watch::Receiver<u64> {
        self.0.applied.clone()
    }

    /// Waits until the entry at `index` is applied here: after a proposal that another node led,
    /// before reading its effect from the local state.
    ///
    /// # Errors
    /// [`ReadError::Unavailable`] if it takes longer than `timeout`.
    pub async fn wait_applied(&self, index: u64, timeout: Duration) -> Result<u64, ReadError> {
        let mut applied = self.applied();
        let reached = tokio::time::timeout(timeout, applied.wait_for(|now| *now >= index)).await;
        match reached {
            Ok(Ok(now)) => Ok(*now),
            Ok(Err(_)) => Err(ReadError::Unavailable {
                reason: "consensus has stopped".to_owned(),
            }),
            Err(_) => {
                let behind = format!("entry {index} is not applied here within {timeout:?}");
                Err(ReadError::Unavailable { reason: behind })
            }
        }
    }

    /// Resolves when consensus has stopped for good and not by `shutdown`: the process has to exit.
    pub async fn failed(&self) -> FailedReason {
        let mut failed = self.0.failed.clone();
        match failed
            .wait_for(Option::is_some)
            .await
            .map(|reason| reason.clone())
        {
            Ok(Some(reason)) => reason,
            // Shut down on purpose: this never resolves.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Whether this process is about to stop on purpose.
    pub(super) fn is_closing(&self) -> bool {
        self.0.closing.load(Ordering::SeqCst)
    }

    /// Numbers of the log since the start of the process.
    pub fn counters(&self) -> Counters {
        self.0.meter.counters()
    }

    /// Asks for a snapshot now; it is written in the background.
    pub async fn trigger_snapshot(&self) {
        // Fails only if consensus has stopped, which `failed` tells.
        let _ = self.0.raft.trigger().snapshot().await;
    }

    /// The last index covered by a durable snapshot.
    pub fn snapshot_index(&self) -> Option<u64> {
        let (meta, _) = self.0.snapshots.current()?;
        meta.last_log_id.map(|id| id.index)
    }

    pub(super) async fn stop(&self) {
        self.0.closing.store(true, Ordering::SeqCst);
        if let Err(error) = self.0.raft.shutdown().await {
            tracing::warn!(%error, "consensus did not stop cleanly");
        }
    }
}
