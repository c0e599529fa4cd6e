//! Which requests have a line in the access log.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// `off`, `all`, or `1/100`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccessLines {
    #[default]
    Off,
    All,
    /// One in so many, drawn at random; and every one that failed.
    OneIn(NonZeroU32),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not `off`, `all` or a share like `1/100`")]
pub struct AccessLinesError(String);

impl FromStr for AccessLines {
    type Err = AccessLinesError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self::Off),
            "all" => Ok(Self::All),
            share => {
                let many = share.strip_prefix("1/").and_then(|many| many.parse().ok());
                let wrong = || AccessLinesError(text.to_owned());
                many.map(Self::OneIn).ok_or_else(wrong)
            }
        }
    }
}

impl fmt::Display for AccessLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::All => f.write_str("all"),
            Self::OneIn(many) => write!(f, "1/{many}"),
        }
    }
}
