//! What planning one step of a rolling update costs, in instructions: a count that does not depend
//! on what else the machine does. Valgrind counts; without it there is no figure.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};

/// Frontends of the service that is rolled over.
pub const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

/// Rounds of planning that are counted together.
const ROUNDS: u64 = 20;

/// Instructions of one plan in the middle of a rolling update of `frontends`; `None` when valgrind
/// is not installed.
///
/// # Errors
/// The program that plans is missing or failed, or what was counted cannot be read.
pub fn instructions(program: &Path, frontends: u32) -> Result<Option<u64>> {
    let installed = Command::new("valgrind").arg("--version").output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    // Getting there is counted apart and taken off.
    let there = count(program, frontends, 0)?;
    let all = count(program, frontends, ROUNDS)?;
    Ok(Some(all.saturating_sub(there) / ROUNDS))
}

fn count(program: &Path, frontends: u32, rounds: u64) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([frontends.to_string(), rounds.to_string()])
        .output()
        .context("running valgrind")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let counted = told.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected :")?;
        number.trim().parse().ok()
    });
    counted.with_context(|| format!("no count in what valgrind said:\n{told}"))
}
