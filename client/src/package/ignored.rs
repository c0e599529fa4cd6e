//! What a directory keeps to itself: `.gitignore` as git reads it, `.dockerignore` as Docker
//! does, and version control's own directories always.

use std::fs;
use std::path::{Path, PathBuf};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::{DirEntry, WalkBuilder};

use crate::failure::Failure;

/// Directories of version control.
const NEVER: &[&str] = &[".git", ".hg", ".svn", ".jj"];

/// All entries below `root` that belong to the artefact, as paths below it, sorted by bytes.
pub(super) fn walk(root: &Path) -> Result<Vec<PathBuf>, Failure> {
    let docker = docker_rules(root)?;
    let walk = WalkBuilder::new(root)
        .standard_filters(false)
        .git_ignore(true)
        .require_git(false)
        .follow_links(false)
        .filter_entry(|entry| !is_version_control(entry))
        .build();
    let mut paths = Vec::new();
    for entry in walk {
        let entry = entry
            .map_err(|error| Failure::failed(format!("cannot read the directory: {error}")))?;
        let Ok(path) = entry.path().strip_prefix(root) else {
            continue;
        };
        let is_directory = entry.file_type().is_some_and(|kind| kind.is_dir());
        // Directories come with their files: Docker's rules may take back single ones.
        let kept = !is_directory
            && !docker
                .matched_path_or_any_parents(entry.path(), false)
                .is_ignore();
        if kept {
            paths.push(path.to_owned());
        }
    }
    paths.sort();
    Ok(paths)
}

fn is_version_control(entry: &DirEntry) -> bool {
    entry.depth() > 0 && NEVER.iter().any(|name| entry.file_name() == *name)
}

/// Docker anchors every pattern at the root; git lets one without a slash match anywhere.
fn docker_rules(root: &Path) -> Result<Gitignore, Failure> {
    let path = root.join(".dockerignore");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Gitignore::empty()),
        Err(error) => {
            return Err(Failure::failed(format!(
                "cannot read {}: {error}",
                path.display()
            )));
        }
    };
    let mut rules = GitignoreBuilder::new(root);
    for line in text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty() && !l.starts_with('#'))
    {
        let (not, pattern) = match line.strip_prefix('!') {
            Some(pattern) => ("!", pattern),
            None => ("", line),
        };
        let pattern = pattern.trim_start_matches("./").trim_start_matches('/');
        rules
            .add_line(None, &format!("{not}/{pattern}"))
            .map_err(|error| {
                Failure::failed(format!("cannot understand {}: {error}", path.display()))
            })?;
    }
    rules
        .build()
        .map_err(|error| Failure::failed(format!("cannot understand {}: {error}", path.display())))
}
