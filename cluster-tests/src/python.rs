//! Python with packages that the system does not have, kept in the cache for the next run.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context as _, Result, ensure};
use tokio::process::Command;

/// A virtual environment of its own for a set of packages.
#[derive(Clone, Copy, Debug)]
pub struct Environment {
    pub name: &'static str,
    /// As the package index calls them.
    pub packages: &'static [&'static str],
    /// As Python does.
    pub modules: &'static str,
}

/// gRPC, with what asks a server what it offers.
pub const GRPC: Environment = Environment {
    name: "python-grpc",
    packages: &["grpcio", "grpcio-reflection"],
    modules: "grpc, grpc_reflection",
};

/// A client of WebSockets.
pub const WEBSOCKETS: Environment = Environment {
    name: "python-websockets",
    packages: &["websockets"],
    modules: "websockets.sync.client",
};

impl Environment {
    /// The directories of bytecode, which is made anew wherever it is needed.
    pub const COMPILED: &str = "__pycache__";

    /// Its interpreter; made, and its packages fetched, if that has not been done yet.
    pub async fn python(&self) -> Result<PathBuf> {
        let dir = cache_dir()?.join(self.name);
        let python = dir.join("bin/python");
        if self.works(&python).await {
            return Ok(python);
        }
        run(Command::new("/usr/bin/python3")
            .args(["-m", "venv", "--clear"])
            .arg(&dir))
        .await?;
        let install = ["-m", "pip", "install", "--quiet"];
        run(Command::new(&python).args(install).args(self.packages)).await?;
        ensure!(
            self.works(&python).await,
            "{} were installed and cannot be imported",
            self.packages.join(", ")
        );
        Ok(python)
    }

    async fn works(&self, python: &Path) -> bool {
        let probe = Command::new(python)
            .args(["-c", &format!("import {}", self.modules)])
            .output()
            .await;
        probe.is_ok_and(|output| output.status.success())
    }
}

async fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().await?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {errors}",
        output.status
    );
    Ok(())
}

fn cache_dir() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("FLEET_CACHE_DIR") {
        return Ok(PathBuf::from(dir));
    }
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    Ok(PathBuf::from(home).join(".cache/fleet"))
}
