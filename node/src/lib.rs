//! The rooms of `fleetd`. `control`, `worker` and `ingress` never import one another, and
//! `consensus` imports neither the model nor `control`: it moves opaque bytes.

pub mod agent;
pub mod blobs;
pub mod clock;
pub mod consensus;
pub mod control;
pub mod framed;
pub mod holder;
pub mod manifest;
pub mod telemetry;
pub mod worker;

// What all processes of a node stand on; a crate because the ingress, a crate of its own, does too.
pub use fleet_local::{config, trust};
