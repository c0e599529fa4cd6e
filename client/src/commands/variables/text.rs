//! Variables as people write them: `NAME=VALUE`, as words of a line or as lines of a text.

use std::collections::BTreeMap;

use crate::failure::Failure;
use crate::grammar::is_environment_name;

/// Words `NAME=VALUE`; of a name given twice the last counts.
pub(super) fn pairs(words: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    words.iter().map(|word| pair(word)).collect()
}

/// Lines `NAME=VALUE`; empty ones and those that begin with # are skipped. Values are taken as they
/// stand, quotes and all.
pub(super) fn lines(text: &str) -> Result<BTreeMap<String, String>, Failure> {
    let lines = text.lines().map(str::trim_start);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(pair)
        .collect()
}

fn pair(text: &str) -> Result<(String, String), Failure> {
    match text.split_once('=') {
        Some(("", _)) => Err(Failure::usage(format!(
            "\"{text}\" has no name before the ="
        ))),
        Some((name, value)) => Ok((name.to_owned(), value.to_owned())),
        None if is_environment_name(text) => Err(Failure::usage(format!(
            "\"{text}\" is no NAME=VALUE"
        ))
        .hint(format!(
            "for environment {text}: fleet env {text} set NAME=VALUE"
        ))),
        None => Err(Failure::usage(format!("\"{text}\" is no NAME=VALUE"))),
    }
}
