//! How build steps are run: in a place like that of a frontend, but for one tree that is theirs to
//! change. What is to be built, and what becomes of it, is [`crate::worker`]'s business.

use std::{collections::BTreeMap, collections::BTreeSet, fmt, path::Path, path::PathBuf};

use fleet_model::ids::BuildId;

use super::{Command, Error, Exit, Limits};

/// One attempt at the steps of one build.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BuildKey {
    pub build: BuildId,
    pub attempt: u32,
}

impl fmt::Display for BuildKey {
    /// Names files and processes: `babcdefghij-1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = self.build.as_str().to_ascii_lowercase();
        write!(f, "{build}-{}", self.attempt)
    }
}

impl BuildKey {
    /// Reads what `Display` wrote.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (build, attempt) = text.rsplit_once('-')?;
        let key = Self {
            build: BuildId::parse(&build.to_ascii_uppercase())?,
            attempt: attempt.parse().ok()?,
        };
        (key.to_string() == text).then_some(key)
    }
}

/// One command of a build.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildStep {
    pub key: BuildKey,
    /// Its place among the commands of the build.
    pub number: usize,
    /// That of the build, as given to [`Workshop::open`].
    pub directory: PathBuf,
    /// Inside the tree.
    pub path: PathBuf,
    pub command: Command,
    /// But for `PATH`, `HOME` and `TMPDIR`, which are added.
    pub env: BTreeMap<String, String>,
    pub limits: Limits,
}

/// Where in the directory of a build its tree lies.
pub const TREE: &str = "tree";

/// Runs build steps. Every call may be repeated after a lost answer.
pub trait Workshop: Send + Sync + 'static {
    /// The attempts of which a step was ever started and that were not closed, from before this
    /// process began too.
    fn begun(&self) -> impl Future<Output = Result<BTreeSet<BuildKey>, Error>> + Send;

    /// Hands the [`TREE`] in `directory` over to whom the steps will run as.
    fn open(
        &self,
        key: &BuildKey,
        directory: &Path,
    ) -> impl Future<Output = Result<(), Error>> + Send;

    /// Runs a step to its end. It is started once: asked again, this waits for the same one, or
    /// tells how it ended.
    fn run(&self, step: BuildStep) -> impl Future<Output = Result<Exit, Error>> + Send;

    /// The directory with what a step has said so far: `current`, and what came before it in
    /// `previous`.
    fn log(&self, key: &BuildKey, number: usize) -> PathBuf;

    /// Ends whatever runs of an attempt and forgets it. Unknown ones are fine.
    fn close(&self, key: &BuildKey) -> impl Future<Output = Result<(), Error>> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_as_they_are_written() {
        let key = BuildKey {
            build: BuildId::from_index(7),
            attempt: 12,
        };
        assert_eq!(BuildKey::parse(&key.to_string()), Some(key));
        for other in ["", "17", "babc-1", "babcdefghij-01", "babcdefghij"] {
            assert_eq!(BuildKey::parse(other), None, "{other}");
        }
    }
}
