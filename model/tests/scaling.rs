//! Counts that follow the load: what must hold of every decision whatever was measured
//! ([`decisions`], [`nonsense`]), and what it comes to in a small cluster whose frontends carry a
//! load ([`cluster`]).

mod by_hand;
mod cluster;
mod decisions;
mod following;
mod memory;
mod nonsense;
mod rollouts;
mod samples;
