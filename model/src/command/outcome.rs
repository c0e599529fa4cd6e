//! What a command answers.

use std::fmt;

use crate::{
    ids::{BuildId, FrontendId, NodeId, ReleaseId, RolloutId},
    reference::nearest,
};

/// A command took effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Log index at which it did.
    pub index: u64,
    pub detail: Detail,
}

/// What there is to say beside "done".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Detail {
    Done,
    Node(NodeId),
    Build {
        id: BuildId,
        name: String,
        /// The release made of it, where one was asked for.
        release: Option<ReleaseId>,
    },
    /// A release was made; nothing runs it yet.
    Release {
        release: ReleaseId,
        description: String,
    },
    /// A copy of an earlier release is being promoted.
    RolledBack {
        source: ReleaseId,
        copy: ReleaseId,
        rollout: RolloutId,
    },
    /// A loaded release and what it is called in its environment.
    Loaded {
        release: ReleaseId,
        name: String,
    },
    /// A rollout began, and with `complete` already ended (nothing had to be switched).
    Rollout {
        id: RolloutId,
        release: Option<ReleaseId>,
        name: String,
    },
    /// Variables changed; `release` is what the next load runs.
    Variables {
        release: ReleaseId,
        description: String,
        forked_inactive: Option<ReleaseId>,
    },
    Placed(Vec<FrontendId>),
    /// Of a batch, how many items still fitted the state and how many had become stale.
    Batch {
        applied: u32,
        stale: u32,
    },
}

/// A command that had no effect, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejection {
    pub code: Code,
    /// What is wrong and where, one sentence without a full stop.
    pub message: String,
    /// What to do about it: usually a command to type.
    pub hint: Option<String>,
    /// Nearest names, or all objects an ambiguous reference could mean.
    pub candidates: Vec<String>,
}

impl Rejection {
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            hint: None,
            candidates: Vec::new(),
        }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    #[must_use]
    pub fn candidates(mut self, candidates: Vec<String>) -> Self {
        self.candidates = candidates;
        self
    }

    /// "There is no such thing", with the nearest names that exist. A `kind` like `release of shop`
    /// reads `there is no release "8ef9d2f" of shop`.
    pub fn unknown<'a>(
        code: Code,
        kind: &str,
        asked: &str,
        existing: impl Iterator<Item = &'a str>,
    ) -> Self {
        let candidates = nearest(asked, existing);
        let message = match kind.split_once(" of ") {
            Some((kind, whole)) => format!("there is no {kind} {asked:?} of {whole}"),
            None => format!("there is no {kind} {asked:?}"),
        };
        let rejection = Self::new(code, message);
        match candidates.first() {
            Some(name) => rejection.hint(format!("did you mean {name:?}?")),
            None => rejection,
        }
        .candidates(candidates)
    }

    /// A planned command whose assumption no longer holds; the next plan sees why.
    #[must_use]
    pub fn stale(what: impl fmt::Display) -> Self {
        Self::new(
            Code::Stale,
            format!("{what} changed since this was planned"),
        )
    }
}

/// Machine-readable reason of a rejection. Stable: scripts match on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    InvalidName,
    InvalidValue,
    UnknownApp,
    UnknownEnvironment,
    UnknownRelease,
    UnknownNode,
    UnknownVariable,
    UnknownService,
    UnknownToken,
    UnknownCertificate,
    UnknownWhitelist,
    UnknownRule,
    TokenRefused,
    AlreadyExists,
    Ambiguous,
    NotInitialised,
    AlreadyInitialised,
    BuildNotAvailable,
    NotLoaded,
    AlreadyLoaded,
    AlreadyActive,
    NotReady,
    NothingActive,
    Protected,
    InUse,
    RolloutInProgress,
    NoRollout,
    Destroying,
    Locked,
    MissingVariables,
    Unsupported,
    LimitReached,
    Stale,
}

/// What kind of "no" it is; the API and the CLI's exit codes follow from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The request makes no sense whatever the state.
    Invalid,
    NotFound,
    /// A rule forbids it as things stand.
    Refused,
}

impl Code {
    #[must_use]
    pub fn class(self) -> Class {
        match self {
            Self::InvalidName | Self::InvalidValue => Class::Invalid,
            Self::UnknownApp
            | Self::UnknownEnvironment
            | Self::UnknownRelease
            | Self::UnknownNode
            | Self::UnknownVariable
            | Self::UnknownService
            | Self::UnknownToken
            | Self::UnknownCertificate
            | Self::UnknownWhitelist
            | Self::UnknownRule => Class::NotFound,
            _ => Class::Refused,
        }
    }

    /// As the API spells it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InvalidName => "INVALID_NAME",
            Self::InvalidValue => "INVALID_VALUE",
            Self::UnknownApp => "UNKNOWN_APP",
            Self::UnknownEnvironment => "UNKNOWN_ENVIRONMENT",
            Self::UnknownRelease => "UNKNOWN_RELEASE",
            Self::UnknownNode => "UNKNOWN_NODE",
            Self::UnknownVariable => "UNKNOWN_VARIABLE",
            Self::UnknownService => "UNKNOWN_SERVICE",
            Self::UnknownToken => "UNKNOWN_TOKEN",
            Self::UnknownCertificate => "UNKNOWN_CERTIFICATE",
            Self::UnknownWhitelist => "UNKNOWN_WHITELIST",
            Self::UnknownRule => "UNKNOWN_RULE",
            Self::TokenRefused => "TOKEN_REFUSED",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Ambiguous => "AMBIGUOUS",
            Self::NotInitialised => "NOT_INITIALISED",
            Self::AlreadyInitialised => "ALREADY_INITIALISED",
            Self::BuildNotAvailable => "BUILD_NOT_AVAILABLE",
            Self::NotLoaded => "NOT_LOADED",
            Self::AlreadyLoaded => "ALREADY_LOADED",
            Self::AlreadyActive => "ALREADY_ACTIVE",
            Self::NotReady => "NOT_READY",
            Self::NothingActive => "NOTHING_ACTIVE",
            Self::Protected => "PROTECTED",
            Self::InUse => "IN_USE",
            Self::RolloutInProgress => "ROLLOUT_IN_PROGRESS",
            Self::NoRollout => "NO_ROLLOUT",
            Self::Destroying => "DESTROYING",
            Self::Locked => "LOCKED",
            Self::MissingVariables => "MISSING_VARIABLES",
            Self::Unsupported => "UNSUPPORTED",
            Self::LimitReached => "LIMIT_REACHED",
            Self::Stale => "STALE",
        }
    }

    pub const ALL: [Self; 33] = [
        Self::InvalidName,
        Self::InvalidValue,
        Self::UnknownApp,
        Self::UnknownEnvironment,
        Self::UnknownRelease,
        Self::UnknownNode,
        Self::UnknownVariable,
        Self::UnknownService,
        Self::UnknownToken,
        Self::UnknownCertificate,
        Self::UnknownWhitelist,
        Self::UnknownRule,
        Self::TokenRefused,
        Self::AlreadyExists,
        Self::Ambiguous,
        Self::NotInitialised,
        Self::AlreadyInitialised,
        Self::BuildNotAvailable,
        Self::NotLoaded,
        Self::AlreadyLoaded,
        Self::AlreadyActive,
        Self::NotReady,
        Self::NothingActive,
        Self::Protected,
        Self::InUse,
        Self::RolloutInProgress,
        Self::NoRollout,
        Self::Destroying,
        Self::Locked,
        Self::MissingVariables,
        Self::Unsupported,
        Self::LimitReached,
        Self::Stale,
    ];

    /// The inverse of [`Code::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|code| code.as_str() == text)
    }
}
