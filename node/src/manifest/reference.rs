//! The list of keys of `docs/manifest.md`, written from the table.

use std::fmt::Write as _;

use super::keys::{Effect, Key, Kind, TOP};

/// Every key with its type, default, example and meaning, as Markdown.
#[must_use]
pub fn reference() -> String {
    let mut text = String::new();
    section(&mut text, "Keys at the top", TOP, "");
    for (title, name) in [
        ("Keys of a service", "services"),
        ("Keys of a timer", "timers"),
        ("Keys of a resource", "resources"),
        ("Keys of a balancer", "balancers"),
    ] {
        let key = TOP.iter().find(|key| key.name == name);
        section(
            &mut text,
            title,
            key.map(|key| key.kind.keys()).unwrap_or_default(),
            "",
        );
    }
    text
}

fn section(text: &mut String, title: &str, keys: &[Key], within: &str) {
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "### {title}\n\n| Key | Value | Default | Example | Meaning |\n|---|---|---|---|---|\n"
    );
    rows(text, keys, within);
    text.push('\n');
}

fn rows(text: &mut String, keys: &[Key], within: &str) {
    for key in keys {
        let name = format!("{within}{}", key.name);
        let default = match (key.required, key.default) {
            (true, _) => "required".to_owned(),
            (false, "") => "–".to_owned(),
            (false, default) => code(default),
        };
        let effect = match key.effect {
            Effect::Works => "",
            Effect::Ignored => "; *no effect yet*",
            Effect::Refused => "; *refused when loaded, until it exists*",
        };
        let _ = writeln!(
            text,
            "| `{name}` | {} | {default} | `{}` | {}{effect} |",
            value(&key.kind),
            key.example,
            key.says.replace('|', "\\|"),
        );
        match key.kind {
            Kind::Section(keys) | Kind::Or(_, keys) => rows(text, keys, &format!("{name}.")),
            Kind::Items(keys) => rows(text, keys, &format!("{name}[].")),
            _ => {}
        }
    }
}

/// A default that is a value stands as it would in a manifest.
fn code(default: &str) -> String {
    match default.contains([' ', '`', '[']) {
        true => default.to_owned(),
        false => format!("`{default}`"),
    }
}

fn value(kind: &Kind) -> String {
    match kind {
        Kind::Text => "text".to_owned(),
        Kind::Flag => "`true` or `false`".to_owned(),
        Kind::Whole(low, high) => format!("{low} to {high}"),
        Kind::Choice(words) => words.join(", "),
        Kind::Run => "text, or a list of texts".to_owned(),
        Kind::Port => "1 to 65535, or `scheme:number`".to_owned(),
        Kind::Path => "a path".to_owned(),
        Kind::Count => "`2` or `1-5`, up to 10000".to_owned(),
        Kind::Domains => "host names".to_owned(),
        Kind::Networks => "addresses or networks".to_owned(),
        Kind::Environment => "a list of `NAME`, `NAME=default` or `\"*\"`".to_owned(),
        Kind::Texts => "a list of texts".to_owned(),
        Kind::Labels => "names with texts".to_owned(),
        Kind::Anything => "anything".to_owned(),
        Kind::Section(_) => "a mapping".to_owned(),
        Kind::Or(short, _) => format!("{}, or a mapping", value(short)),
        Kind::Each(_) => "names with mappings".to_owned(),
        Kind::Items(_) => "a list of mappings".to_owned(),
    }
}
