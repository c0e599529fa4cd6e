//! Wire and stored types of fleet, generated from the `.proto` files beside this crate.
//!
//! `v1` is the public API, `internal` is what nodes say to each other, `stored` is what lies on
//! disk. Nothing here decides anything: conversion to and from the domain lives at the edges
//! (`node/src/control/convert`, `client/src`).

#![allow(clippy::all, missing_docs, unreachable_pub)]

mod silent;

/// The public API, package `fleet.v1`.
pub mod v1 {
    tonic::include_proto!("fleet.v1");
}

/// What nodes say to each other, package `fleet.internal`.
pub mod internal {
    tonic::include_proto!("fleet.internal");
}

/// What lies on disk, package `fleet.stored`.
pub mod stored {
    tonic::include_proto!("fleet.stored");
}

/// The file descriptors of `fleet.v1`, for server reflection.
pub const V1_DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/fleet.v1.bin"));
