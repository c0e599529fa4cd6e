//! The rooms of `fleetd`. `control`, `worker` and `ingress` never import one another, and
//! `consensus` imports neither the model nor `control`: it moves opaque bytes.

pub mod agent;
pub mod blobs;
pub mod clock;
pub mod config;
pub mod consensus;
pub mod control;
pub mod framed;
pub mod holder;
pub mod ingress;
pub mod manifest;
pub mod telemetry;
pub mod trust;
pub mod worker;
