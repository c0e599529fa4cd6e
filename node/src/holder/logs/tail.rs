//! The end of a log, read backwards from the newest file.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    path::Path,
};

/// Most bytes read from the end of each file: what a person reads is less, and the loop must not
/// spend longer on it.
const READ_LIMIT: u64 = 1 << 20;

/// The last `n` lines of the log in `dir`, oldest first, with time and stream.
pub(in super::super) fn tail(dir: &Path, n: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut lines = last_lines(&dir.join("current"), n)?;
    if lines.len() < n {
        let mut older = last_lines(&dir.join("previous"), n - lines.len())?;
        older.append(&mut lines);
        lines = older;
    }
    Ok(lines)
}

fn last_lines(path: &Path, n: usize) -> io::Result<Vec<Vec<u8>>> {
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let begin = file.metadata()?.len().saturating_sub(READ_LIMIT);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(READ_LIMIT).read_to_end(&mut bytes)?;
    let ended = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    if ended.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines: Vec<Vec<u8>> = ended
        .rsplit(|byte| *byte == b'\n')
        .take(n)
        .map(<[u8]>::to_vec)
        .collect();
    lines.reverse();
    Ok(lines)
}
