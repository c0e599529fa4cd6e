//! Between the consensus library and the [`StateMachine`]: applies, snapshots, restores.
//!
//! The state machine is touched by one task only, so it needs no lock here. What is published (the
//! applied index) is published after the state machine returned: whoever sees the index sees the
//! state.

use std::any::Any;
use std::io::{self, Result};
use std::panic::AssertUnwindSafe;
use std::sync::Mutex;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{ApplyResponder, EntryResponder, RaftStateMachine};
use openraft::{OptionalSend, RaftSnapshotBuilder, Snapshot};
use tokio::sync::watch;

use super::machine::{Committed, SnapshotView, StateMachine};
use super::snapshot::{SnapshotDir, SnapshotFile};
use super::types::{Entry, LogId, Payload, Proposal, SnapshotMeta, StoredMembership, TypeConfig};

/// Most entries handed to the state machine at once: bounds how long a view has to wait.
const MAX_BATCH: usize = 512;

pub(super) type RaftSnapshot = openraft::type_config::alias::SnapshotOf<TypeConfig, SnapshotFile>;

/// The state machine as the consensus library sees it.
pub(crate) struct Applier {
    machine: Box<dyn StateMachine>,
    snapshots: SnapshotDir,
    last_applied: Option<LogId>,
    membership: StoredMembership,
    applied: watch::Sender<u64>,
}

impl Applier {
    pub(super) fn new(
        machine: impl StateMachine,
        snapshots: SnapshotDir,
        applied: watch::Sender<u64>,
    ) -> Self {
        Self {
            machine: Box::new(machine),
            snapshots,
            last_applied: None,
            membership: StoredMembership::default(),
            applied,
        }
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta {
            last_log_id: self.last_applied,
            last_membership: self.membership.clone(),
        }
    }

    /// Applies one batch and answers whoever waits for it.
    fn apply_batch(&mut self, batch: &mut Vec<EntryResponder<TypeConfig>>) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut answers = self.run(batch)?.into_iter();
        let mut waiting: Vec<(ApplyResponder<TypeConfig>, Bytes)> = Vec::new();
        for (entry, responder) in batch.drain(..) {
            let answer = match entry.payload {
                Payload::Blank => Bytes::new(),
                Payload::Normal(_) => answers.next().unwrap_or_default(),
                Payload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                    Bytes::new()
                }
            };
            self.last_applied = Some(entry.log_id);
            waiting.extend(responder.map(|responder| (responder, answer)));
        }
        self.publish();
        for (responder, answer) in waiting {
            responder.send(answer);
        }
        Ok(())
    }

    /// Runs the state machine over the proposals of a batch.
    fn run(&mut self, batch: &[EntryResponder<TypeConfig>]) -> Result<Vec<Bytes>> {
        let proposals: Vec<Committed<'_>> = batch
            .iter()
            .filter_map(|(entry, _)| committed(entry))
            .collect();
        if proposals.is_empty() {
            return Ok(Vec::new());
        }
        let machine = &mut self.machine;
        // A panic would end the task that applies and leave the rest of the node waiting for it; as
        // an error it stops consensus, and the process is told.
        let answers = std::panic::catch_unwind(AssertUnwindSafe(|| machine.apply(&proposals)))
            .map_err(|panic| broken(format!("panicked: {}", message(&*panic))))?;
        if answers.len() != proposals.len() {
            return Err(broken(format!(
                "{} answers to {} entries",
                answers.len(),
                proposals.len()
            )));
        }
        Ok(answers)
    }

    fn publish(&self) {
        if let Some(last) = self.last_applied {
            self.applied.send_replace(last.index);
        }
    }
}

impl RaftStateMachine<TypeConfig> for Applier {
    type SnapshotData = SnapshotFile;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> Result<(Option<LogId>, StoredMembership)> {
        Ok((self.last_applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> Result<()>
    where
        S: Stream<Item = Result<EntryResponder<TypeConfig>>> + Unpin + OptionalSend,
    {
        let mut batch = Vec::new();
        while let Some(entry) = entries.try_next().await? {
            batch.push(entry);
            if batch.len() == MAX_BATCH {
                self.apply_batch(&mut batch)?;
            }
        }
        self.apply_batch(&mut batch)
    }

    async fn try_create_snapshot_builder(&mut self, _force: bool) -> Option<Builder> {
        Some(self.get_snapshot_builder().await)
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        // Taken here, between two applies: the view and the meta are of the same moment.
        Builder {
            meta: self.meta(),
            view: Mutex::new(Some(self.machine.view())),
            snapshots: self.snapshots.clone(),
        }
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta,
        snapshot: SnapshotFile,
    ) -> Result<()> {
        // The file was verified when it arrived, or when the directory was opened. Parse first:
        // a file the state machine cannot read must not become the one the next start depends on.
        let machine = &mut self.machine;
        let mut body = snapshot.body()?;
        machine
            .restore(&mut body)
            .map_err(|error| broken(format!("cannot restore: {error}")))?;
        io::copy(&mut body, &mut io::sink())?;
        self.snapshots.adopt(meta, &snapshot)?;
        self.last_applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        self.publish();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Result<Option<RaftSnapshot>> {
        Ok(self
            .snapshots
            .current()
            .map(|(meta, snapshot)| Snapshot { meta, snapshot }))
    }
}

/// Writes one snapshot, while applying goes on.
pub(crate) struct Builder {
    meta: SnapshotMeta,
    // Taken by the build; a `Mutex` because a view need not be `Sync`.
    view: Mutex<Option<Box<dyn SnapshotView>>>,
    snapshots: SnapshotDir,
}

impl RaftSnapshotBuilder<TypeConfig> for Builder {
    type SnapshotData = SnapshotFile;

    async fn build_snapshot(&mut self) -> Result<RaftSnapshot> {
        let view = self
            .view
            .get_mut()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .take();
        let view = view.ok_or_else(|| broken("the view was already written".to_owned()))?;
        let (meta, snapshots) = (self.meta.clone(), self.snapshots.clone());
        let write = move || snapshots.write(&meta, view.as_ref());
        let snapshot = tokio::task::spawn_blocking(write)
            .await
            .map_err(io::Error::other)??;
        Ok(Snapshot {
            meta: self.meta.clone(),
            snapshot,
        })
    }
}

fn committed(entry: &Entry) -> Option<Committed<'_>> {
    let Payload::Normal(Proposal { time_ms, payload }) = &entry.payload else {
        return None;
    };
    Some(Committed {
        index: entry.index(),
        term: entry.log_id.committed_leader_id().term,
        time_ms: *time_ms,
        payload,
    })
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}

fn broken(what: String) -> io::Error {
    io::Error::other(format!("the state machine {what}"))
}
