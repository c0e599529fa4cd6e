//! Values that may stand behind a key: each is checked and read by one function.

use fleet_model::manifest::{self, Declared, Doubt, Port, Run, Scheme, Variable, names_in};

use super::{
    ManifestError,
    fields::Fields,
    keys::COUNT,
    node::{Node, Value},
};

pub(super) fn text(node: &Node, name: &str) -> Result<String, ManifestError> {
    match &node.value {
        Value::Text(text) if text.contains('\0') => {
            Err(node.error(format!("{name} has a NUL character")))
        }
        Value::Text(text) if text.trim().is_empty() => Err(node.error(format!("{name} is empty"))),
        Value::Text(text) => Ok(text.clone()),
        _ => Err(node.error(format!(
            "{name} must be text, not {}{}",
            node.kind(),
            quotes(node)
        ))),
    }
}

/// YAML has forgotten how a number was written (`1.10`, `0x10`), so it is not guessed.
fn quotes(node: &Node) -> &'static str {
    match node.value {
        Value::Integer(_) | Value::Fraction(_) | Value::Boolean(_) => ": put it in quotes",
        _ => "",
    }
}

pub(super) fn flag(node: &Node, name: &str) -> Result<bool, ManifestError> {
    match node.value {
        Value::Boolean(value) => Ok(value),
        _ => Err(node.error(format!(
            "{name} must be true or false, not {}{}",
            node.kind(),
            late(node)
        ))),
    }
}

/// A whole number within bounds.
pub(super) fn whole(node: &Node, name: &str, low: u32, high: u32) -> Result<u32, ManifestError> {
    let found = match node.value {
        Value::Integer(value) => u32::try_from(value).ok(),
        _ => None,
    };
    let fits = found.filter(|value| (low..=high).contains(value));
    fits.ok_or_else(|| {
        node.error(format!(
            "{name} must be a whole number from {low} to {high}, not {}{}",
            node.kind(),
            late(node)
        ))
    })
}

/// What there is to say of a variable where no text stands: its value is known too late.
fn late(node: &Node) -> &'static str {
    match &node.value {
        Value::Text(text) if text.contains("${") => {
            "; variables are filled in only where texts stand"
        }
        _ => "",
    }
}

pub(super) fn choice(node: &Node, name: &str, words: &[&str]) -> Result<String, ManifestError> {
    let text = text(node, name)?;
    if words.iter().any(|word| word.eq_ignore_ascii_case(&text)) {
        return Ok(text);
    }
    Err(node.error(format!(
        "{name} must be one of {}, not {}",
        words.join(", "),
        node.kind()
    )))
}

pub(super) fn run(node: &Node, name: &str) -> Result<Run, ManifestError> {
    match &node.value {
        Value::Text(_) => text(node, name).map(Run::Shell),
        Value::List(words) => {
            let words = words.iter().map(|node| word(node, name));
            let words = words.collect::<Result<Vec<_>, _>>()?;
            if words.first().is_none_or(String::is_empty) {
                return Err(node.error(format!("{name} names no program")));
            }
            Ok(Run::Argv(words))
        }
        _ => {
            let kind = node.kind();
            Err(node.error(format!(
                "{name} must be text or a list of texts, not {kind}"
            )))
        }
    }
}

fn word(node: &Node, name: &str) -> Result<String, ManifestError> {
    match &node.value {
        Value::Text(text) if !text.contains('\0') => Ok(text.clone()),
        Value::Text(_) => Err(node.error(format!("{name} has a NUL character"))),
        _ => Err(node.error(format!(
            "a word of {name} must be text, not {}{}",
            node.kind(),
            quotes(node)
        ))),
    }
}

/// `3000`, `https:3000`, or a mapping of both.
pub(super) fn port(node: &Node, name: &str) -> Result<Port, ManifestError> {
    let malformed = || {
        let kind = node.kind();
        node.error(format!(
            "{name} must be a number from 1 to 65535 or as http:3000, not {kind}{}",
            late(node)
        ))
    };
    if let Some(number) = Fields::of(node).get("port") {
        let Port { scheme, number } = port(number, name)?;
        let named = Fields::of(node).text("scheme");
        let named = named.and_then(|scheme| scheme_called(&scheme));
        let scheme = named.unwrap_or(scheme);
        return Ok(Port { scheme, number });
    }
    let (scheme, number) = match &node.value {
        Value::Integer(number) => (Scheme::Http, u16::try_from(*number).ok()),
        Value::Text(text) => {
            let (scheme, number) = text.split_once(':').unwrap_or(("http", text));
            let plain = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|_| plain);
            let Some(scheme) = scheme_called(scheme) else {
                let known = Scheme::ALL.map(|scheme| scheme.to_string()).join(", ");
                let problem = format!("{name} has scheme {scheme:?}; known are {known}");
                return Err(node.error(problem));
            };
            (scheme, number)
        }
        _ => return Err(malformed()),
    };
    match number {
        Some(number @ 1..) => Ok(Port { scheme, number }),
        _ => Err(malformed()),
    }
}

fn scheme_called(name: &str) -> Option<Scheme> {
    let mut all = Scheme::ALL.into_iter();
    all.find(|scheme| scheme.to_string() == name.to_ascii_lowercase())
}

/// `N` or `A-B`.
pub(super) fn count(node: &Node, name: &str) -> Result<(u32, u32), ManifestError> {
    let Value::Text(text) = &node.value else {
        let count = whole(node, name, *COUNT.start(), *COUNT.end())?;
        return Ok((count, count));
    };
    let parse = |part: &str| {
        let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse()
            .ok()
            .filter(|count| digits && COUNT.contains(count))
    };
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    match (parse(min), parse(max)) {
        (Some(min), Some(max)) if min <= max => Ok((min, max)),
        _ => Err(node.error(format!(
            "{name} must be as 2 or 1-5, up to {}, not {}{}",
            COUNT.end(),
            node.kind(),
            late(node)
        ))),
    }
}

pub(super) fn path(node: &Node, name: &str) -> Result<String, ManifestError> {
    let Value::Text(path) = &node.value else {
        return Err(node.error(format!("{name} must be text, not {}", node.kind())));
    };
    checked(node, path, manifest::health_path)
        .map_err(|doubt| node.error(format!("{name} {doubt}, unlike {}", node.kind())))?;
    Ok(path.clone())
}

/// What a variable stands for is checked when the variable is known.
fn checked(node: &Node, text: &str, check: fn(&str) -> Result<(), Doubt>) -> Result<(), Doubt> {
    debug_assert!(matches!(node.value, Value::Text(_)));
    match names_in(text).next() {
        Some(_) => Ok(()),
        None => check(text),
    }
}

/// A list of texts, or one text with commas.
pub(super) fn items(
    node: &Node,
    name: &str,
    check: fn(&str) -> Result<(), Doubt>,
) -> Result<Vec<String>, ManifestError> {
    let nodes = match &node.value {
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(node),
    };
    let mut items = Vec::new();
    for node in nodes {
        let text = text(node, name)?;
        for item in text
            .split(',')
            .map(str::trim)
            .filter(|item| !item.is_empty())
        {
            checked(node, item, check)
                .map_err(|doubt| node.error(format!("{name} {doubt}, unlike {item:?}")))?;
            items.push(item.to_owned());
        }
    }
    Ok(items)
}

pub(super) fn texts(node: &Node, name: &str) -> Result<Vec<String>, ManifestError> {
    let Value::List(nodes) = &node.value else {
        return Err(node.error(format!("{name} must be a list, not {}", node.kind())));
    };
    nodes
        .iter()
        .map(|node| text(node, &format!("an entry of {name}")))
        .collect()
}

pub(super) fn labels(node: &Node, name: &str) -> Result<Vec<(String, String)>, ManifestError> {
    let entries = node.entries(name)?.iter();
    entries
        .map(|(key, node)| {
            Ok((
                key.name.clone(),
                text(node, &format!("{name}.{}", key.name))?,
            ))
        })
        .collect()
}

/// A list of `NAME`, `NAME=default` or `*`.
pub(super) fn environment(node: &Node, name: &str) -> Result<Declared, ManifestError> {
    let Value::List(nodes) = &node.value else {
        return Err(node.error(format!(
            "{name} must be a list of NAME or NAME=default, not {}",
            node.kind()
        )));
    };
    let mut declared = Declared::default();
    for node in nodes {
        let text = text(node, &format!("an entry of {name}"))?;
        if text == "*" {
            declared.everything = true;
            continue;
        }
        let (name, default) = match text.split_once('=') {
            Some((name, default)) => (name.trim(), Some(default.to_owned())),
            None => (text.trim(), None),
        };
        if let Some(problem) = variable_problem(name) {
            return Err(node.error(format!("{name:?} {problem}")));
        }
        let name = name.to_owned();
        declared.variables.push(Variable { name, default });
    }
    Ok(declared)
}

fn variable_problem(name: &str) -> Option<&'static str> {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) || !name.chars().all(word)
    {
        Some("is not the name of a variable: letters, digits and underscores, no digit first")
    } else if name.starts_with("LD_") {
        // The loader obeys these before the app has a say.
        Some("belongs to the dynamic loader")
    } else {
        None
    }
}
