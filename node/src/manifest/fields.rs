//! A mapping that has been checked, to be read out of.

use fleet_model::time::Millis;

use super::node::{Key, Node, Value};

pub(super) struct Fields<'a> {
    entries: &'a [(Key, Node)],
}

impl<'a> Fields<'a> {
    /// The fields of a mapping; a short form has none.
    pub(super) fn of(node: &'a Node) -> Self {
        let entries = match &node.value {
            Value::Mapping(entries) => entries.as_slice(),
            _ => &[],
        };
        Self { entries }
    }

    /// The fields behind a key; none where the key is missing.
    pub(super) fn within(&self, name: &str) -> Self {
        self.get(name).map_or(Self { entries: &[] }, Self::of)
    }

    pub(super) fn get(&self, name: &str) -> Option<&'a Node> {
        let found = self.entries.iter().find(|(key, _)| key.name == name);
        found
            .map(|(_, node)| node)
            .filter(|node| !matches!(node.value, Value::Null))
    }

    pub(super) fn number(&self, name: &str) -> Option<u32> {
        match self.get(name)?.value {
            Value::Integer(number) => number.try_into().ok(),
            _ => None,
        }
    }

    pub(super) fn seconds(&self, name: &str) -> Option<Millis> {
        self.number(name)
            .map(|seconds| Millis::seconds(seconds.into()))
    }

    pub(super) fn flag(&self, name: &str) -> Option<bool> {
        match self.get(name)?.value {
            Value::Boolean(flag) => Some(flag),
            _ => None,
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<String> {
        match &self.get(name)?.value {
            Value::Text(text) => Some(text.clone()),
            _ => None,
        }
    }

    /// The keys of a mapping, whatever is behind them.
    pub(super) fn names(&self) -> impl Iterator<Item = &'a str> {
        self.entries.iter().map(|(key, _)| key.name.as_str())
    }
}
