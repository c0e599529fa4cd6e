//! The room as a whole: the library's own storage suite, crashes, refusals, and clusters over real
//! connections.
#![allow(clippy::unwrap_used)]

mod anew;
mod cluster;
mod crash;
mod harness;
mod quorum;
mod refusal;
mod storage;
