//! The file of the access log, rotated by size.
//!
//! While an ingress is replaced two processes write to one file: lines are appended by whole batches,
//! so they stay whole, and who finds that the other has rotated follows.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Where a file ends and the next begins.
const LIMIT: u64 = 64 << 20;
/// Files kept beside the present one: `.1` is the youngest.
const KEPT: u32 = 4;

#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    limit: u64,
    open: Option<Open>,
    /// The last write stopped in the middle of a line.
    torn: bool,
    failing: bool,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Of a file that can be rotated; pipes and devices cannot.
    regular: bool,
}

impl LogFile {
    pub(super) fn at(path: PathBuf) -> Self {
        Self {
            path,
            limit: LIMIT,
            open: None,
            torn: false,
            failing: false,
        }
    }

    /// Appends whole lines. False when they are lost; said once, until it goes well again.
    pub(super) fn write(&mut self, lines: &str) -> bool {
        match self.try_write(lines) {
            Ok(()) => {
                if std::mem::take(&mut self.failing) {
                    tracing::info!(path = %self.path.display(), "the access log is written again");
                }
                true
            }
            Err(error) => {
                self.open = None;
                if !std::mem::replace(&mut self.failing, true) {
                    tracing::warn!(
                        path = %self.path.display(), %error,
                        "the access log cannot be written: lines are lost"
                    );
                }
                false
            }
        }
    }

    fn try_write(&mut self, lines: &str) -> io::Result<()> {
        if let Some(open) = &self.open
            && open.regular
        {
            let own = open.file.metadata()?;
            let named = fs::metadata(&self.path).ok();
            let ours = named.is_some_and(|named| named.ino() == own.ino());
            if ours && own.len() >= self.limit {
                rotate(&self.path)?;
            }
            if !ours || own.len() >= self.limit {
                self.open = None;
            }
        }
        if self.open.is_none() {
            self.open = Some(open(&self.path)?);
        }
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        if self.torn {
            open.file.write_all(b"\n")?;
            self.torn = false;
        }
        let mut rest = lines.as_bytes();
        while !rest.is_empty() {
            match open.file.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    self.torn = written < rest.len();
                    rest = &rest[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// For appending. A pipe is waited for until somebody reads it. Addresses of people are in there, so
/// the file is for its owner alone.
fn open(path: &Path) -> io::Result<Open> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(parent)?;
    }
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(0o600).open(path)?;
    let regular = file.metadata()?.is_file();
    Ok(Open { file, regular })
}

/// Each file takes the name of the next older one; the oldest is gone.
fn rotate(path: &Path) -> io::Result<()> {
    for number in (1..KEPT).rev() {
        match fs::rename(numbered(path, number), numbered(path, number + 1)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::rename(path, numbered(path, 1))
}

fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn it_is_rotated_by_size_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("logs/access.log");
        let limited = || LogFile {
            limit: 10,
            ..LogFile::at(path.clone())
        };
        let (mut log, mut other) = (limited(), limited());
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        for batch in 0..12 {
            // Two lines make a file full; two processes write in turn.
            assert!(log.write(&format!("{batch} one\n")));
            assert!(other.write(&format!("{batch} two\n")));
        }
        assert_eq!(read(&path), "11 one\n11 two\n");
        assert_eq!(read(&numbered(&path, 1)), "10 one\n10 two\n");
        assert_eq!(read(&numbered(&path, KEPT)), "7 one\n7 two\n");
        assert!(!numbered(&path, KEPT + 1).exists());
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_was_taken_away_is_made_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("access.log");
        let mut log = LogFile::at(path.clone());
        assert!(log.write("one\n"));
        fs::rename(&path, dir.path().join("elsewhere")).unwrap();
        assert!(log.write("two\n"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "two\n");
        // A directory in its place: lines are lost, and written again when it is gone.
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(!log.write("three\n"));
        fs::remove_dir(&path).unwrap();
        assert!(log.write("four\n"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "four\n");
    }
}
