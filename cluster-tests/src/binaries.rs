//! Finds `fleetd` and `fleet`, built from the tree that the test was built from.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result, anyhow, ensure};

/// The two programs under test.
#[derive(Debug, Clone)]
pub struct Binaries {
    pub fleetd: PathBuf,
    pub fleet: PathBuf,
}

/// Builds them once per process, unless `FLEET_BIN_DIR` says that they have been built already.
pub fn binaries() -> Result<Binaries> {
    static FOUND: OnceLock<Result<Binaries, String>> = OnceLock::new();
    FOUND
        .get_or_init(|| find().map_err(|e| format!("{e:#}")))
        .clone()
        .map_err(|e| anyhow!(e))
}

/// The root of the source tree that this process was started from: with a shared target directory
/// it need not be the one that was compiled. `cargo test` names the package, `./dev` goes to the root.
pub fn source_root() -> PathBuf {
    match std::env::var_os("CARGO_MANIFEST_DIR") {
        Some(package) => Path::new(&package).join(".."),
        None => PathBuf::from("."),
    }
}

fn find() -> Result<Binaries> {
    let dir = match std::env::var_os("FLEET_BIN_DIR") {
        Some(dir) => PathBuf::from(dir),
        None => build()?,
    };
    let found = Binaries {
        fleetd: dir.join("fleetd"),
        fleet: dir.join("fleet"),
    };
    for program in [&found.fleetd, &found.fleet] {
        ensure!(program.is_file(), "{} is not there", program.display());
    }
    Ok(found)
}

/// The same selection as `./dev build`: another one would compile RocksDB with other features.
fn build() -> Result<PathBuf> {
    let status = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--workspace", "--bins", "--quiet"])
        .current_dir(source_root())
        .status()
        .context("running cargo build")?;
    ensure!(status.success(), "cargo build ended with {status}");
    profile_dir()
}

/// The test runs from `<target>/debug/deps/<name>`, the demo from `<target>/debug/<name>`.
fn profile_dir() -> Result<PathBuf> {
    let own = std::env::current_exe().context("finding the running program")?;
    let dir = own.parent().context("the program lies in a directory")?;
    if dir.ends_with("deps") {
        Ok(dir.parent().unwrap_or(dir).to_path_buf())
    } else {
        Ok(dir.to_path_buf())
    }
}
