//! What is inside an artefact: a tar archive, as it is or compressed with gzip or zstd.
//!
//! An archive comes from outside and may be built to do harm. One walker ([`walk`]) reads it and
//! refuses everything that is not plainly a directory, a regular file, or a link that stays
//! inside; it is strict where two parsers could disagree, so that what was looked at is what is
//! unpacked. Looking ([`inspect`]) and unpacking ([`unpack`]) are two sinks of that walker and
//! cannot differ in what they refuse.
//!
//! The manifest must lie at the archive's root. An archive with everything below one top
//! directory is refused with that advice: silently descending would give relative links a
//! different meaning than they had when they were checked.
//!
//! What is absent: owners, set-user-id bits, extended attributes, sparse files, devices. They are
//! dropped where harmless and refused where not.

mod error;
mod format;
mod header;
mod inspect;
mod limits;
mod meta;
mod meter;
mod name;
mod pack;
mod stream;
mod tree;
mod unpack;
mod walk;

pub use self::{
    error::{Error, Refusal},
    format::Format,
    inspect::{Inspection, MANIFESTS, inspect},
    limits::Limits,
    pack::{PackError, pack},
    unpack::{remove_leftovers, unpack},
    walk::Totals,
};

#[cfg(test)]
mod tests;
