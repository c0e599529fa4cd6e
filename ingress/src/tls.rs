//! TLS towards clients.
//!
//! What is shown is part of the table ([`spec`]): a handshake looks up the host that the client asks
//! for, as a request does, and shows the certificate of the environment that has it ([`show`]). So a
//! certificate is replaced by replacing the table, and connections that are open keep the one they
//! have seen. Handshakes are bounded in number and time ([`handshakes`]). Which requests do not belong
//! to the connection or the port they came through decides [`door`]. What authorities that give
//! certificates ask is answered from the table too, whoever ordered ([`answers`]).
//!
//! Everything about the protocol itself is `fleet_trust`'s matter.

mod answers;
pub(super) mod door;
pub(super) mod handshakes;
mod own;
mod show;
pub(super) mod spec;

pub(super) use show::Showing;
