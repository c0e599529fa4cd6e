//! `fleet.yml` becomes the model's manifest, or one error with line and column.
//!
//! `convox.yml` is read as it is: the same keys mean the same. Every key of that format is in one
//! table ([`keys`]), against which the text is checked from top to bottom before anything is read
//! out of it; a key that is not known is an error with the nearest one that is, because a misspelt
//! `health` would otherwise be found out in production.
//!
//! The text is data from outside. It is read within budgets ([`LARGEST`], [`DEEPEST`], [`ALIASED`])
//! and with YAML 1.2's idea of booleans, so that `no` stays a word.
//!
//! What is absent: the values of variables. `${NAME}` is left in texts, checked for what can be
//! checked without them, and filled in by the model when a release is loaded.

mod check;
mod error;
mod fields;
mod keys;
mod node;
mod read;
mod reference;
mod schema;
mod values;

use fleet_model::manifest::Manifest;

use self::node::Node;
pub use self::{error::ManifestError, reference::reference, schema::schema};

/// Bytes of a manifest; depth of its nesting; nodes that its aliases may add to it
/// (reliability.md 5.3 row 5).
pub const LARGEST: usize = 1 << 20;
pub const DEEPEST: usize = 64;
pub const ALIASED: usize = 1000;

/// Reads a manifest.
///
/// # Errors
/// The first thing that is wrong, in the order of the text where possible.
pub fn parse(text: &str) -> Result<Manifest, ManifestError> {
    // Readers of YAML recurse: a level costs tens of kilobytes in an unoptimised build, and the
    // deepest text allowed must not overflow the stack of whichever thread this is called on.
    std::thread::scope(|scope| {
        let reader = std::thread::Builder::new()
            .stack_size(STACK)
            .spawn_scoped(scope, || parse_here(text));
        let refused = |what: &str| Err(ManifestError::at(error::Position::default(), what));
        match reader.map(std::thread::ScopedJoinHandle::join) {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => refused("reading it failed unexpectedly"),
            Err(_) => refused("there is no memory to read it with"),
        }
    })
}

/// Address space of the stack; only what is touched costs memory.
const STACK: usize = 32 << 20;

fn parse_here(text: &str) -> Result<Manifest, ManifestError> {
    let root = Node::parse(text)?;
    check::check(&root)?;
    read::manifest(text, &root)
}

#[cfg(test)]
mod tests;
