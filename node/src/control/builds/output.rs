//! What build steps that run have said: the end of it, in the leader's memory alone.

use std::collections::BTreeMap;

use bytes::Bytes;
use fleet_model::ids::BuildId;

/// Bytes kept of each step that runs; a reader that is slower reads the whole log later.
const KEPT: usize = 1 << 20;

/// Bytes given to a reader at once.
const PIECE: usize = 64 << 10;

/// Something a step said.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) build: BuildId,
    pub(crate) attempt: u32,
    /// Where it stands in the log of the attempt.
    pub(crate) offset: u64,
    pub(crate) data: Bytes,
    /// What was said before is void.
    pub(crate) first: bool,
}

/// By build.
#[derive(Debug, Default)]
pub(crate) struct Outputs(BTreeMap<BuildId, Tail>);

/// The end of one log.
#[derive(Debug, Default)]
struct Tail {
    attempt: u32,
    /// Where it begins, always with a line.
    begin: u64,
    data: Vec<u8>,
}

impl Outputs {
    pub(crate) fn take(&mut self, said: Output) {
        let tail = self.0.entry(said.build).or_default();
        let end = tail.begin + tail.data.len() as u64;
        if said.attempt < tail.attempt {
            return;
        }
        if said.first || said.attempt > tail.attempt || said.offset != end {
            tail.attempt = said.attempt;
            tail.begin = said.offset;
            tail.data.clear();
        }
        tail.data.extend_from_slice(&said.data);
        tail.shorten();
    }

    /// What there is from `offset` on, or from where the first kept line begins; and where that is.
    pub(crate) fn read(&self, build: &BuildId, offset: u64) -> (u64, Bytes) {
        let Some(tail) = self.0.get(build) else {
            return (offset, Bytes::new());
        };
        let begin = offset.max(tail.begin);
        let skip = usize::try_from(begin - tail.begin).unwrap_or(usize::MAX);
        let rest = tail.data.get(skip..).unwrap_or_default();
        let piece = &rest[..rest.len().min(PIECE)];
        (begin, Bytes::copy_from_slice(piece))
    }

    pub(crate) fn retain(&mut self, runs: impl Fn(&BuildId) -> bool) {
        self.0.retain(|build, _| runs(build));
    }
}

impl Tail {
    fn shorten(&mut self) {
        let Some(over) = self.data.len().checked_sub(KEPT).filter(|over| *over > 0) else {
            return;
        };
        let line = self.data[over..].iter().position(|byte| *byte == b'\n');
        let cut = line.map_or(self.data.len(), |line| over + line + 1);
        self.data.drain(..cut);
        self.begin += cut as u64;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build() -> BuildId {
        BuildId::from_index(1)
    }

    fn said(attempt: u32, offset: u64, data: &str, first: bool) -> Output {
        let data = Bytes::copy_from_slice(data.as_bytes());
        Output {
            build: build(),
            attempt,
            offset,
            data,
            first,
        }
    }

    fn all(outputs: &Outputs, mut offset: u64) -> String {
        let mut text = Vec::new();
        loop {
            let (begin, piece) = outputs.read(&build(), offset);
            if piece.is_empty() {
                return String::from_utf8_lossy(&text).into_owned();
            }
            text.extend_from_slice(&piece);
            offset = begin + piece.len() as u64;
        }
    }

    #[test]
    fn a_session_goes_on_and_another_begins_anew() {
        let mut outputs = Outputs::default();
        outputs.take(said(1, 0, "one\n", true));
        outputs.take(said(1, 4, "two\n", false));
        assert_eq!(all(&outputs, 0), "one\ntwo\n");
        assert_eq!(all(&outputs, 4), "two\n");
        assert_eq!(all(&outputs, 99), "");
        outputs.take(said(1, 4, "two\nthree\n", true));
        assert_eq!(all(&outputs, 0), "two\nthree\n");
        outputs.take(said(2, 0, "again\n", false));
        outputs.take(said(1, 14, "late\n", false));
        assert_eq!(all(&outputs, 0), "again\n");
        outputs.retain(|_| false);
        assert_eq!(all(&outputs, 0), "");
    }

    #[test]
    fn only_whole_lines_of_the_end_are_kept() {
        let mut outputs = Outputs::default();
        let line = "x".repeat(9_999) + "\n";
        for number in 0..200_u64 {
            outputs.take(said(1, number * 10_000, &line, number == 0));
        }
        let kept = all(&outputs, 0);
        assert!(kept.len() <= KEPT && kept.len() > KEPT - 20_000);
        assert_eq!(kept.len() % 10_000, 0);
        assert_eq!(outputs.read(&build(), 0).0 % 10_000, 0);
    }
}
