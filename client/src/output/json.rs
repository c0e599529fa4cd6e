//! JSON for programs: one document per command, two spaces deep, field names that stay.

use std::fmt::Write as _;

use serde::Serialize;

use super::escape::is_reordering;

/// One document with a newline at its end. It may be printed to a terminal too, so characters
/// that could act on one are written as JSON escapes; they only occur within strings.
pub(crate) fn to_json<T: Serialize>(value: &T) -> String {
    // Views hold strings, numbers, lists and maps with string keys: none of these can fail.
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| "null".to_owned());
    let mut out = String::with_capacity(text.len() + 1);
    for c in text.chars() {
        if c != '\n' && (c.is_control() || is_reordering(c)) {
            let _ = write!(out, "\\u{:04x}", c as u32);
        } else {
            out.push(c);
        }
    }
    out.push('\n');
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn nothing_acts_on_a_terminal_and_nothing_is_lost() {
        let nasty = "a\x1b[2J\u{9b}b\u{202e}c\u{7f}\n";
        let text = to_json(&nasty);
        assert!(
            text.trim_end()
                .chars()
                .all(|c| !c.is_control() && c != '\u{202e}'),
            "{text}"
        );
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), nasty);
    }
}
