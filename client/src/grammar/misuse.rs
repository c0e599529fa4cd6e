//! Everything that can be wrong with a line before anything is asked of a cluster.

/// Why a line cannot be understood. Always exit code 2.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    #[error("no command \"{word}\"")]
    UnknownNoun {
        word: String,
        nearest: Option<String>,
    },
    #[error("\"{noun}\" has no verb \"{word}\"")]
    UnknownVerb {
        noun: String,
        word: String,
        nearest: Option<String>,
    },
    #[error("\"fleet {what}\" is not in this version")]
    NotYet { what: String },
    #[error("too few words for \"fleet {verb}\"")]
    TooFew { verb: String, usage: &'static str },
    #[error("too many words for \"fleet {verb}\": \"{extra}\"")]
    TooMany {
        verb: String,
        extra: String,
        usage: &'static str,
    },
    #[error("\"{word}\" cannot be the name of an environment")]
    NotAName { word: String, hint: String },
    #[error("environment \"{name}\" by name, but \"{flag}\" by -e")]
    TwoEnvironments { name: String, flag: String },
    #[error("{flag} needs a value")]
    FlagWithoutValue { flag: &'static str },
    #[error("{flag} is given twice: \"{first}\" and \"{second}\"")]
    FlagTwice {
        flag: &'static str,
        first: String,
        second: String,
    },
}

impl Misuse {
    /// What to type instead, if that can be said.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownNoun { nearest, .. } => Some(nearest.as_ref().map_or_else(
                || "see: fleet help".to_owned(),
                |near| format!("did you mean: fleet {near}"),
            )),
            Self::UnknownVerb { noun, nearest, .. } => Some(nearest.as_ref().map_or_else(
                || {
                    format!(
                        "see: fleet help {}",
                        noun.split(' ').next().unwrap_or_default()
                    )
                },
                |near| format!("did you mean: fleet {near}"),
            )),
            Self::TooFew { usage, .. } | Self::TooMany { usage, .. } => {
                Some(format!("usage: fleet {usage}"))
            }
            Self::NotAName { hint, .. } => Some(hint.clone()),
            Self::NotYet { .. }
            | Self::TwoEnvironments { .. }
            | Self::FlagWithoutValue { .. }
            | Self::FlagTwice { .. } => None,
        }
    }
}
