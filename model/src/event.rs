//! History: who or what did something to which objects, and why.

use std::sync::Arc;

use crate::{Time, ids::EnvironmentKey};

/// One line of history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Grows by one per event, never reused; what a follower of the history resumes from.
    pub sequence: u64,
    /// Log index of the command that caused it.
    pub index: u64,
    pub at: Time,
    /// Who asked, or `fleet` when the cluster acted by itself.
    pub actor: Arc<str>,
    pub kind: Kind,
    /// The environment it happened in, if in one.
    pub environment: Option<EnvironmentKey>,
    /// The object it happened to: a release, a frontend, a node.
    pub subject: String,
    /// The sentence people read.
    pub message: String,
}

/// What an event is about, for filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    Cluster,
    Node,
    App,
    Build,
    Environment,
    Release,
    Rollout,
    Frontend,
    Scaling,
    Certificate,
    Whitelist,
}

impl Kind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cluster => "cluster",
            Self::Node => "node",
            Self::App => "app",
            Self::Build => "build",
            Self::Environment => "environment",
            Self::Release => "release",
            Self::Rollout => "rollout",
            Self::Frontend => "frontend",
            Self::Scaling => "scaling",
            Self::Certificate => "certificate",
            Self::Whitelist => "whitelist",
        }
    }
}

/// How many events are kept: a bound on memory and snapshot, about a month of a busy team.
pub const KEPT: usize = 10_000;
