//! Whole commands against a fake cluster in the same process: real gRPC over real sockets, so that
//! lost connections, silent nodes and repeated requests are what they are.

#![allow(clippy::unwrap_used)]

mod access;
mod autoscaling;
mod backups;
mod certificates;
mod contexts;
mod environments;
mod failover;
mod fake;
mod promotions;
mod releases;
mod repository;
mod run;
mod transcript;
mod uploads;
mod verbs;
mod waiting;
