//! Reads what a build step said: from the leader's memory while it runs, afterwards from the log
//! that is kept with the artefact. Both have the same offsets.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    sync::Arc,
};

use fleet_model::{
    State,
    build::{Build, BuildLog},
    ids::{BuildId, Digest},
};

use crate::{
    blobs::{receive::blocking, store},
    control::{Context, copies},
};

/// Bytes read at once.
const PIECE: u64 = 64 << 10;

/// One line, as its step wrote it.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::control) struct Line {
    /// Milliseconds since 1970, by the clock of the worker.
    pub(in crate::control) at: u64,
    pub(in crate::control) text: String,
    /// Where the next line begins.
    pub(in crate::control) end: u64,
}

/// Reads the log of one build, line by line.
pub(in crate::control) struct Reader {
    context: Arc<Context>,
    build: BuildId,
    offset: u64,
}

impl Reader {
    pub(in crate::control) fn new(context: Arc<Context>, build: BuildId, offset: u64) -> Self {
        Self {
            context,
            build,
            offset,
        }
    }

    /// The next lines; none when there are none now. With `state` in which the step has ended, none
    /// means that there will be none.
    pub(in crate::control) async fn next(&mut self, state: &State) -> Vec<Line> {
        let kept = state.builds.get(&self.build).and_then(|b| b.log.clone());
        let (begin, data) = match kept {
            None => self.context.board.said(&self.build, self.offset),
            Some(log) => match self.kept(state, &log).await {
                Ok(data) => (self.offset, data.into()),
                Err(error) => {
                    tracing::warn!(%error, build = %self.build, "the log of a build cannot be read");
                    return Vec::new();
                }
            },
        };
        let lines = lines(begin, &data);
        if let Some(last) = lines.last() {
            self.offset = last.end;
        }
        lines
    }

    async fn kept(&self, state: &State, log: &BuildLog) -> Result<Vec<u8>, ReadError> {
        if !self.context.blobs.has(&log.digest) {
            copies::fetch(&self.context, state, &log.digest).await?;
        }
        let (store, digest) = (self.context.blobs.clone(), log.digest.clone());
        let offset = self.offset;
        Ok(blocking(move || read(&store, &digest, offset)).await?)
    }
}

#[derive(Debug, thiserror::Error)]
enum ReadError {
    #[error("it could not be copied here: {0}")]
    Copy(#[from] copies::CopyError),
    #[error(transparent)]
    Store(#[from] store::Error),
}

fn read(
    store: &crate::blobs::Store,
    digest: &Digest,
    offset: u64,
) -> Result<Vec<u8>, store::Error> {
    let Some(file) = store.open_unverified(digest)? else {
        return Ok(Vec::new());
    };
    piece(file, offset).map_err(|source| store::Error::Source { source })
}

fn piece(mut file: File, offset: u64) -> std::io::Result<Vec<u8>> {
    file.seek(SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    file.take(PIECE).read_to_end(&mut data)?;
    Ok(data)
}

/// Whether anything was or will be said by a step of this build.
pub(in crate::control) fn is_logged(build: &Build) -> bool {
    build.due().is_some() || build.log.is_some()
}

/// The whole lines of `data`, which begins at `begin`.
fn lines(begin: u64, data: &[u8]) -> Vec<Line> {
    let mut end = begin;
    let whole = data.split_inclusive(|byte| *byte == b'\n');
    whole
        .filter_map(|raw| {
            end += raw.len() as u64;
            let raw = raw.strip_suffix(b"\n")?;
            Some(line(raw, end))
        })
        .collect()
}

/// Time, stream and text, as the holder writes them.
fn line(raw: &[u8], end: u64) -> Line {
    let mut parts = raw.splitn(3, |byte| *byte == b' ');
    let time = parts
        .next()
        .map(String::from_utf8_lossy)
        .unwrap_or_default();
    let text = parts.nth(1).unwrap_or(raw);
    let at = time.parse::<jiff::Timestamp>().ok();
    let at = at.and_then(|at| u64::try_from(at.as_millisecond()).ok());
    Line {
        at: at.unwrap_or_default(),
        text: String::from_utf8_lossy(text).into_owned(),
        end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_lose_their_stamp_and_unfinished_ones_wait() {
        let data = b"1970-01-01T00:00:01.500Z out a b\n1970-01-01T00:00:02.000Z err \nodd\n1970";
        let read = lines(10, data);
        let expected = [(1_500, "a b", 43), (2_000, "", 73), (0, "odd", 77)];
        let expected = expected.map(|(at, text, end)| Line {
            at,
            text: text.to_owned(),
            end,
        });
        assert_eq!(read, expected);
    }
}
