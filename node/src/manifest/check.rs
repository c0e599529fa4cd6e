//! A text against the table of keys: every key known, every value of its kind.

use fleet_model::manifest as model;

use super::{
    ManifestError,
    error::Position,
    keys::{self, Key, Kind},
    node::{self, Node, Value},
    values,
};

/// Checks a whole manifest.
pub(super) fn check(root: &Node) -> Result<(), ManifestError> {
    section(root, "the manifest", keys::TOP, root.at)
}

/// A mapping, called `what` in errors, as `health of service www`; `at` is where it is named.
fn section(node: &Node, what: &str, known: &[Key], at: Position) -> Result<(), ManifestError> {
    let entries = node.entries(what)?;
    for (name, value) in entries {
        let Some(key) = known.iter().find(|key| key.name == name.name) else {
            return Err(unknown(name, what, known));
        };
        // `key:` with nothing behind it is as good as no key, as Convox has it.
        if !matches!(value.value, Value::Null) {
            entry(key, value, what)?;
        }
    }
    let given = |key: &Key| {
        entries
            .iter()
            .any(|(name, node)| name.name == key.name && !matches!(node.value, Value::Null))
    };
    match known.iter().find(|key| key.required && !given(key)) {
        None => Ok(()),
        Some(key) if what == "the manifest" => {
            Err(ManifestError::at(at, format!("{} are missing", key.name)))
        }
        Some(key) => Err(ManifestError::at(at, format!("{what} has no {}", key.name))),
    }
}

fn entry(key: &Key, node: &Node, what: &str) -> Result<(), ManifestError> {
    let name = key.name;
    match &key.kind {
        Kind::Anything => Ok(()),
        Kind::Text => values::text(node, name).map(drop),
        Kind::Flag => values::flag(node, name).map(drop),
        Kind::Whole(low, high) => values::whole(node, name, *low, *high).map(drop),
        Kind::Choice(words) => values::choice(node, name, words).map(drop),
        Kind::Run => values::run(node, name).map(drop),
        Kind::Port => values::port(node, name).map(drop),
        Kind::Path => values::path(node, &format!("a {} path", check_of(name, what))).map(drop),
        Kind::Count => values::count(node, name).map(drop),
        Kind::Domains => values::items(node, name, model::domain).map(drop),
        Kind::Networks => values::items(node, name, model::network).map(drop),
        Kind::Environment => values::environment(node, name).map(drop),
        Kind::Texts => values::texts(node, name).map(drop),
        Kind::Labels => values::labels(node, name).map(drop),
        Kind::Section(known) => section(node, &inside(name, what), known, node.at),
        Kind::Or(_, known) if matches!(node.value, Value::Mapping(_)) => {
            section(node, &inside(name, what), known, node.at)
        }
        Kind::Or(short, _) => entry(
            &Key {
                kind: **short,
                ..*key
            },
            node,
            what,
        ),
        Kind::Each(known) => each(node, name, known),
        Kind::Items(known) => {
            let Value::List(items) = &node.value else {
                return Err(node.error(format!("{name} must be a list, not {}", node.kind())));
            };
            let what = format!("an entry of {}", inside(name, what));
            items
                .iter()
                .try_for_each(|item| section(item, &what, known, item.at))
        }
    }
}

/// Named entries: `services` has `service www`.
fn each(node: &Node, plural: &str, known: &[Key]) -> Result<(), ManifestError> {
    let entries = node.entries(plural)?;
    if entries.is_empty() && plural == "services" {
        return Err(node.error("services has no entry"));
    }
    let singular = plural.strip_suffix('s').unwrap_or(plural);
    for (name, value) in entries {
        let what = format!("{singular} {}", name.name);
        // An entry that says nothing is one that leaves everything to its defaults.
        if !matches!(value.value, Value::Null) {
            section(value, &what, known, name.at)?;
        }
    }
    Ok(())
}

/// Which check a path belongs to: the short form is the check, otherwise it is in one.
fn check_of<'a>(name: &'a str, what: &'a str) -> &'a str {
    match name {
        "path" => what.split(' ').next().unwrap_or(name),
        _ => name,
    }
}

fn inside(name: &str, what: &str) -> String {
    match what {
        "the manifest" => name.to_owned(),
        _ => format!("{name} of {what}"),
    }
}

fn unknown(key: &node::Key, what: &str, known: &[Key]) -> ManifestError {
    let name = &key.name;
    let advice = match keys::nearest(name, known) {
        Some(nearest) => format!("did you mean {nearest}?"),
        // More than fit into a sentence.
        None if known.len() > 12 => "docs/manifest.md lists those that are known".to_owned(),
        None => {
            let names: Vec<_> = known.iter().map(|key| key.name).collect();
            format!("known are {}", names.join(", "))
        }
    };
    ManifestError::at(key.at, format!("unknown key {name:?} in {what}; {advice}"))
}
