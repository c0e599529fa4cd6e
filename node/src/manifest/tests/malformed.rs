//! Malformed manifests, each with the whole of its message in a file beside it.

use std::{fs, path::Path};

use super::super::parse;

/// `tests/manifest/malformed/NAME.yml` fails with what `NAME.txt` says; with `UPDATE_GOLDEN=1` the
/// latter is written.
#[test]
fn each_says_what_is_wrong_and_where() {
    let directory = Path::new("tests/manifest/malformed");
    let mut seen = 0;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yml") {
            continue;
        }
        seen += 1;
        let error = parse(&fs::read_to_string(&path).unwrap())
            .err()
            .unwrap_or_else(|| panic!("taken: {}", path.display()));
        let said = format!("fleet.yml: {error}\n");
        let golden = path.with_extension("txt");
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            fs::write(&golden, &said).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(said, expected, "{}", path.display());
    }
    assert!(seen >= 12, "{seen} malformed manifests");
}
