//! A mapping with known keys, and values of a known kind.

use super::{
    ManifestError, keys,
    node::{Key, Node, Value},
};

/// A mapping whose keys have all been checked.
pub(super) struct Fields<'a> {
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    /// `what` is the mapping's name in errors, as `health of service www`.
    pub(super) fn of(
        node: &'a Node,
        what: &str,
        known: &[&'static str],
    ) -> Result<Self, ManifestError> {
        let entries = node.entries(what)?;
        for (key, _) in entries {
            if !known.contains(&key.name.as_str()) {
                return Err(unknown(key, what, known));
            }
        }
        Ok(Self { entries })
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        let found = self.entries.iter().find(|(key, _)| key.name == name);
        // `key:` with nothing behind it is as good as no key, as Convox has it.
        found
            .map(|(_, node)| node)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    /// A whole number within `range`.
    pub(super) fn number(
        &self,
        name: &str,
        range: std::ops::RangeInclusive<u32>,
    ) -> Result<Option<u32>, ManifestError> {
        self.get(name)
            .map(|node| number(node, name, range))
            .transpose()
    }

    pub(super) fn boolean(&self, name: &str) -> Result<bool, ManifestError> {
        let Some(node) = self.get(name) else {
            return Ok(false);
        };
        match node.value {
            Value::Boolean(value) => Ok(value),
            _ => Err(node.error(format!("{name} must be true or false, not {}", node.kind()))),
        }
    }
}

/// A whole number within `range`, called `name` in the error.
pub(super) fn number(
    node: &Node,
    name: &str,
    range: std::ops::RangeInclusive<u32>,
) -> Result<u32, ManifestError> {
    let found = match node.value {
        Value::Integer(value) => u32::try_from(value).ok(),
        _ => None,
    };
    found.filter(|value| range.contains(value)).ok_or_else(|| {
        let (low, high) = (range.start(), range.end());
        let kind = node.kind();
        node.error(format!(
            "{name} must be a whole number from {low} to {high}, not {kind}"
        ))
    })
}

fn unknown(key: &Key, what: &str, known: &[&'static str]) -> ManifestError {
    let name = &key.name;
    let advice = match keys::nearest(name, known) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => format!("known are {}", known.join(", ")),
    };
    ManifestError::at(key.at, format!("unknown key {name:?} in {what}; {advice}"))
}
