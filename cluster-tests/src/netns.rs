//! Nodes with addresses of their own, and a network between them that can be cut.
//!
//! One network namespace per node, all of them connected to one that routes between them and to the
//! test itself. Whoever routes can lose packets: a [`Cut`] sends what goes from one node to another
//! into a device where nobody listens, silently, as a broken switch would. Nothing but `iproute2`
//! and `nsenter` (util-linux) is needed, and the right to make namespaces.
//!
//! Every fault must prove that it fired. A cut counts the packets it swallowed, and it is tried with
//! a connection that must fail, when it begins, and must succeed, when it was healed.

mod cut;
mod lan;
mod thread;

pub use self::cut::{Cut, Fault};
pub use self::lan::{Lan, Seat};
