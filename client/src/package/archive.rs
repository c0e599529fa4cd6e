//! Archives that exist already: sent as they are.

use std::fs::File;
use std::path::Path;

use super::{Kept, Package, copy_hashed};
use crate::failure::Failure;

/// Hashes the file; its release is named by the digest.
pub(super) fn pack(path: &Path) -> Result<Package, Failure> {
    let unreadable =
        |error: std::io::Error| Failure::failed(format!("cannot read {}: {error}", path.display()));
    let mut file = File::open(path).map_err(unreadable)?;
    let (sha256, size) = copy_hashed(&mut file, std::io::sink()).map_err(unreadable)?;
    Ok(Package {
        name: sha256[..7].to_owned(),
        commit: String::new(),
        subject: String::new(),
        sha256,
        size,
        file: Kept::Theirs(path.to_owned()),
    })
}
