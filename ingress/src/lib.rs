//! The HTTP entry of a node: `fleetd ingress`.
//!
//! Host -> environment -> release and service -> frontend, by a table that control derives from
//! the replicated state and that this process swaps under running requests without touching them.
//!
//! Invariants:
//! - A request is routed by one table, the newest that this process has, and once a generation is
//!   acknowledged no request is routed by an older one (`routes` has the argument).
//! - A frontend that a report does not call busy, and that the acknowledged table does not name,
//!   gets nothing from here any more.
//! - Without control the last table goes on serving, also after a restart (`durable`).
//! - A request is sent twice only if the first time left no trace, or twice is as good as once
//!   (`retry`).
//! - Where a request ends is never a matter of opinion (`strict`).
//! - Who asks is whom the connection, and proxies that the operator trusts, say it is (`trusted`); who is
//!   not admitted by the table in use reaches no frontend (`admission`).
//!
//! The code that decides (`table`, `routes`, `pin`, `slot`, `balancer`, `ejection`, `retry`,
//! `headers`, `target`, `strict`, `websocket`, `pages`, `observe`, `admission`, `trusted`, `pace`, `counted`,
//! `gate`) knows nothing of the engine that moves the bytes
//! (`listener`, `stream`, `guarded`, `taken`, `proxy`, `attempts`, `body`, `upstream`, `multiplexed`,
//! `wire`, `tunnel`, `term`), so that a faster one can take its place.
//!
//! Absent on purpose: any opinion of its own on which release is active or which frontends exist,
//! and configuration text of any kind.

use fleet_local::{config, trust};

mod address;
mod admission;
mod arrivals;
mod attempts;
mod balancer;
mod body;
mod contact;
mod convert;
mod counted;
mod durable;
mod ejection;
mod frames;
mod gate;
mod guarded;
mod headers;
mod host;
mod inherited;
mod lifecycle;
mod limits;
mod listener;
mod load;
mod multiplexed;
mod observe;
mod pace;
mod pages;
mod pin;
mod process;
mod proxied;
mod proxy;
mod retry;
mod routes;
mod session;
mod shards;
mod slot;
mod spec;
mod sticky;
mod stream;
mod strict;
mod table;
mod taken;
mod target;
mod term;
mod tls;
mod trusted;
mod tunnel;
mod upstream;
mod websocket;
mod wire;

pub use arrivals::PerAddress;
pub use inherited::Listeners;
pub use limits::Times;
pub use process::{Options, Outcome, run, serve};

#[cfg(test)]
mod tests;
