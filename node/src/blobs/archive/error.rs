//! Why an archive was not taken, naming the entry that is to blame.

use std::{io, path::PathBuf};

use super::Format;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("not a tar archive, nor one compressed with gzip or zstd{}", what(*looks_like))]
    UnknownFormat { looks_like: Option<&'static str> },
    #[error("entry {entry:?} {refusal}")]
    Refused { entry: String, refusal: Refusal },
    #[error("the archive is cut off{}", after(entry.as_deref()))]
    Truncated { entry: Option<String> },
    #[error("the archive is damaged{}: {problem}", after(entry.as_deref()))]
    Malformed {
        entry: Option<String>,
        problem: &'static str,
    },
    #[error("the archive unpacks to more than {limit} bytes{}", at(entry.as_deref()))]
    TooLarge { entry: Option<String>, limit: u64 },
    #[error("the archive has more than {limit} entries")]
    TooManyEntries { limit: u64 },
    #[error("the names in the archive take more than {limit} bytes")]
    NamesTooLong { limit: u64 },
    #[error("the archive unpacks to more than {limit} times its size{}", at(entry.as_deref()))]
    Bomb { entry: Option<String>, limit: u64 },
    #[error("no fleet.yml or convox.yml at the root of the archive{}", advice(below.as_deref()))]
    NoManifest {
        /// Where one lies instead, below a single top directory.
        below: Option<String>,
    },
    #[error("{name} is larger than {limit} bytes")]
    ManifestTooLarge { name: String, limit: u64 },
    #[error("{name} is not a regular file")]
    ManifestNotAFile { name: String },
    #[error("{name} is not UTF-8 text")]
    ManifestNotText { name: String },
    #[error("failed to decompress {format}{}", after(entry.as_deref()))]
    Decompress {
        format: Format,
        entry: Option<String>,
        source: io::Error,
    },
    #[error("failed reading the archive")]
    Read { source: io::Error },
    #[error("{} exists already", path.display())]
    Exists { path: PathBuf },
    #[error("no space left to unpack {entry:?}")]
    NoSpace { entry: String, source: io::Error },
    #[error("failed to {action} {entry:?}")]
    Write {
        action: &'static str,
        entry: String,
        source: io::Error,
    },
}

/// What is wrong with one entry.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("has a name that begins with /")]
    Absolute,
    #[error("has .. in its name")]
    Parent,
    #[error("has a NUL byte in its name")]
    Nul,
    #[error("has an empty name")]
    Unnamed,
    #[error("has a name with a part of more than {limit} bytes")]
    LongComponent { limit: usize },
    #[error("has a name of more than {limit} bytes")]
    LongName { limit: usize },
    #[error("lies more than {limit} directories deep")]
    Deep { limit: usize },
    #[error("is a link that leaves the archive, to {target:?}")]
    LinkLeaves { target: String },
    #[error("is a link to {target:?}, with .. behind a name: where that leads depends on links")]
    LinkWinds { target: String },
    #[error("is a hard link to {target:?}, which is not an earlier regular file")]
    LinkToNothing { target: String },
    #[error("lies behind {ancestor:?}, which is not a directory")]
    BehindNonDirectory { ancestor: String },
    #[error("appears twice")]
    Duplicate,
    #[error("is a {kind}")]
    Kind { kind: &'static str },
    #[error("is a {kind} and carries data")]
    Data { kind: &'static str },
    #[error("has two sizes, {header} and {extended}")]
    TwoSizes { header: u64, extended: u64 },
    #[error("is a sparse file")]
    Sparse,
}

/// An entry's name for people: escaped where it is not printable, never lossy.
pub(super) fn printable(name: &[u8]) -> String {
    match std::str::from_utf8(name) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => name.escape_ascii().to_string(),
    }
}

fn what(looks_like: Option<&str>) -> String {
    looks_like
        .map(|kind| format!(" (it looks like {kind})"))
        .unwrap_or_default()
}

fn after(entry: Option<&str>) -> String {
    entry
        .map(|entry| format!(" at entry {entry:?}"))
        .unwrap_or_default()
}

fn at(entry: Option<&str>) -> String {
    entry
        .map(|entry| format!(" with entry {entry:?}"))
        .unwrap_or_default()
}

fn advice(below: Option<&str>) -> String {
    below
        .map(|below| {
            let top = below.split('/').next().unwrap_or(below);
            format!("; there is {below}: pack what is inside {top} instead of {top} itself")
        })
        .unwrap_or_default()
}
