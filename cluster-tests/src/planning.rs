//! What planning costs, in instructions: a count that does not depend on what else the machine
//! does. Valgrind counts; without it there is no figure. Beside it processor time, which needs none.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};

/// Frontends of the service that is rolled over.
pub const SIZES: [u32; 4] = [10, 100, 1_000, 10_000];

/// Services whose signals changed, of [`SERVICES`] with ten frontends each.
pub const CHANGED: [u32; 4] = [0, 100, 1_000, 10_000];
pub const SERVICES: u32 = 10_000;

/// Rounds of planning that are counted together.
const ROUNDS: u32 = 20;

/// Instructions of one plan of a program that is told sizes and a number of rounds; `None` when
/// valgrind is not installed.
///
/// # Errors
/// The program that plans is missing or failed, or what was counted cannot be read.
pub fn instructions(program: &Path, sizes: &[u32]) -> Result<Option<u64>> {
    let installed = Command::new("valgrind").arg("--version").output();
    if !installed.is_ok_and(|output| output.status.success()) {
        return Ok(None);
    }
    // Getting there is counted apart and taken off.
    let there = count(program, sizes, 0)?;
    let all = count(program, sizes, ROUNDS)?;
    Ok(Some(all.saturating_sub(there) / u64::from(ROUNDS)))
}

fn count(program: &Path, sizes: &[u32], rounds: u32) -> Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(arguments(sizes, rounds))
        .output()
        .context("running valgrind")?;
    let told = String::from_utf8_lossy(&output.stderr);
    let counted = told.lines().find_map(|line| {
        let (_, number) = line.split_once("Collected :")?;
        number.trim().parse().ok()
    });
    counted.with_context(|| format!("no count in what valgrind said:\n{told}"))
}

/// Processor time of one plan.
///
/// # Errors
/// The program that plans is missing or failed, or the kernel does not say what it took.
pub fn cpu(program: &Path, sizes: &[u32]) -> Result<Duration> {
    let there = spent(program, sizes, 0)?;
    let all = spent(program, sizes, ROUNDS)?;
    Ok(all.saturating_sub(there) / ROUNDS)
}

/// Processor time of a run: what all ended children of this process took is more by it than before.
fn spent(program: &Path, sizes: &[u32], rounds: u32) -> Result<Duration> {
    let before = of_children()?;
    let mut run = Command::new(program);
    let status = run.args(arguments(sizes, rounds)).status();
    ensure!(
        status.context("running the program that plans")?.success(),
        "it failed"
    );
    Ok(of_children()?.saturating_sub(before))
}

fn of_children() -> Result<Duration> {
    let stat = std::fs::read_to_string("/proc/self/stat").context("reading /proc/self/stat")?;
    // The name in brackets may hold blanks; cutime and cstime are the 14th and 15th field behind it,
    // in ticks of 10 ms (proc(5)).
    let fields = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest.split_whitespace());
    let ticks: u64 = fields
        .into_iter()
        .flatten()
        .skip(13)
        .take(2)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum();
    Ok(Duration::from_millis(ticks * 10))
}

fn arguments(sizes: &[u32], rounds: u32) -> Vec<String> {
    let all = sizes.iter().chain([&rounds]);
    all.map(ToString::to_string).collect()
}
