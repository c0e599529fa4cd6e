use std::collections::BTreeSet;

use crate::output::Console;

/// What stands for a value that is not to be seen.
const HIDDEN: &str = "****";

/// Which values are shown as `****`. A matter of display: over a shoulder, on a shared screen.
/// Pipes and JSON always have the values, or scripts could not use them.
#[derive(Debug, Default)]
pub(crate) struct Masking {
    names: BTreeSet<String>,
}

impl Masking {
    /// For what is printed to this console; `reveal` is the user's wish to see everything.
    pub(crate) fn on(console: &Console, masked: &[String], reveal: bool) -> Self {
        if reveal || !console.output_is_terminal {
            return Self::default();
        }
        Self {
            names: masked.iter().cloned().collect(),
        }
    }

    /// `NAME=VALUE`, or `NAME=****`.
    pub(crate) fn pair(&self, name: &str, value: &str) -> String {
        let shown = if self.names.contains(name) {
            HIDDEN
        } else {
            value
        };
        format!("{name}={shown}")
    }
}
