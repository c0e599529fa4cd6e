//! What is written from the table of keys is what lies in `docs/`.

use std::{fs, path::Path};

use super::super::{keys, parse, reference, schema};
use fleet_model::manifest::Scheme;

/// A file of the repository must hold `expected`; with `UPDATE_DOCS=1` it is made to.
fn holds(path: &str, expected: &str) {
    let path = Path::new("..").join(path);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&path, expected).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "{} is not what the table of keys says: run the test with UPDATE_DOCS=1",
        path.display()
    );
}

#[test]
fn docs_are_written_from_the_table() {
    let path = "../docs/manifest.md";
    let docs = fs::read_to_string(path).unwrap();
    let begin = docs.find("<!-- keys:").unwrap();
    let begin = begin + docs[begin..].find('\n').unwrap();
    let end = docs.find("<!-- end of keys -->").unwrap();
    let (before, after) = (&docs[..begin], &docs[end..]);
    holds(
        "docs/manifest.md",
        &format!("{before}\n\n{}{after}", reference()),
    );
}

#[test]
fn the_schema_is_written_from_the_table() {
    let schema = serde_json::to_string_pretty(&schema()).unwrap();
    holds("docs/fleet.schema.json", &format!("{schema}\n"));
}

/// Every example is taken by the reader it documents.
#[test]
fn every_key_reads_its_own_example() {
    fn each(known: &[keys::Key], begin: &str, end: &str, others: &str) {
        for key in known {
            // Keys that must be there, beside the one in question; a key twice is an error.
            let required = known
                .iter()
                .filter(|other| other.required && other.name != key.name)
                .map(|other| format!(", {}: {}", other.name, other.example));
            let required: String = required.collect();
            let text = format!(
                "{begin}{{{}: {}{required}}}{end}{others}",
                key.name, key.example
            );
            parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            let (begin, end) = (
                format!("{begin}{{{}: ", key.name),
                format!("{required}}}{end}"),
            );
            match key.kind {
                keys::Kind::Section(known) | keys::Kind::Or(_, known) => {
                    each(known, &begin, &end, others);
                }
                keys::Kind::Items(known) => {
                    each(known, &format!("{begin}["), &format!("]{end}"), others)
                }
                keys::Kind::Each(known) => {
                    each(
                        known,
                        &format!("{begin}{{name: "),
                        &format!("}}{end}"),
                        others,
                    );
                }
                _ => {}
            }
        }
    }
    each(keys::TOP, "", "", "");
}

#[test]
fn keys_stand_once_and_say_something() {
    fn each(known: &[keys::Key]) {
        for (place, key) in known.iter().enumerate() {
            let again = known[..place].iter().any(|other| other.name == key.name);
            assert!(!again, "{} stands twice", key.name);
            assert!(
                !key.says.is_empty() && !key.says.ends_with('.'),
                "{}",
                key.name
            );
            each(key.kind.keys());
        }
    }
    each(keys::TOP);
}

#[test]
fn schemes_are_those_of_the_model() {
    let model = Scheme::ALL.map(|scheme| scheme.to_string());
    let scheme = keys::TOP
        .iter()
        .flat_map(|key| key.kind.keys())
        .flat_map(|key| key.kind.keys())
        .find(|key| key.name == "scheme")
        .unwrap();
    assert!(matches!(scheme.kind, keys::Kind::Choice(words) if words == model));
}
