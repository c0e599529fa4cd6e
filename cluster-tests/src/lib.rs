//! A whole fleet of real processes on one machine, and what it takes to break it and to watch it.
//!
//! [`cluster::Cluster`] starts daemons with their own directories and ports and ends every process
//! they made. [`workload`] sends requests at a steady rate and keeps every answer, [`faults`] names
//! what can be done to a process, [`census`] samples which processes live, and [`wait`] is the one
//! place where a test lets time pass. The crate knows fleet as users do: the two binaries, the
//! command line, `fleet.v1` and HTTP; it imports neither the node nor the model.

pub mod api;
pub mod app;
pub mod attack;
pub mod binaries;
pub mod census;
pub mod cli;
pub mod cluster;
pub mod etcd;
pub mod failover;
pub mod faults;
pub mod history;
pub mod ingress_bench;
pub mod lives;
pub mod netns;
pub mod node;
pub mod planning;
pub mod ports;
pub mod process;
pub mod python;
pub mod repository;
pub mod sampler;
pub mod scaling;
pub mod sockets;
pub mod surge;
pub mod switches;
pub mod told;
pub mod wait;
pub mod websocket;
pub mod workload;
