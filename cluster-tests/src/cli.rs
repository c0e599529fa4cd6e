//! Runs `fleet` as a user would, and keeps what it printed.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use tokio::process::{Child, Command};

/// Longest that any command may take before the test gives up on it; `--wait` included.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(180);

/// A user's shell: one home directory, and the cluster that its context names.
#[derive(Debug, Clone)]
pub struct Cli {
    program: PathBuf,
    home: PathBuf,
    dir: PathBuf,
    variables: Vec<(String, String)>,
}

/// What one command did.
#[derive(Debug, Clone)]
pub struct Output {
    pub command: String,
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Cli {
    pub fn new(program: &Path, home: &Path) -> Cli {
        Cli {
            program: program.to_path_buf(),
            home: home.to_path_buf(),
            dir: home.to_path_buf(),
            variables: Vec::new(),
        }
    }

    /// The same user in another working directory.
    #[must_use]
    pub fn in_dir(&self, dir: &Path) -> Cli {
        Cli {
            dir: dir.to_path_buf(),
            ..self.clone()
        }
    }

    /// The same user with one more variable in the environment.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> Cli {
        let mut other = self.clone();
        other.variables.retain(|(known, _)| known != name);
        other.variables.push((name.to_owned(), value.to_owned()));
        other
    }

    /// What a shell would have to export to be this user.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Runs to the end. A refusal is an `Output` too; only a command that cannot be run, or does
    /// not end, is an error.
    pub async fn run(&self, arguments: &[&str]) -> Result<Output> {
        let began = Instant::now();
        let command = format!("fleet {}", arguments.join(" "));
        let child = self.command(arguments).output();
        let output = tokio::time::timeout(COMMAND_TIMEOUT, child)
            .await
            .with_context(|| format!("`{command}` did not end within {COMMAND_TIMEOUT:?}"))?
            .with_context(|| format!("running `{command}`"))?;
        Ok(Output {
            command,
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            took: began.elapsed(),
        })
    }

    /// Runs a command that must succeed.
    pub async fn ok(&self, arguments: &[&str]) -> Result<Output> {
        let output = self.run(arguments).await?;
        ensure!(output.code == 0, "{output}");
        Ok(output)
    }

    /// Runs a command that must end with `code`, and tell `why` on standard error.
    pub async fn refused(&self, code: i32, why: &[&str], arguments: &[&str]) -> Result<Output> {
        let output = self.run(arguments).await?;
        ensure!(output.code == code, "exit code {code} expected: {output}");
        for words in why {
            ensure!(
                output.stderr.contains(words),
                "no {words:?} on standard error: {output}"
            );
        }
        Ok(output)
    }

    /// Starts a command whose end is awaited, or brought about, elsewhere.
    pub fn spawn(&self, arguments: &[&str]) -> Result<Child> {
        let command = format!("fleet {}", arguments.join(" "));
        self.command(arguments)
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("starting `{command}`"))
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(&self.dir)
            .env("HOME", &self.home)
            .env("XDG_CONFIG_HOME", self.home.join(".config"))
            .env("TZ", "UTC")
            .env_remove("FLEET_APP")
            .envs(self.variables.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(
            f,
            "`{}` ended with {} after {:?}",
            self.command, self.code, self.took
        )?;
        writeln!(f, "stdout: {}", self.stdout.trim_end())?;
        write!(f, "stderr: {}", self.stderr.trim_end())
    }
}
