//! Backups, and clusters that go on from one.

use std::path::Path;

use fleet_proto::v1::{
    BackupHead, BackupTail, ListBackupsResponse, RecoverResponse, RestoreResponse, TakenBackup,
};
use serde::Serialize;

use super::local::FoundedView;
use crate::output::{Align, Block, Columns, escape, rfc3339, stamp};

/// `cluster backup FILE`.
#[derive(Debug, Serialize)]
pub(crate) struct BackupView {
    path: String,
    cluster_id: String,
    index: u64,
    taken: Option<String>,
    bytes: u64,
    artefacts: u64,
    artefact_bytes: u64,
    state_hash: String,
    sha256: String,
}

impl BackupView {
    pub(crate) fn new(path: &Path, head: &BackupHead, tail: &BackupTail) -> Self {
        Self {
            path: path.display().to_string(),
            cluster_id: head.cluster_id.clone(),
            index: head.index,
            taken: rfc3339(head.taken.as_ref()),
            bytes: tail.bytes,
            artefacts: head.artefacts,
            artefact_bytes: head.artefact_bytes,
            state_hash: head.state_hash.clone(),
            sha256: tail.sha256.clone(),
        }
    }

    pub(crate) fn text(&self) -> String {
        let mut block = Block::default();
        block.row("backup", &*self.path);
        block.row("cluster", &*self.cluster_id);
        block.row("index", self.index.to_string());
        block.row("bytes", self.bytes.to_string());
        block.row("artefacts", self.artefacts.to_string());
        block.row("state hash", &*self.state_hash);
        block.render()
    }
}

/// `cluster backup schedule` and `cluster backup list`.
#[derive(Debug, Serialize)]
pub(crate) struct BackupList {
    every_ms: Option<u64>,
    keep: Option<u32>,
    directory: Option<String>,
    next: Option<String>,
    failure: Option<String>,
    backups: Vec<TakenView>,
    #[serde(skip)]
    next_stamp: String,
}

#[derive(Debug, Serialize)]
struct TakenView {
    index: u64,
    taken: Option<String>,
    node_id: u64,
    node: String,
    path: String,
    bytes: u64,
    state_hash: String,
    #[serde(skip)]
    stamp: String,
}

impl From<&TakenBackup> for TakenView {
    fn from(taken: &TakenBackup) -> Self {
        Self {
            index: taken.index,
            taken: rfc3339(taken.taken.as_ref()),
            node_id: taken.node_id,
            node: taken.node.clone(),
            path: taken.path.clone(),
            bytes: taken.bytes,
            state_hash: taken.state_hash.clone(),
            stamp: stamp(taken.taken.as_ref()),
        }
    }
}

impl From<&ListBackupsResponse> for BackupList {
    fn from(answer: &ListBackupsResponse) -> Self {
        let schedule = answer.schedule.as_ref();
        let directory = schedule.map(|schedule| schedule.directory.clone());
        Self {
            every_ms: schedule.map(|schedule| schedule.every_ms),
            keep: schedule.map(|schedule| schedule.keep),
            directory: directory.filter(|directory| !directory.is_empty()),
            next: rfc3339(answer.next.as_ref()),
            failure: Some(answer.failure.clone()).filter(|failure| !failure.is_empty()),
            backups: answer.backups.iter().map(TakenView::from).collect(),
            next_stamp: stamp(answer.next.as_ref()),
        }
    }
}

impl BackupList {
    pub(crate) fn text(&self) -> String {
        let mut block = Block::default();
        match self.every_ms {
            Some(every) => block.row("every", span(every)),
            None => block.row(
                "every",
                "never: fleet cluster backup schedule 1d takes one a day",
            ),
        }
        if let Some(keep) = self.keep {
            block.row("kept", keep.to_string());
            let own = "backups in the leader's data directory";
            block.row("directory", self.directory.as_deref().unwrap_or(own));
            block.row("next", &*self.next_stamp);
        }
        if let Some(failure) = &self.failure {
            block.row("last failed", &**failure);
        }
        if self.backups.is_empty() {
            return block.render();
        }
        let mut table = Columns::new(&[
            ("taken", Align::Left),
            ("index", Align::Right),
            ("bytes", Align::Right),
            ("node", Align::Left),
            ("path", Align::Left),
        ]);
        for backup in &self.backups {
            table.row(vec![
                backup.stamp.clone(),
                backup.index.to_string(),
                backup.bytes.to_string(),
                format!("{} ({})", backup.node_id, backup.node),
                backup.path.clone(),
            ]);
        }
        format!("{}\nTaken:\n{}", block.render(), table.render())
    }
}

/// `1d`, `12h`, `90s`: as it is typed.
fn span(ms: u64) -> String {
    let seconds = ms / 1_000;
    for (unit, length) in [("d", 86_400), ("h", 3_600), ("m", 60)] {
        if seconds >= length && seconds.is_multiple_of(length) {
            return format!("{}{unit}", seconds / length);
        }
    }
    format!("{seconds}s")
}

/// `cluster restore FILE`.
#[derive(Debug, Serialize)]
pub(crate) struct RestoredView {
    #[serde(flatten)]
    founded: FoundedView,
    restored_from: String,
    index: u64,
    state_hash: String,
    artefacts: u64,
    lost: Vec<String>,
}

impl From<&RestoreResponse> for RestoredView {
    fn from(answer: &RestoreResponse) -> Self {
        Self {
            founded: FoundedView::from(&answer.founded.clone().unwrap_or_default()),
            restored_from: answer.restored_from.clone(),
            index: answer.index,
            state_hash: answer.state_hash.clone(),
            artefacts: answer.artefacts,
            lost: answer.lost.clone(),
        }
    }
}

impl RestoredView {
    pub(crate) fn text(&self) -> String {
        let mut block = Block::default();
        block.row("restored from", format!("cluster {}", self.restored_from));
        block.row("index", self.index.to_string());
        block.row(
            "state hash",
            format!("{}, as in the backup", self.state_hash),
        );
        block.row("artefacts", self.artefacts.to_string());
        let mut out = format!("{}\n{}", block.render(), self.founded.text());
        if !self.lost.is_empty() {
            out.push_str(
                "\nNo copy is left of the artefacts of these builds; an upload of the same content \
                 brings them back:\n",
            );
            for build in &self.lost {
                out.push_str(&format!(" - {}\n", escape(build)));
            }
        }
        out
    }
}

/// `cluster recover`.
#[derive(Debug, Serialize)]
pub(crate) struct RecoveredView {
    cluster_id: String,
    node_id: u64,
    name: String,
    generation: u64,
    last_index: u64,
    index: u64,
    state_hash: String,
    removed: Vec<String>,
    set_aside: Vec<String>,
}

impl From<&RecoverResponse> for RecoveredView {
    fn from(answer: &RecoverResponse) -> Self {
        Self {
            cluster_id: answer.cluster_id.clone(),
            node_id: answer.node_id,
            name: answer.name.clone(),
            generation: answer.generation,
            last_index: answer.last_index,
            index: answer.index,
            state_hash: answer.state_hash.clone(),
            removed: answer.removed.clone(),
            set_aside: answer.set_aside.clone(),
        }
    }
}

impl RecoveredView {
    pub(crate) fn text(&self) -> String {
        let mut block = Block::default();
        block.row("cluster", &*self.cluster_id);
        block.row(
            "goes on with",
            format!("node {} ({})", self.node_id, self.name),
        );
        block.row("generation", self.generation.to_string());
        block.row("index", self.index.to_string());
        block.row("state hash", &*self.state_hash);
        block.row("no members any more", self.removed.join(", "));
        block.row("old log kept in", self.set_aside.join(", "));
        format!(
            "{}\nLost is what was acknowledged after entry {} by the others alone. Nodes join as usual; \
             one that was given up and comes back first leaves: fleet node leave --force\n",
            block.render(),
            self.last_index
        )
    }
}
