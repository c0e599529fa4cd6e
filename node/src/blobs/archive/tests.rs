#![allow(clippy::unwrap_used)]

mod accepted;
mod bombs;
mod build;
mod random;
mod refused;

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::*;

/// A directory to unpack into, with a file beside it that must stay as it is.
struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("canary"), "sings").unwrap();
        fs::create_dir(dir.path().join("trees")).unwrap();
        Self { dir }
    }

    fn tree(&self) -> PathBuf {
        self.dir.path().join("trees/app")
    }

    fn unpack(&self, archive: &[u8], limits: &Limits) -> Result<Totals, Error> {
        let result = unpack(archive, &self.tree(), limits);
        self.assert_untouched_outside();
        let trees = names_in(&self.dir.path().join("trees"));
        let expected: &[&str] = if result.is_ok() { &["app"] } else { &[] };
        assert_eq!(trees, expected, "after {result:?}");
        result
    }

    fn assert_untouched_outside(&self) {
        assert_eq!(names_in(self.dir.path()), ["canary", "trees"]);
        assert_eq!(fs::read(self.dir.path().join("canary")).unwrap(), b"sings");
    }
}

fn names_in(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// What both sinks say of an archive; they must agree.
fn verdict(archive: &[u8], limits: &Limits) -> Result<Totals, String> {
    let looked = inspect(archive, limits)
        .map(|found| found.totals)
        .map_err(said);
    let unpacked = Place::new().unpack(archive, limits).map_err(said);
    assert_eq!(looked, unpacked, "looking and unpacking disagree");
    looked
}

/// An error with its causes, as it is shown to people.
fn said(error: Error) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
