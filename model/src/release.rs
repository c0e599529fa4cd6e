//! Releases: a build, the variables it runs with, and its manifest.

use std::sync::Arc;

use imbl::OrdMap;

use crate::{
    Time,
    ids::{BuildId, EnvironmentKey, ReleaseId},
};

/// Variables by name; ordered, so that everything derived from them is.
pub type Variables = OrdMap<Arc<str>, Arc<str>>;

/// A build with the variables of an environment, immutable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Release {
    pub id: ReleaseId,
    pub environment: EnvironmentKey,
    /// `None` when variables were set before anything was built.
    pub build: Option<BuildId>,
    pub variables: Variables,
    /// `build 0a1b2c3d4e my commit message`, `env add:FOO`.
    pub description: String,
    pub created: Time,
    /// When it last became the active release and stayed healthy; what a rollback may return to.
    pub served: Option<Time>,
}
