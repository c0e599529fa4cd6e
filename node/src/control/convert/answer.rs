//! What commands answer.

use fleet_model::{
    Detail, Outcome, Rejection,
    command::Code,
    ids::{BuildId, NodeId, ReleaseId, RolloutId},
};
use fleet_proto::stored::{self, answer, outcome};

use super::{Answer, DecodeError, Stored, all, all_stored, optional, plain_enum, present};

plain_enum!(
    Code,
    RejectionCode,
    "rejection.code",
    [
        InvalidName,
        InvalidValue,
        UnknownApp,
        UnknownEnvironment,
        UnknownRelease,
        UnknownNode,
        UnknownVariable,
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
        Destroying,
        LimitReached,
        Stale,
        UnknownService,
        UnknownToken,
        TokenRefused,
        NoRollout,
        Locked,
        MissingVariables,
        Unsupported,
        UnknownCertificate,
        UnknownWhitelist,
        UnknownRule,
    ]
);

impl Stored for Answer {
    type Wire = stored::Answer;

    fn to_stored(&self) -> Self::Wire {
        let answer = match self {
            Ok(outcome) => answer::Answer::Outcome(outcome.to_stored()),
            Err(rejection) => answer::Answer::Rejection(rejection.to_stored()),
        };
        stored::Answer {
            answer: Some(answer),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match present(wire.answer, "answer")? {
            answer::Answer::Outcome(outcome) => Ok(Outcome::from_stored(outcome)?),
            answer::Answer::Rejection(rejection) => Err(Rejection::from_stored(rejection)?),
        })
    }
}

impl Stored for Outcome {
    type Wire = stored::Outcome;

    fn to_stored(&self) -> Self::Wire {
        let Self { index, detail } = self;
        stored::Outcome {
            index: *index,
            detail: Some(detail.to_stored()),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Outcome { index, detail } = wire;
        Ok(Self {
            index,
            detail: Detail::from_stored(present(detail, "outcome.detail")?)?,
        })
    }
}

impl Stored for Detail {
    type Wire = outcome::Detail;

    fn to_stored(&self) -> Self::Wire {
        match self {
            Self::Done => outcome::Detail::Done(stored::DoneDetail {}),
            Self::Node(id) => outcome::Detail::Node(stored::NodeDetail { id: id.to_stored() }),
            Self::Build { id, name, release } => outcome::Detail::Build(stored::BuildDetail {
                id: id.to_stored(),
                name: name.clone(),
                release: release.as_ref().map(ReleaseId::to_stored),
            }),
            Self::Release {
                release,
                description,
            } => outcome::Detail::Release(stored::ReleaseDetail {
                release: release.to_stored(),
                description: description.clone(),
            }),
            Self::RolledBack {
                source,
                copy,
                rollout,
            } => outcome::Detail::RolledBack(stored::RolledBackDetail {
                source: source.to_stored(),
                copy: copy.to_stored(),
                rollout: rollout.to_stored(),
            }),
            Self::Loaded { release, name } => outcome::Detail::Loaded(stored::LoadedDetail {
                release: release.to_stored(),
                name: name.clone(),
            }),
            Self::Rollout { id, release, name } => {
                outcome::Detail::Rollout(stored::RolloutDetail {
                    id: id.to_stored(),
                    release: release.as_ref().map(ReleaseId::to_stored),
                    name: name.clone(),
                })
            }
            Self::Variables {
                release,
                description,
                forked_inactive,
            } => outcome::Detail::Variables(stored::VariablesDetail {
                release: release.to_stored(),
                description: description.clone(),
                forked_inactive: forked_inactive.as_ref().map(ReleaseId::to_stored),
            }),
            Self::Placed(frontends) => outcome::Detail::Placed(stored::PlacedDetail {
                frontends: all_stored(frontends),
            }),
            Self::Batch { applied, stale } => outcome::Detail::Batch(stored::BatchDetail {
                applied: *applied,
                stale: *stale,
            }),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        Ok(match wire {
            outcome::Detail::Done(stored::DoneDetail {}) => Self::Done,
            outcome::Detail::Node(stored::NodeDetail { id }) => Self::Node(NodeId(id)),
            outcome::Detail::Build(stored::BuildDetail { id, name, release }) => Self::Build {
                id: BuildId::from_stored(id)?,
                name,
                release: optional(release)?,
            },
            outcome::Detail::Release(stored::ReleaseDetail {
                release,
                description,
            }) => Self::Release {
                release: ReleaseId::from_stored(release)?,
                description,
            },
            outcome::Detail::RolledBack(stored::RolledBackDetail {
                source,
                copy,
                rollout,
            }) => Self::RolledBack {
                source: ReleaseId::from_stored(source)?,
                copy: ReleaseId::from_stored(copy)?,
                rollout: RolloutId(rollout),
            },
            outcome::Detail::Loaded(stored::LoadedDetail { release, name }) => Self::Loaded {
                release: ReleaseId::from_stored(release)?,
                name,
            },
            outcome::Detail::Rollout(stored::RolloutDetail { id, release, name }) => {
                Self::Rollout {
                    id: RolloutId(id),
                    release: optional(release)?,
                    name,
                }
            }
            outcome::Detail::Variables(stored::VariablesDetail {
                release,
                description,
                forked_inactive,
            }) => Self::Variables {
                release: ReleaseId::from_stored(release)?,
                description,
                forked_inactive: optional(forked_inactive)?,
            },
            outcome::Detail::Placed(stored::PlacedDetail { frontends }) => {
                Self::Placed(all(frontends)?)
            }
            outcome::Detail::Batch(stored::BatchDetail { applied, stale }) => {
                Self::Batch { applied, stale }
            }
        })
    }
}

impl Stored for Rejection {
    type Wire = stored::Rejection;

    fn to_stored(&self) -> Self::Wire {
        let Self {
            code,
            message,
            hint,
            candidates,
        } = self;
        stored::Rejection {
            code: code.to_stored(),
            message: message.clone(),
            hint: hint.clone(),
            candidates: candidates.clone(),
        }
    }

    fn from_stored(wire: Self::Wire) -> Result<Self, DecodeError> {
        let stored::Rejection {
            code,
            message,
            hint,
            candidates,
        } = wire;
        Ok(Self {
            code: Code::from_stored(code)?,
            message,
            hint,
            candidates,
        })
    }
}
