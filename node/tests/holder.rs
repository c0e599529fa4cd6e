//! The holder as it runs: the real binary, real processes, real signals.
//!
//! What a machine does not let a test do is said on stderr ("skipped: …"), never passed over.

#![allow(clippy::unwrap_used, clippy::print_stderr)]

#[path = "holder/adopt.rs"]
mod adopt;
#[path = "holder/ends.rs"]
mod ends;
#[path = "holder/harness.rs"]
mod harness;
#[path = "holder/listeners.rs"]
mod listeners;
#[path = "holder/output.rs"]
mod output;
#[path = "holder/sandbox.rs"]
mod sandbox;
#[path = "holder/start.rs"]
mod start;
#[path = "holder/tenure.rs"]
mod tenure;
