//! The log of a build: one bounded file with all that its steps said, copied from what the holder
//! keeps of each while it runs.
//!
//! It can be lost at any time: an agent that begins anew copies it again. Its beginning and the
//! last lines, which a failure is reported with, matter most; in between it may be cut.

use std::{
    fs::{self, File},
    io::{self, Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::mpsc::{self, RecvTimeoutError},
    time::Duration,
};

use tokio::task::JoinHandle;

/// Bytes kept of one build: twice what the holder keeps of one step.
const MOST: u64 = 16 << 20;

/// How often the holder's files are looked at: as often as a reader notices.
const LOOK: Duration = Duration::from_millis(200);

/// Where a build's log is gathered.
pub(super) struct Copy {
    file: File,
    size: u64,
}

impl Copy {
    pub(super) fn create(path: &Path) -> io::Result<Self> {
        let file = File::create(path)?;
        Ok(Self { file, size: 0 })
    }

    /// A line of our own, in the form of the holder's.
    pub(super) fn heading(&mut self, text: &str) -> io::Result<()> {
        let text = text.replace('\n', " ");
        self.append(format!("{:.3} out {text}\n", jiff::Timestamp::now()).as_bytes())
    }

    /// Whole lines; what goes beyond the bound is left out.
    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let room = usize::try_from(MOST - self.size).unwrap_or(usize::MAX);
        let fits = match lines.get(..room) {
            None => lines,
            Some(fits) => {
                let end = fits.iter().rposition(|byte| *byte == b'\n');
                &fits[..end.map_or(0, |end| end + 1)]
            }
        };
        self.file.write_all(fits)?;
        self.size += fits.len() as u64;
        Ok(())
    }
}

/// Reads the log of one process as it grows and moves on from file to file.
pub(super) struct Follower {
    directory: PathBuf,
    /// The one that is read, or was read to its end.
    file: Option<File>,
    /// The beginning of a line whose end has not come.
    partial: Vec<u8>,
}

/// A follower at work.
pub(super) struct Following {
    /// Dropped to say that nothing more will be written.
    _over: mpsc::Sender<()>,
    task: JoinHandle<io::Result<Copy>>,
}

impl Following {
    /// Takes what is still there; nothing is written any more.
    pub(super) async fn end(self) -> io::Result<Copy> {
        drop(self._over);
        self.task.await.map_err(io::Error::other)?
    }
}

impl Follower {
    pub(super) fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            file: None,
            partial: Vec::new(),
        }
    }

    /// Copies until it is told to end.
    pub(super) fn follow(mut self, mut copy: Copy) -> Following {
        let (over, wait) = mpsc::channel();
        let task = tokio::task::spawn_blocking(move || {
            loop {
                let last = wait.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout);
                self.look(&mut copy)?;
                if last {
                    return Ok(copy);
                }
            }
        });
        Following { _over: over, task }
    }

    /// Copies what has come since the last look.
    fn look(&mut self, copy: &mut Copy) -> io::Result<()> {
        if self.file.is_none() {
            self.file = match open(&self.directory.join("previous"))? {
                Some(previous) => Some(previous),
                None => open(&self.directory.join("current"))?,
            };
        }
        while let Some(file) = &mut self.file {
            // Before reading: what was moved away is not written to after that.
            let current = open(&self.directory.join("current"))?;
            let mut news = std::mem::take(&mut self.partial);
            file.read_to_end(&mut news)?;
            let end = news.iter().rposition(|byte| *byte == b'\n');
            self.partial = news.split_off(end.map_or(0, |end| end + 1));
            copy.append(&news)?;
            let Some(current) = current else { break };
            if inode(&current)? == inode(file)? {
                break;
            }
            self.file = Some(current);
        }
        Ok(())
    }
}

fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn inode(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.ino())
}

/// The piece of a log that begins at `offset`, at most `most` bytes.
pub(super) fn piece(path: &Path, offset: u64, most: u64) -> io::Result<Vec<u8>> {
    use io::Seek as _;
    let Some(mut file) = open(path)? else {
        return Ok(Vec::new());
    };
    file.seek(io::SeekFrom::Start(offset))?;
    let mut data = Vec::new();
    file.take(most).read_to_end(&mut data)?;
    Ok(data)
}

/// Where the last `most` bytes of a log begin, at the start of a line.
pub(super) fn tail(path: &Path, most: u64) -> io::Result<u64> {
    let size = match fs::metadata(path) {
        Ok(about) => about.len(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    let Some(begin) = size.checked_sub(most).filter(|begin| *begin > 0) else {
        return Ok(0);
    };
    let data = piece(path, begin, most)?;
    let line = data.iter().position(|byte| *byte == b'\n');
    Ok(begin + line.map_or(0, |line| line as u64 + 1))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn write(path: &Path, text: &str) {
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(path)
            .unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    #[test]
    fn a_log_is_followed_from_file_to_file() {
        let dir = tempfile::tempdir().unwrap();
        let (current, previous) = (dir.path().join("current"), dir.path().join("previous"));
        let log = dir.path().join("log");
        let mut copy = Copy::create(&log).unwrap();
        let mut follower = Follower::new(dir.path().to_owned());
        let mut look = |expected: &str| {
            follower.look(&mut copy).unwrap();
            assert_eq!(fs::read_to_string(&log).unwrap(), expected);
        };
        look("");
        write(&current, "one\ntw");
        look("one\n");
        write(&current, "o\n");
        fs::rename(&current, &previous).unwrap();
        write(&current, "three\n");
        look("one\ntwo\nthree\n");
        write(&current, "four\n");
        look("one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn another_agent_copies_it_anew() {
        let dir = tempfile::tempdir().unwrap();
        write(&dir.path().join("previous"), "one\n");
        write(&dir.path().join("current"), "two\n");
        let log = dir.path().join("log");
        write(&log, "left from before\n");
        let mut copy = Copy::create(&log).unwrap();
        Follower::new(dir.path().to_owned())
            .look(&mut copy)
            .unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "one\ntwo\n");
    }

    #[test]
    fn it_is_bounded_and_ends_with_a_whole_line() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut copy = Copy::create(&log).unwrap();
        let lines = ("x".repeat(999) + "\n").repeat(10_000);
        copy.append(lines.as_bytes()).unwrap();
        copy.append(lines.as_bytes()).unwrap();
        copy.append(b"more\n").unwrap();
        let size = fs::metadata(&log).unwrap().len();
        assert_eq!(size, MOST / 1_000 * 1_000 + 5);
        let begin = tail(&log, 1_500).unwrap();
        assert_eq!(piece(&log, begin, 4).unwrap(), b"xxxx");
        assert_eq!((begin, tail(&log, MOST * 2).unwrap()), (size - 1_005, 0));
    }
}
