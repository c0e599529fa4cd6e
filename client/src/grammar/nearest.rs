//! What a misspelt word was probably meant to be.

/// The nearest of `candidates`, if one is near enough to be meant: at most two slips, and fewer
/// than half of the letters. Swapped neighbours count as one slip (`destory`).
#[must_use]
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(slips, candidate)| *slips <= 2 && slips * 2 < candidate.chars().count())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, candidate)| candidate)
}
