//! Runs frontends on this node, as control orders and reports what is so.
//!
//! Orders come in by the [`session`], are written to the [`ledger`], and are carried out by the
//! [`supervisor`] through its [`hands`]. The worker lives inside the agent and may die with it at
//! any moment: frontends are children of the holder, and the ledger says which is which.
//!
//! Absent on purpose: placement, replacement and restarts. A frontend runs at most once; what
//! shall come after it is decided by control.

#[allow(dead_code)]
mod artefacts;
mod assignment;
mod hands;
mod launch;
mod ledger;
mod machine;
mod order;
mod probe;
pub mod runtime;
mod session;
mod supervisor;
