//! A git repository of one commit, and how it is spoken to.

use std::path::Path;
use std::process::Command;

/// Removed when dropped.
pub(crate) struct Repository {
    directory: tempfile::TempDir,
}

impl Repository {
    /// With `fleet.yml` and one commit, tagged `one`.
    pub(crate) fn new(message: &str) -> Self {
        let repository = Self {
            directory: tempfile::tempdir().unwrap(),
        };
        repository.git(&["init", "-q", "-b", "main"]);
        std::fs::write(repository.path().join("fleet.yml"), "services: {}\n").unwrap();
        repository.git(&["add", "."]);
        repository.git(&["commit", "-q", "-m", message]);
        repository.git(&["tag", "one"]);
        repository
    }

    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    /// The full hash of its commit.
    pub(crate) fn head(&self) -> String {
        self.git(&["rev-parse", "HEAD"])
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .arg("-C")
            .arg(self.path())
            .args([
                "-c",
                "user.name=t",
                "-c",
                "user.email=t@example.org",
                "-c",
                "commit.gpgsign=false",
            ])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}
