//! Builds: immutable artefacts, and the step that makes one where the manifest asks for it.

use std::sync::Arc;

use imbl::OrdSet;

use crate::{
    Time,
    ids::{AppName, BuildId, Digest, NodeId},
    manifest::Manifest,
    time::Millis,
};

/// An immutable artefact with its manifest and where it came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    pub id: BuildId,
    pub app: AppName,
    /// What people call it: the short git hash, as `8ef9d2f`.
    pub name: String,
    /// First line of the commit message, or what the user said instead.
    pub message: String,
    /// The archive: as uploaded while a step is due, afterwards what the step has made of it.
    pub digest: Digest,
    /// Bytes of the archive.
    pub size: u64,
    pub manifest: Arc<Manifest>,
    pub status: BuildStatus,
    /// The step that is to make the artefact; `None` once it has, and where none is asked for.
    pub step: Option<BuildStep>,
    /// What the step said, once it has ended.
    pub log: Option<BuildLog>,
    /// Control nodes that hold a verified copy of the archive.
    pub holders: OrdSet<NodeId>,
    pub created: Time,
    pub updated: Time,
    /// Log index of the last change.
    pub revision: u64,
}

impl Build {
    /// Everything kept for it, each with its size and who holds it: the archive and the log.
    pub fn kept(&self) -> impl Iterator<Item = (&Digest, u64, &OrdSet<NodeId>)> {
        let log = self.log.iter();
        std::iter::once((&self.digest, self.size, &self.holders))
            .chain(log.map(|log| (&log.digest, log.size, &log.holders)))
    }

    /// The step that is still to end.
    #[must_use]
    pub fn due(&self) -> Option<&BuildStep> {
        self.step
            .as_ref()
            .filter(|_| self.status == BuildStatus::Running)
    }
}

/// `running`, `complete`, `failed`; shown as CREATING, AVAILABLE, FAILED by `release list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildStatus {
    /// Its step has not ended, or its artefact is not on as many control nodes as it must be.
    Running,
    Complete,
    Failed {
        reason: String,
    },
}

/// Why a build failed of whose artefact no copy is left. It is AVAILABLE again once there is one.
pub const LOST_ARTEFACT: &str = "no copy of its artefact is left: upload the same content again";

/// Copies of an artefact before its build is AVAILABLE: two, so that the loss of any one machine
/// loses nothing; fewer only where there are fewer control nodes.
pub const COPIES: usize = 2;

/// A build step that is due or runs. A worker that was lost is replaced by another with a higher
/// attempt, and nothing is heard of the lower ones any more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BuildStep {
    /// The worker that runs it; `None` while none was found.
    pub node: Option<NodeId>,
    /// How often a worker was given it.
    pub attempt: u32,
    /// When the present worker was given it.
    pub since: Time,
}

/// The log of a build step, kept like an artefact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildLog {
    pub digest: Digest,
    /// Bytes.
    pub size: u64,
    /// Control nodes that hold a verified copy.
    pub holders: OrdSet<NodeId>,
}

/// How long a build may take, its waiting for a worker included. What has not ended within an hour
/// hangs more often than it works.
pub const STEP_DEADLINE: Millis = Millis::seconds(3_600);

/// Workers that may be lost over one build step. One that takes its machine down with it must not
/// take all of them.
pub const STEP_ATTEMPTS: u32 = 3;

/// Build steps on one worker at a time: a step may use more of it than all of its frontends.
pub const STEPS_PER_NODE: usize = 1;
