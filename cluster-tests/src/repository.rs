//! A git repository with versions of an app, so that releases are named by real commits.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

/// A working directory under git. Commits have fixed authors and dates, so that the same contents
/// get the same names on every machine.
#[derive(Debug)]
pub struct Repository {
    pub dir: PathBuf,
    /// How many were made here.
    pub commits: u32,
}

impl Repository {
    /// Makes an empty repository in `dir`.
    pub fn create(dir: &Path) -> Result<Repository> {
        std::fs::create_dir_all(dir).with_context(|| format!("creating {}", dir.display()))?;
        let repository = Repository {
            dir: dir.to_path_buf(),
            commits: 0,
        };
        repository.git(&["init", "--quiet", "--initial-branch", "main"])?;
        Ok(repository)
    }

    /// Copies a tree into the working directory, over what is there.
    pub fn copy_from(&self, source: &Path) -> Result<()> {
        copy_tree(source, &self.dir)
            .with_context(|| format!("copying {} to {}", source.display(), self.dir.display()))
    }

    /// Writes one file.
    pub fn write(&self, name: &str, contents: &str) -> Result<()> {
        let path = self.dir.join(name);
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)?;
        }
        std::fs::write(&path, contents).with_context(|| format!("writing {}", path.display()))
    }

    /// Commits everything and returns the seven-digit name of the commit.
    pub fn commit(&mut self, message: &str) -> Result<String> {
        self.commits += 1;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message])?;
        let name = self.git(&["rev-parse", "--short=7", "HEAD"])?;
        Ok(name.trim().to_owned())
    }

    fn git(&self, arguments: &[&str]) -> Result<String> {
        let date = format!("2015-03-24T23:{:02}:00+00:00", self.commits % 60);
        let output = Command::new("git")
            .args(["-c", "user.name=Fleet", "-c", "user.email=fleet@localhost"])
            .args([
                "-c",
                "commit.gpgsign=false",
                "-c",
                "core.hooksPath=/dev/null",
            ])
            .args(arguments)
            .current_dir(&self.dir)
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_DATE", &date)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_SYSTEM", "/dev/null")
            .output()
            .context("running git")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "git {}: {errors}",
            arguments.join(" ")
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

fn copy_tree(source: &Path, target: &Path) -> Result<()> {
    std::fs::create_dir_all(target)?;
    for entry in std::fs::read_dir(source)? {
        let entry = entry?;
        let to = target.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_tree(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), &to)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_contents_have_equal_names() {
        let name = || {
            let dir = tempfile::tempdir().unwrap();
            let mut repository = Repository::create(dir.path()).unwrap();
            repository.write("a/b.txt", "one").unwrap();
            repository.commit("One").unwrap()
        };
        let first = name();
        assert_eq!(first.len(), 7);
        assert_eq!(first, name());
    }
}
