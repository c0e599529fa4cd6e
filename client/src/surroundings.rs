//! Everything a command takes from the machine around it, as data, so that tests can give it.

use std::collections::BTreeMap;
use std::io::{IsTerminal as _, Read, Write};
use std::path::PathBuf;

/// What surrounds one run.
pub struct Surroundings {
    /// Environment variables.
    pub variables: BTreeMap<String, String>,
    pub directory: PathBuf,
    pub input: Box<dyn Read + Send>,
    pub output: Box<dyn Write + Send>,
    pub errors: Box<dyn Write + Send>,
    pub input_is_terminal: bool,
    pub output_is_terminal: bool,
    pub errors_are_terminal: bool,
    /// Milliseconds since the epoch; for relative times.
    pub now_ms: u64,
}

impl Surroundings {
    /// Those of this process.
    ///
    /// # Errors
    /// The working directory is gone.
    pub fn of_this_process() -> std::io::Result<Self> {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Ok(Self {
            variables: std::env::vars_os()
                .filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)))
                .collect(),
            directory: std::env::current_dir()?,
            input: Box::new(std::io::stdin()),
            output: Box::new(std::io::stdout()),
            errors: Box::new(std::io::stderr()),
            input_is_terminal: std::io::stdin().is_terminal(),
            output_is_terminal: std::io::stdout().is_terminal(),
            errors_are_terminal: std::io::stderr().is_terminal(),
            now_ms: now.map_or(0, |since| {
                u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
            }),
        })
    }

    /// An environment variable that is set to something.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }
}
