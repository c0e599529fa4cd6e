//! Tests of the heart: the pure domain, driven through its two doors, `State::apply` and `plan`.
//!
//! [`common::Checked`] holds the invariants after every single command, whoever sent it;
//! [`properties`] sends anything in any order; [`world`] lets simulated workers and ingresses live
//! through seeded faults; [`access`] is about whom environments let in, [`anew`] about logs that begin
//! with a state, [`builds`] about their steps, [`certificates`] about what clients are shown, [`acme`] about
//! how authorities give them, [`nodes`] about machines that come and go,
//! [`singletons`] about services of which there may never be two, [`scaling`] about counts that follow the
//! load, [`trust`] about who is let in; [`scripts`] are readable stories with their expected
//! words; [`promises`]
//! were broken once.

#![allow(clippy::unwrap_used, unreachable_pub)]
// The model does no I/O; its tests name the seed they live, and write stories anew when asked to.
#![allow(clippy::print_stderr, clippy::disallowed_methods)]

mod access;
mod acme;
mod anew;
mod builds;
mod certificates;
mod common;
mod nodes;
mod promises;
mod properties;
mod scaling;
mod scripts;
mod singletons;
mod trust;
mod world;
