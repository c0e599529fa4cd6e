//! What processes print: read from their FIFOs, cut into lines, kept in two bounded files.
//!
//! `current` is written; when it is full it becomes `previous`, and what was `previous` is gone.
//! Every line begins with its time and stream, so that nothing a process prints can pass for a
//! line of another. The bytes of a line are stored raw; whoever shows them escapes them.
//!
//! Nothing here waits for a process, and a full or failing disk loses lines, which is counted and
//! said, rather than stopping the loop.

mod tail;

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

pub(super) use tail::tail;

use super::clock;

/// Size at which a log file is rotated.
pub(super) const FILE_LIMIT: u64 = 4 << 20;

/// A longer line is cut into several, so that one without end takes no memory.
const LINE_LIMIT: usize = 16 << 10;

/// Lines kept for the report of an exit.
pub(super) const LAST_LINES: usize = 20;

/// Bytes of one line in the report of an exit; the whole report stays under 8 KiB.
const LAST_LINE_LIMIT: usize = 400;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

impl Stream {
    fn name(self) -> &'static str {
        match self {
            Self::Out => "out",
            Self::Err => "err",
        }
    }
}

/// The log of one process.
pub(super) struct Log {
    dir: PathBuf,
    limit: u64,
    file: Option<(File, u64)>,
    /// Beginnings of lines whose end has not come yet.
    partial: [Vec<u8>; 2],
    last: VecDeque<Vec<u8>>,
    lost: u64,
}

impl Log {
    /// Continues the log in `dir`, which is created. The last lines are those already there.
    pub(super) fn open(dir: &Path, limit: u64) -> io::Result<Self> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)?;
        let last = tail(dir, LAST_LINES)?
            .iter()
            .map(|line| shortened(text_of(line)))
            .collect();
        let mut log = Self {
            dir: dir.to_owned(),
            limit,
            file: None,
            partial: [Vec::new(), Vec::new()],
            last,
            lost: 0,
        };
        log.reopen()?;
        Ok(log)
    }

    /// Takes what a process printed.
    pub(super) fn take(&mut self, stream: Stream, mut bytes: &[u8], now: SystemTime) {
        let time = clock::rfc3339(now);
        let mut partial = std::mem::take(&mut self.partial[stream as usize]);
        let mut lines = Vec::with_capacity(bytes.len() + 256);
        while !bytes.is_empty() {
            let room = LINE_LIMIT - partial.len();
            let end = bytes.iter().take(room).position(|byte| *byte == b'\n');
            let (piece, rest) = match end {
                Some(end) => (&bytes[..end], &bytes[end + 1..]),
                None => bytes.split_at(bytes.len().min(room)),
            };
            partial.extend_from_slice(piece);
            bytes = rest;
            if end.is_some() || partial.len() == LINE_LIMIT {
                self.line(stream, &time, &partial, &mut lines);
                partial.clear();
            }
        }
        self.partial[stream as usize] = partial;
        self.write(&lines);
    }

    /// Ends lines that were begun: their process is gone.
    pub(super) fn end(&mut self, now: SystemTime) {
        for stream in [Stream::Out, Stream::Err] {
            if !self.partial[stream as usize].is_empty() {
                self.take(stream, b"\n", now);
            }
        }
    }

    /// The last lines, oldest first.
    pub(super) fn last_lines(&self) -> Vec<String> {
        self.last
            .iter()
            .map(|line| super::convert::text(line))
            .collect()
    }

    fn line(&mut self, stream: Stream, time: &str, text: &[u8], lines: &mut Vec<u8>) {
        for part in [
            time.as_bytes(),
            b" ",
            stream.name().as_bytes(),
            b" ",
            text,
            b"\n",
        ] {
            lines.extend_from_slice(part);
        }
        if self.last.len() == LAST_LINES {
            self.last.pop_front();
        }
        self.last.push_back(shortened(text));
    }

    fn write(&mut self, lines: &[u8]) {
        if lines.is_empty() {
            return;
        }
        if self.lost > 0 {
            let note = format!(
                "{} err fleet: {} lines were lost\n",
                clock::rfc3339(SystemTime::now()),
                self.lost
            );
            if self.append(note.as_bytes()).is_ok() {
                self.lost = 0;
            }
        }
        if self.append(lines).is_err() {
            self.lost += lines.iter().filter(|byte| **byte == b'\n').count() as u64;
            // The next write tries again with a fresh descriptor.
            self.file = None;
        }
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        if self
            .file
            .as_ref()
            .is_some_and(|(_, size)| *size > 0 && size + lines.len() as u64 > self.limit)
        {
            self.file = None;
            fs::rename(self.dir.join("current"), self.dir.join("previous"))?;
        }
        if self.file.is_none() {
            self.reopen()?;
        }
        let Some((file, size)) = &mut self.file else {
            return Ok(());
        };
        file.write_all(lines)?;
        *size += lines.len() as u64;
        Ok(())
    }

    fn reopen(&mut self) -> io::Result<()> {
        let path = self.dir.join("current");
        let file = File::options()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(path)?;
        let size = file.metadata()?.len();
        self.file = Some((file, size));
        Ok(())
    }
}

fn shortened(text: &[u8]) -> Vec<u8> {
    text[..text.len().min(LAST_LINE_LIMIT)].to_vec()
}

/// A stored line without its time and stream.
fn text_of(line: &[u8]) -> &[u8] {
    line.splitn(3, |byte| *byte == b' ').nth(2).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::UNIX_EPOCH;

    use super::*;

    fn texts(dir: &Path, n: usize) -> Vec<String> {
        tail(dir, n)
            .unwrap()
            .iter()
            .map(|line| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    #[test]
    fn lines_are_joined_across_reads_and_marked() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), FILE_LIMIT).unwrap();
        log.take(Stream::Out, b"one\ntw", UNIX_EPOCH);
        log.take(Stream::Err, b"bad\n", UNIX_EPOCH);
        log.take(Stream::Out, b"o\n\nend", UNIX_EPOCH);
        log.end(UNIX_EPOCH);
        let want = ["out one", "err bad", "out two", "out ", "out end"];
        let want: Vec<String> = want
            .iter()
            .map(|w| format!("1970-01-01T00:00:00.000Z {w}"))
            .collect();
        assert_eq!(texts(dir.path(), 10), want);
        assert_eq!(log.last_lines(), ["one", "bad", "two", "", "end"]);
    }

    #[test]
    fn a_line_without_end_is_cut() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), FILE_LIMIT).unwrap();
        for _ in 0..5 {
            log.take(Stream::Out, &vec![b'x'; 10 << 10], UNIX_EPOCH);
            assert!(log.partial[0].len() < LINE_LIMIT);
        }
        log.end(UNIX_EPOCH);
        let lines = tail(dir.path(), 10).unwrap();
        let lengths: Vec<usize> = lines.iter().map(|line| text_of(line).len()).collect();
        assert_eq!(
            lengths,
            [
                LINE_LIMIT,
                LINE_LIMIT,
                LINE_LIMIT,
                (50 << 10) - 3 * LINE_LIMIT
            ]
        );
        assert!(
            log.last_lines()
                .iter()
                .all(|line| line.len() == LAST_LINE_LIMIT)
        );
    }

    #[test]
    fn two_files_of_bounded_size_hold_the_newest_lines() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), 1000).unwrap();
        for i in 0..200 {
            log.take(Stream::Out, format!("line {i}\n").as_bytes(), UNIX_EPOCH);
        }
        for name in ["current", "previous"] {
            assert!(
                fs::metadata(dir.path().join(name)).unwrap().len() <= 1000,
                "{name}"
            );
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
        let tail = texts(dir.path(), 30);
        assert_eq!(tail.len(), 30);
        assert!(tail[0].ends_with("line 170") && tail[29].ends_with("line 199"));
    }

    #[test]
    fn a_new_holder_continues_with_the_lines_of_the_old_one() {
        let dir = tempfile::tempdir().unwrap();
        Log::open(dir.path(), FILE_LIMIT)
            .unwrap()
            .take(Stream::Out, b"a b c\n", UNIX_EPOCH);
        let mut log = Log::open(dir.path(), FILE_LIMIT).unwrap();
        log.take(Stream::Out, b"d\n", UNIX_EPOCH);
        assert_eq!(log.last_lines(), ["a b c", "d"]);
    }

    #[test]
    fn lines_that_could_not_be_written_are_counted_and_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut log = Log::open(dir.path(), FILE_LIMIT).unwrap();
        // A directory in the place of the file: opening fails as on a broken disk.
        fs::remove_file(dir.path().join("current")).unwrap();
        fs::create_dir(dir.path().join("current")).unwrap();
        log.file = None;
        log.take(Stream::Out, b"1\n2\n", UNIX_EPOCH);
        fs::remove_dir(dir.path().join("current")).unwrap();
        log.take(Stream::Out, b"3\n", UNIX_EPOCH);
        let lines = texts(dir.path(), 10);
        assert!(
            lines[0].ends_with("err fleet: 2 lines were lost"),
            "{lines:?}"
        );
        assert!(lines[1].ends_with("out 3"));
        assert_eq!(log.last_lines(), ["1", "2", "3"]);
    }
}
