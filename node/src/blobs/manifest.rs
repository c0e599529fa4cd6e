//! `fleet.yml` becomes the model's manifest, or one error with line and column.
//!
//! `convox.yml` is read as it is: the same keys mean the same. Every key of that format is known,
//! those that nothing here acts on yet stay in the text and are not looked into; a key that is not
//! known is an error with the nearest one that is, because a misspelt `health` would otherwise be
//! found out in production.
//!
//! The text is data from outside. It is read within budgets ([`LARGEST`], [`DEEPEST`], [`ALIASED`])
//! and with YAML 1.2's idea of booleans, so that `no` stays a word.

mod error;
mod fields;
mod keys;
mod node;
mod service;

use std::collections::BTreeMap;

use fleet_model::manifest::Manifest;

pub use self::error::ManifestError;
use self::{fields::Fields, node::Node};

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
            .spawn_scoped(scope, || read(text));
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

fn read(text: &str) -> Result<Manifest, ManifestError> {
    let root = Node::parse(text)?;
    let top = Fields::of(&root, "the manifest", keys::TOP)?;
    let Some(section) = top.get("services") else {
        return Err(ManifestError::at(root.at, "services are missing"));
    };
    let entries = section.entries("services")?;
    if entries.is_empty() {
        return Err(ManifestError::at(section.at, "services has no entry"));
    }
    let mut services = BTreeMap::new();
    for (key, node) in entries {
        let (name, service) = service::read(key, node)?;
        services.insert(name, service);
    }
    Ok(Manifest {
        text: text.to_owned(),
        services,
        ..Manifest::default()
    })
}

#[cfg(test)]
mod tests;
