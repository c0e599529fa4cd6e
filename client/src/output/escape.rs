//! Nothing from the network reaches a terminal as it came: a name or an app's last output could
//! hold sequences that move the cursor, set the title or reorder the line.

use std::fmt::Write as _;

/// One line of text with everything that is not to be seen made visible.
pub(crate) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() && (c as u32) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", c as u32);
            }
            c if is_reordering(c) || c.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out
}

/// The same for text that may have several lines.
pub(crate) fn escape_lines(text: &str) -> Vec<String> {
    text.lines().map(escape).collect()
}

/// Marks that change the direction or the boundaries of what is displayed.
pub(super) fn is_reordering(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn makes_control_visible() {
        assert_eq!(escape("a\x1b]0;title\x07b"), "a\\x1b]0;title\\x07b");
        assert_eq!(escape("\u{9b}2J\u{202e}x\u{7f}"), "\\x9b2J\\u{202e}x\\x7f");
        assert_eq!(escape("a\nb\tc"), "a\\nb\\tc");
        assert_eq!(escape("größe 大"), "größe 大");
        assert_eq!(escape_lines("a\n\x1bb"), ["a", "\\x1bb"]);
    }

    proptest::proptest! {
        #[test]
        fn leaves_no_control_character(text in proptest::prelude::any::<String>()) {
            proptest::prop_assert!(!escape(&text).chars().any(char::is_control));
        }
    }
}
