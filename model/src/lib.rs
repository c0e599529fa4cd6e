//! The pure domain of fleet.
//!
//! [`State`] is everything the cluster has agreed on. [`State::apply`] is the only way to change
//! it; [`plan::plan`] is the only place that decides what should change next. Both are synchronous
//! and deterministic: there is no clock, no I/O, no randomness and no hash order in this crate, so
//! that every node computes the same state from the same log, and a test can replay any night.
//!
//! What is absent on purpose: nothing here knows of openraft, tokio, protobuf or HTTP. Conversion
//! to and from wire and stored types lives in the node's `control/convert`.

pub mod access;
pub mod acme;
pub mod app;
pub mod backup;
pub mod balance;
pub mod build;
pub mod certificate;
pub mod check;
pub mod command;
pub mod environment;
pub mod event;
pub mod frontend;
pub mod goal;
pub mod health;
pub mod ids;
pub mod manifest;
pub mod network;
pub mod node;
pub mod plan;
pub mod reference;
pub mod release;
pub mod report;
pub mod rollout;
pub mod route;
pub mod scaling;
pub mod state;
pub mod time;
pub mod trust;

pub use command::{Command, Detail, Entry, Outcome, Rejection};
pub use state::State;
pub use time::Time;
