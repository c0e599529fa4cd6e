//! Pages of lists.

use tonic::Status;

use crate::control::refusal::invalid;

/// Rows of a page when the client does not say.
const DEFAULT: usize = 500;
/// Most rows of a page.
const MOST: usize = 5_000;

/// Cuts a page out of `rows`: the token is the key of the last row of the page before.
///
/// Keys are unique and `rows` are in their order, so a page is right whatever came or went since
/// the page before.
pub(super) fn cut<T>(
    rows: impl Iterator<Item = (String, T)>,
    size: u32,
    token: &str,
) -> (Vec<T>, String) {
    let size = match size as usize {
        0 => DEFAULT,
        size => size.min(MOST),
    };
    let mut rows = rows.filter(|(key, _)| token.is_empty() || key.as_str() > token);
    let (mut page, mut last) = (Vec::new(), String::new());
    for (key, row) in rows.by_ref().take(size) {
        page.push(row);
        last = key;
    }
    let more = rows.next().is_some();
    (page, if more { last } else { String::new() })
}

/// A number as a key that sorts like the number.
pub(super) fn key(number: u64) -> String {
    format!("{number:020}")
}

/// The number of such a key.
pub(super) fn number(token: &str) -> Result<Option<u64>, Status> {
    if token.is_empty() {
        return Ok(None);
    }
    let number = token.parse().map_err(|_| {
        invalid(
            format!("{token:?} is no page token"),
            "take it from the page before",
        )
    })?;
    Ok(Some(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_follow_one_another_without_gap_or_repetition() {
        let rows = || (0..7_u64).map(|n| (key(n), n));
        let (mut token, mut seen) = (String::new(), Vec::new());
        loop {
            let (page, next) = cut(rows(), 3, &token);
            seen.extend(page);
            if next.is_empty() {
                break;
            }
            token = next;
        }
        assert_eq!(seen, (0..7).collect::<Vec<_>>());
    }
}
