//! Names of entries and where links may point.

use super::{Refusal, error::printable};

/// What Linux allows for one part of a path and for a whole one (NAME_MAX, PATH_MAX less its NUL).
const LONGEST_COMPONENT: usize = 255;
const LONGEST_NAME: usize = 4095;
/// Directories in one another. Unpacking keeps one descriptor for each.
const DEEPEST: usize = 64;

/// A checked name: relative, parts separated by single slashes, no `.` and no `..`. Empty for the
/// root itself. Bytes that are not UTF-8 are kept as they are.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name(Box<[u8]>);

impl Name {
    pub(super) fn parse(raw: &[u8]) -> Result<Self, Refusal> {
        if raw.is_empty() {
            return Err(Refusal::Unnamed);
        }
        if raw.contains(&0) {
            return Err(Refusal::Nul);
        }
        if raw.starts_with(b"/") {
            return Err(Refusal::Absolute);
        }
        if raw.len() > LONGEST_NAME {
            return Err(Refusal::LongName {
                limit: LONGEST_NAME,
            });
        }
        let mut parts = Vec::new();
        for part in raw.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => return Err(Refusal::Parent),
                _ if part.len() > LONGEST_COMPONENT => {
                    return Err(Refusal::LongComponent {
                        limit: LONGEST_COMPONENT,
                    });
                }
                _ => parts.push(part),
            }
        }
        if parts.len() > DEEPEST {
            return Err(Refusal::Deep { limit: DEEPEST });
        }
        Ok(Self(parts.join(&b'/').into()))
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn printable(&self) -> String {
        printable(&self.0)
    }

    /// The directory it lies in and its own last part.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (&[], &self.0),
        }
    }

    /// Its ancestors from the top down, without the root.
    pub(super) fn ancestors(&self) -> impl Iterator<Item = &[u8]> {
        let slashes = self.0.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        slashes.map(|(position, _)| &self.0[..position])
    }

    /// How many directories lie between it and the root.
    fn depth(&self) -> usize {
        self.0.iter().filter(|byte| **byte == b'/').count()
    }
}

/// Refuses a symbolic link called `name` unless its target stays below the root.
///
/// `..` is allowed at the front only. There it climbs real directories, because an entry behind a
/// link is refused; after a name it would climb from wherever that name, perhaps a link, leads.
pub(super) fn check_target(name: &Name, target: &[u8]) -> Result<(), Refusal> {
    let shown = || printable(target);
    if target.is_empty() || target.starts_with(b"/") {
        return Err(Refusal::LinkLeaves { target: shown() });
    }
    if target.contains(&0) {
        return Err(Refusal::Nul);
    }
    if target.len() > LONGEST_NAME {
        return Err(Refusal::LongName {
            limit: LONGEST_NAME,
        });
    }
    let (mut climbed, mut went_down) = (0, false);
    for part in target.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => {}
            b".." if went_down => return Err(Refusal::LinkWinds { target: shown() }),
            b".." => climbed += 1,
            _ => went_down = true,
        }
    }
    if climbed > name.depth() {
        return Err(Refusal::LinkLeaves { target: shown() });
    }
    Ok(())
}
