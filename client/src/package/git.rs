//! Commits, by the user's own git.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::{Hashing, Kept, Package, Scratch};
use crate::failure::Failure;

/// A commit of the repository around a directory.
#[derive(Debug)]
pub(crate) struct Commit {
    hash: String,
    directory: PathBuf,
}

/// Resolves anything git resolves. `None`: not a commit, or not a repository.
pub(super) fn resolve(word: &str, directory: &Path) -> Result<Option<Commit>, Failure> {
    let commit = format!("{word}^{{commit}}");
    let arguments = [
        "rev-parse",
        "--verify",
        "--quiet",
        "--end-of-options",
        &commit,
    ];
    let output = match git(directory, arguments).output() {
        Ok(output) => output,
        // Without git there are no git objects; directories and archives still work.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Failure::failed(format!("cannot run git: {error}"))),
    };
    let hash = first_line(&output);
    let found = output.status.success() && hash.len() >= 40;
    Ok(found.then(|| Commit {
        hash,
        directory: directory.to_owned(),
    }))
}

/// The commit that a directory stands at, with nothing changed in it since.
#[derive(Debug)]
pub(crate) struct Clean {
    /// Short, as a build is called.
    pub(crate) name: String,
    /// In full.
    pub(crate) hash: String,
    pub(crate) subject: String,
}

impl Clean {
    /// `None` outside of repositories, and where anything differs from the commit: then no commit
    /// says what the directory holds.
    pub(crate) fn at(directory: &Path) -> Result<Option<Self>, Failure> {
        let Some(commit) = resolve("HEAD", directory)? else {
            return Ok(None);
        };
        let status = [
            "status",
            "--porcelain",
            "--untracked-files=normal",
            "--",
            ".",
        ];
        let output = git(directory, status)
            .output()
            .map_err(|error| Failure::failed(format!("cannot run git: {error}")))?;
        if !output.status.success() || !output.stdout.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self {
            name: short(&commit)?,
            subject: subject(&commit)?,
            hash: commit.hash,
        }))
    }
}

fn short(commit: &Commit) -> Result<String, Failure> {
    said(commit, ["rev-parse", "--short=7", &commit.hash])
}

/// First line of the commit's message.
fn subject(commit: &Commit) -> Result<String, Failure> {
    said(
        commit,
        [
            "log",
            "-1",
            "--no-show-signature",
            "--format=%s",
            &commit.hash,
        ],
    )
}

/// Archives the commit. In a directory below the top of the repository that is this directory
/// alone, so an app may live beside others.
pub(super) fn pack(commit: &Commit) -> Result<Package, Failure> {
    let name = short(commit)?;
    let subject = subject(commit)?;
    let (scratch, file) = Scratch::create()?;
    let mut child = git(&commit.directory, ["archive", "--format=tar", &commit.hash])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| Failure::failed(format!("cannot run git: {error}")))?;
    let mut hashing = Hashing::new(file);
    let copied = match child.stdout.take() {
        Some(mut archive) => std::io::copy(&mut archive, &mut hashing),
        None => Ok(0),
    };
    let output = child.wait_with_output();
    copied.map_err(|error| Failure::failed(format!("cannot keep the archive: {error}")))?;
    let output = output.map_err(|error| Failure::failed(format!("git archive failed: {error}")))?;
    check("git archive", &output)?;
    let (sha256, size, _) = hashing.finish();
    let commit = commit.hash.clone();
    Ok(Package {
        name,
        commit,
        subject,
        sha256,
        size,
        file: Kept::Ours(scratch),
    })
}

/// First line of what git says about a commit.
fn said<const N: usize>(commit: &Commit, arguments: [&str; N]) -> Result<String, Failure> {
    let output = git(&commit.directory, arguments)
        .output()
        .map_err(|error| Failure::failed(format!("cannot run git: {error}")))?;
    check(arguments[0], &output)?;
    Ok(first_line(&output))
}

fn check(what: &str, output: &Output) -> Result<(), Failure> {
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(Failure::failed(format!(
        "git {what} failed: {}",
        said.trim()
    )))
}

fn git(directory: &Path, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(directory)
        .args(arguments)
        .stdin(Stdio::null());
    // The same bytes on every machine, and no messages in its language.
    command
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("GIT_OPTIONAL_LOCKS", "0");
    command
}

fn first_line(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .next()
        .unwrap_or_default()
        .trim()
        .to_owned()
}
