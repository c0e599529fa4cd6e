//! Artefacts, named by what they contain.
//!
//! An artefact is the archive somebody uploaded for a build, called by its sha256. It never goes
//! through consensus: the log holds its digest, the directories of the control nodes hold its
//! bytes, and everybody else fetches it from any of them. Whoever reads an artefact in order to
//! use it reads it against its name, so the bytes that run hash to the digest that was committed.
//!
//! The rooms here:
//! - [`store`]: a directory of artefacts; nothing half written is ever visible in it.
//! - [`receive`]: a stream of chunks becomes an artefact. Uploads and fetches both end there.
//! - [`server`], [`client`]: `fleet.internal.Blobs`, by which nodes copy from each other.
//! - [`send`]: an object goes to a control node, as from outside.
//! - [`archive`]: what is inside an artefact, and how it is unpacked without trusting it.
//!
//! What is absent: who should hold which copy and when an artefact may go, which the model and its
//! planner decide, and the unpacked trees of a worker, which `worker::artefacts` keeps.

pub mod archive;
pub mod client;
pub mod digest;
pub mod receive;
pub mod send;
pub mod server;
pub mod store;
mod turns;

pub use client::Client;
pub use digest::Digest;
pub use receive::receive;
pub use server::Service;
pub use store::{LARGEST, Object, Store};
