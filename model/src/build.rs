//! Builds: immutable artefacts.

use std::sync::Arc;

use imbl::OrdSet;

use crate::{
    Time,
    ids::{AppName, BuildId, Digest, NodeId},
    manifest::Manifest,
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
    pub digest: Digest,
    /// Bytes of the artefact as uploaded.
    pub size: u64,
    pub manifest: Arc<Manifest>,
    pub status: BuildStatus,
    /// Control nodes that hold a verified copy of the artefact.
    pub holders: OrdSet<NodeId>,
    pub created: Time,
    pub updated: Time,
    /// Log index of the last change.
    pub revision: u64,
}

/// `running`, `complete`, `failed`; shown as CREATING, AVAILABLE, FAILED by `release list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BuildStatus {
    /// Not yet on as many control nodes as it must be.
    Running,
    Complete,
    Failed {
        reason: String,
    },
}

/// Copies of an artefact before its build is AVAILABLE: two, so that the loss of any one machine
/// loses nothing; fewer only where there are fewer control nodes.
pub const COPIES: usize = 2;
