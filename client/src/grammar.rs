//! The grammar: what a user may type, turned into one canonical order of words.
//!
//! `env` is the environment noun of one predecessor and the variable noun of the other, and both
//! put names before or after verbs. This module sorts that out from fixed word lists alone:
//! it looks nothing up, so the same line always means the same thing, whatever exists. What comes
//! out are only the nouns `envs` and `vars`, verb first, global flags in front.
//!
//! Invariants: [`canonical`] never panics; it never invents an environment for a verb that needs
//! one; a word it does not know is an error, never an action.

mod environment;
mod flags;
mod misuse;
mod nearest;
mod nouns;
mod positionals;
mod words;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod table;

pub use misuse::Misuse;
pub use nearest::nearest;
pub use words::{is_environment_name, is_release_reference};

#[cfg(test)]
pub(crate) use positionals::takes_value;

use flags::Lifted;
use positionals::Line;

/// Turns what the user typed (without the program's name) into canonical order.
///
/// # Errors
/// A [`Misuse`] that says what is wrong and, where it can, what was meant.
pub fn canonical(argv: &[String]) -> Result<Vec<String>, Misuse> {
    let (mut flags, rest) = Lifted::from(argv)?;
    let line = Line::new(rest);
    let words = match line.first() {
        None => line.into_tokens(),
        Some("help") => asked_help(line),
        Some("env") => environment::dispatch(line.without_first(), &mut flags)?,
        Some("envs") => environment::verb_first(line.without_first(), &flags)?,
        Some(_) => nouns::dispatch(line)?,
    };
    let mut out = flags.into_tokens();
    out.extend(words);
    Ok(out)
}

/// `help env load` means `env load --help`; the tree of help pages has `env` as it is typed.
fn asked_help(line: Line) -> Vec<String> {
    let mut words = line.without_first().into_tokens();
    words.push("--help".to_owned());
    words
}
