//! What the user means by OBJECT|DIR|FILE.

use std::path::{Path, PathBuf};

use super::git::{self, Commit};
use crate::exit::Exit;
use crate::failure::Failure;

/// Endings that make a file an archive.
const ARCHIVES: &[&str] = &[".tar", ".tar.gz", ".tgz", ".tar.zst", ".tzst"];

/// Where an artefact comes from.
#[derive(Debug)]
pub(crate) enum Source {
    Commit(Commit),
    Directory(PathBuf),
    Archive(PathBuf),
}

impl Source {
    /// Decides by what is there. A word with a slash, or a dot in front, is a path; any other word
    /// is a git object or a path, and refused if it could be both.
    pub(crate) fn find(word: &str, directory: &Path) -> Result<Self, Failure> {
        let path = directory.join(word);
        let is_path = word.starts_with(['.', '/']) || word.ends_with('/');
        let commit = if is_path {
            None
        } else {
            git::resolve(word, directory)?
        };
        match (commit, path.is_dir(), path.is_file()) {
            (Some(_), true, _) => Err(Failure::usage(format!(
                "{word} is a git object and a directory"
            ))
            .hint(format!(
                "the directory: ./{word}; the git object: refs/heads/{word}, or its hash"
            ))),
            (Some(commit), false, _) => Ok(Self::Commit(commit)),
            (None, true, _) => Ok(Self::Directory(path)),
            (None, _, true) if ARCHIVES.iter().any(|end| word.ends_with(end)) => {
                Ok(Self::Archive(path))
            }
            (None, _, true) => Err(Failure::usage(format!("{word} is no archive"))
                .hint(format!("archives end in {}", ARCHIVES.join(", ")))),
            (None, false, false) => Err(Failure::new(
                Exit::NotFound,
                "UNKNOWN_SOURCE",
                format!("{word} is no git object here, and no directory or archive"),
            )),
        }
    }
}
